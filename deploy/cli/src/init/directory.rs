//! An application's directory as `detect` and `django` read it: files as text, names, and the static files that settings
//! name. Never writes.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file larger than this is no application's entry.
const LARGEST: u64 = 1 << 20;

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

pub(super) fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

pub(super) fn name_of(path: &Path) -> Option<String> {
    path.file_name()?.to_str().map(str::to_owned)
}

/// A path below `base` as the file has it; nothing for `base` itself.
pub(super) fn relative(base: &Path, path: &Path) -> Option<String> {
    let rest = path.strip_prefix(base).ok()?;
    let parts: Vec<&str> = rest.iter().map(|part| part.to_str()).collect::<Option<_>>()?;
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// A path of any place with the slashes that need no care in YAML.
pub(super) fn forward(path: &Path) -> String {
    path.components().collect::<PathBuf>().to_string_lossy().replace('\\', "/")
}
