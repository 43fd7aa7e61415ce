//! A Django project, read from the text of its `manage.py` and settings. Called by `detect`.

use std::path::{Path, PathBuf};

use super::directory::{StaticFiles, directories, read};

/// What a project's files say.
pub(super) struct Project {
    /// Where `manage.py` is.
    pub(super) directory: PathBuf,
    /// `shop.wsgi:application`.
    pub(super) wsgi: String,
    /// `shop.settings`.
    pub(super) settings: String,
    /// Where `collectstatic` puts its files, if the settings say so.
    pub(super) files: Option<StaticFiles>,
}

/// The project in a directory or just below it.
pub(super) fn project(directory: &Path) -> Option<Project> {
    let below = directories(directory);
    std::iter::once(directory.to_owned()).chain(below).find_map(|candidate| read_project(directory, &candidate))
}

fn read_project(site: &Path, directory: &Path) -> Option<Project> {
    let manage = read(&directory.join("manage.py"))?;
    let named = manage.lines().find(|line| line.contains("DJANGO_SETTINGS_MODULE"))?;
    let settings = quoted(named).into_iter().find(|text| *text != "DJANGO_SETTINGS_MODULE")?.to_owned();
    let text = settings_text(directory, &settings);
    let wsgi = value(&text, "WSGI_APPLICATION")
        .and_then(|line| quoted(line).first().copied())
        .and_then(|dotted| dotted.rsplit_once('.'))
        .map(|(module, callable)| format!("{module}:{callable}"))
        .or_else(|| wsgi_module(directory, &settings))?;
    let files = value(&text, "STATIC_ROOT").and_then(|line| {
        // `BASE_DIR / "a" / "b"` and `os.path.join(BASE_DIR, "a", "b")` start at manage.py's directory.
        let mut parts = quoted(line);
        if line.contains("environ") || line.contains("getenv") {
            // The variable's name, then what counts without it.
            parts.drain(..parts.len().min(1));
        }
        // Backslashes are doubled but in raw strings, where two mean the same to Windows.
        let path = parts.iter().fold(directory.to_owned(), |path, part| path.join(part.replace("\\\\", "\\")));
        if parts.is_empty() {
            return None;
        }
        let url = value(&text, "STATIC_URL").and_then(|line| quoted(line).first().copied()).unwrap_or("static/");
        StaticFiles::new(site, url, &path)
    });
    Some(Project { directory: directory.to_owned(), wsgi, settings, files })
}

/// The settings module's text, with that of the modules that settings are commonly split into.
fn settings_text(directory: &Path, settings: &str) -> String {
    let module = directory.join(settings.replace('.', "/"));
    let beside = |name: &str| module.with_file_name(name);
    let files = [module.with_extension("py"), module.join("__init__.py"), module.join("base.py"), beside("base.py")];
    files.iter().filter_map(|file| read(file)).collect::<Vec<_>>().join("\n")
}

/// `shop/wsgi.py` beside the settings, or above them.
fn wsgi_module(directory: &Path, settings: &str) -> Option<String> {
    let mut package = settings;
    while let Some((parent, _)) = package.rsplit_once('.') {
        if directory.join(parent.replace('.', "/")).join("wsgi.py").is_file() {
            return Some(format!("{parent}.wsgi:application"));
        }
        package = parent;
    }
    None
}

/// The line that assigns a setting.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?.trim_start();
        rest.strip_prefix('=').or_else(|| rest.starts_with(':').then(|| rest.split_once('=').map(|(_, v)| v))?)
    })
}

/// The string literals of a line.
fn quoted(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find(['"', '\'']) {
        let quote = &rest[start..=start];
        let Some(length) = rest[start + 1..].find(quote) else { break };
        found.push(&rest[start + 1..start + 1 + length]);
        rest = &rest[start + length + 2..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_literals_are_found() {
        for (line, expected) in [
            (r#"os.environ.setdefault("DJANGO_SETTINGS_MODULE", 'a.b')"#, vec!["DJANGO_SETTINGS_MODULE", "a.b"]),
            (r#"BASE_DIR / "static" / 'all'"#, vec!["static", "all"]),
            (r#"'it"s'"#, vec![r#"it"s"#]),
            ("'open", vec![]),
            ("none", vec![]),
        ] {
            assert_eq!(quoted(line), expected);
        }
    }

    #[test]
    fn settings_are_found_at_the_start_of_a_line() {
        let text = "# STATIC_ROOT = 'no'\nSTATIC_ROOT_X = 'no'\nSTATIC_ROOT: str = 'yes'\n";
        assert_eq!(value(text, "STATIC_ROOT").map(str::trim), Some("'yes'"));
    }
}
