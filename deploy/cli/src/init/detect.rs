//! What is in an application's directory: the WSGI target, its virtualenv, its static files. Reads
//! files as text and the names in directories; called by `init` before it writes anything.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{django, source};

/// What was found. Paths are relative to the site file's directory, with forward slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// What it is, for people.
    pub(super) kind: String,
    /// `module:callable`.
    pub(super) wsgi: String,
    /// The app's directory, unless it is the site file's own.
    pub(super) directory: Option<String>,
    /// The virtualenv's directory.
    pub(super) virtualenv: Option<String>,
    /// Environment variables that the app needs.
    pub(super) environment: Vec<(String, String)>,
    /// Static files that the app's settings name.
    pub(super) files: Option<StaticFiles>,
    /// Targets that were not chosen.
    pub(super) others: Vec<String>,
}

/// A directory of static files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StaticFiles {
    /// The route's path: `/static`.
    pub(super) path: String,
    /// The directory.
    pub(super) directory: String,
    /// Whether it is there.
    pub(super) exists: bool,
}

/// The kind of a Django project.
pub(super) const DJANGO: &str = "Django";

/// Module files that hold the application by custom, best first.
const MODULES: [&str; 7] = ["wsgi", "app", "main", "application", "run", "server", "__init__"];
/// A source file larger than this is no application's entry.
const LARGEST: u64 = 1 << 20;

/// Looks at a directory. `wsgi` is the operator's own word for the target.
pub(super) fn detect(directory: &Path, wsgi: Option<&str>) -> Option<Found> {
    let mut found = match (wsgi, django::project(directory)) {
        (Some(wsgi), None) => given(wsgi),
        (Some(wsgi), Some(project)) => Found { wsgi: wsgi.to_owned(), ..of_django(directory, project) },
        (None, Some(project)) => of_django(directory, project),
        (None, None) => of_sources(directory)?,
    };
    let app_directory = found.directory.as_ref().map(|below| directory.join(below));
    let places: Vec<&Path> = app_directory.iter().map(PathBuf::as_path).chain([directory]).collect();
    found.virtualenv = virtualenv(directory, &places, std::env::var_os("VIRTUAL_ENV").map(PathBuf::from));
    Some(found)
}

/// The virtualenv in one of these places: by its customary name, else by what it holds; else the one that is active, which
/// the operator has just worked with.
fn virtualenv(site: &Path, places: &[&Path], active: Option<PathBuf>) -> Option<String> {
    let has_python = |path: &PathBuf| tidegate_host::venv_python(path).is_file();
    let customary = places.iter().flat_map(|place| [".venv", "venv", "env"].map(|name| place.join(name)));
    let others = places.iter().flat_map(|place| entries(place)).filter(|path| path.join("pyvenv.cfg").is_file());
    let found = customary.chain(others).find(has_python).and_then(|path| relative(site, &path));
    let active = active.filter(|path| path.is_absolute()).filter(has_python);
    found.or_else(|| active.and_then(|path| relative(site, &path).or_else(|| Some(forward(&path)))))
}

fn given(wsgi: &str) -> Found {
    Found {
        kind: "as given".to_owned(),
        wsgi: wsgi.to_owned(),
        directory: None,
        virtualenv: None,
        environment: Vec::new(),
        files: None,
        others: Vec::new(),
    }
}

fn of_django(directory: &Path, project: django::Project) -> Found {
    Found {
        kind: DJANGO.to_owned(),
        directory: relative(directory, &project.directory),
        environment: vec![("DJANGO_SETTINGS_MODULE".to_owned(), project.settings)],
        files: project.files,
        ..given(&project.wsgi)
    }
}

/// The best target among the modules here, below `src`, and in packages.
fn of_sources(directory: &Path) -> Option<Found> {
    let src = directory.join("src");
    let roots = [directory.to_owned(), src];
    let mut offers = roots.iter().filter(|root| root.is_dir()).flat_map(|root| {
        modules(root).into_iter().filter_map(move |(module, file)| {
            let offer = source::offer(&read(&file)?)?;
            Some((relative(directory, root), format!("{module}:{}", offer.callable), offer.kind, file))
        })
    });
    let (below, wsgi, kind, file) = offers.next()?;
    let others = offers.map(|(_, wsgi, ..)| wsgi).take(5).collect();
    let root = directory.join(below.as_deref().unwrap_or_default());
    let files = static_files(directory, &root, &file);
    Some(Found { kind: kind.to_owned(), directory: below, files, others, ..given(&wsgi) })
}

/// Where Flask says that its files are, in the module that makes the application or another one; else `static`.
fn static_files(site: &Path, root: &Path, module: &Path) -> Option<StaticFiles> {
    let others = modules(root).into_iter().map(|(_, file)| file);
    let says = |file: PathBuf| Some((source::flask_files(&read(&file)?)?, file));
    let said = std::iter::once(module.to_owned()).chain(others).find_map(says);
    let (url, directory) = match said {
        // Relative to the module, as Flask has it.
        Some((files, file)) => (files.url, normal(&file.parent()?.join(&files.folder))),
        None => ("static".to_owned(), root.join("static")),
    };
    directory.is_dir().then(|| StaticFiles::new(site, &url, &directory)).flatten()
}

/// Without `..`, which `relative` cannot take off.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut normal, part| {
        match part {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            part => normal.push(part),
        }
        normal
    })
}

/// A path of any place with the slashes that need no care in YAML.
fn forward(path: &Path) -> String {
    path.components().collect::<PathBuf>().to_string_lossy().replace('\\', "/")
}

/// Modules that may hold the application, best first: those with customary names, then the others,
/// then the same in packages.
fn modules(root: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut packages = directories(root);
    packages.retain(|package| package.join("__init__.py").is_file());
    for (place, prefix) in std::iter::once((root.to_owned(), None))
        .chain(packages.into_iter().map(|package| (package.clone(), name_of(&package))))
    {
        let mut names: Vec<String> = entries(&place)
            .into_iter()
            .filter(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "py"))
            .filter_map(|path| path.file_stem()?.to_str().map(str::to_owned))
            .filter(|name| !name.starts_with("test") && name != "setup" && name != "manage" && name != "conftest")
            .collect();
        names.sort_by_key(|name| MODULES.iter().position(|module| module == name).unwrap_or(MODULES.len()));
        for name in names {
            let file = place.join(format!("{name}.py"));
            let module = match (&prefix, name.as_str()) {
                (None, "__init__") => continue,
                (None, name) => name.to_owned(),
                (Some(package), "__init__") => package.clone(),
                (Some(package), name) => format!("{package}.{name}"),
            };
            found.push((module, file));
        }
    }
    found
}

impl StaticFiles {
    /// Of an URL setting such as `static/` and an absolute directory.
    pub(super) fn new(site: &Path, url: &str, directory: &Path) -> Option<Self> {
        let plain = url.trim_matches('/');
        // A setting such as https://cdn.example/ means that somebody else serves them.
        if plain.is_empty() || plain.contains(':') {
            return None;
        }
        let name = relative(site, directory).unwrap_or_else(|| forward(directory));
        Some(Self { path: format!("/{plain}"), directory: name, exists: directory.is_dir() })
    }
}

/// The text of a source file; nothing if it is not there, or far too large. In a code page other than UTF-8 what matters
/// is still ASCII.
pub(super) fn read(file: &Path) -> Option<String> {
    let bytes = (fs::metadata(file).ok()?.len() <= LARGEST).then(|| fs::read(file).ok()).flatten()?;
    Some(String::from_utf8_lossy(&bytes).trim_start_matches('\u{feff}').to_owned())
}

/// The directories in a directory, sorted, without hidden ones and virtualenvs.
pub(super) fn directories(directory: &Path) -> Vec<PathBuf> {
    let mut found = entries(directory);
    found.retain(|path| {
        let hidden = name_of(path).is_none_or(|name| name.starts_with(['.', '_']));
        !hidden && path.is_dir() && !path.join("pyvenv.cfg").is_file()
    });
    found
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

fn name_of(path: &Path) -> Option<String> {
    path.file_name()?.to_str().map(str::to_owned)
}

/// A path below `base` as the file has it; nothing for `base` itself.
fn relative(base: &Path, path: &Path) -> Option<String> {
    let rest = path.strip_prefix(base).ok()?;
    let parts: Vec<&str> = rest.iter().map(|part| part.to_str()).collect::<Option<_>>()?;
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests;
