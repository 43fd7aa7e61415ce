//! What is in an application's directory: the WSGI target, its virtualenv, its static files. Reads
//! files as text and the names in directories; called by `init` before it writes anything.

use std::path::{Component, Path, PathBuf};

use super::directory::{StaticFiles, directories, entries, forward, name_of, read, relative};
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

/// The kind of a Django project.
pub(super) const DJANGO: &str = "Django";

/// Module files that hold the application by custom, best first.
const MODULES: [&str; 7] = ["wsgi", "app", "main", "application", "run", "server", "__init__"];
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

#[cfg(test)]
mod tests;
