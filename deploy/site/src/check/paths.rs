//! Paths in the file: relative to the file's directory, absolute ever after, and there. Links are
//! left as they are: a virtualenv's interpreter is one, and resolving it would leave the virtualenv.

use std::path::{Path, PathBuf};

use crate::Reader;
use crate::raw::Node;

/// The directory that relative paths start from, and who reads what is there.
pub(crate) struct Base {
    directory: PathBuf,
    pub(crate) reader: Reader,
}

const FILE: &str = "file";

impl Base {
    /// The directory of the site file.
    pub(crate) fn of(file: &Path, reader: Reader) -> Self {
        Self { directory: file.parent().unwrap_or(file).to_owned(), reader }
    }

    /// The directory itself.
    pub(crate) fn directory_itself(&self) -> PathBuf {
        self.directory.clone()
    }

    /// A path as the file gives it, made absolute.
    pub(crate) fn resolve(&self, text: &str) -> PathBuf {
        let joined = self.directory.join(text);
        std::path::absolute(&joined).unwrap_or(joined)
    }

    /// A file that exists, as far as this account may see.
    pub(crate) fn file(&self, node: &Node<'_>, expected: &str) -> Option<PathBuf> {
        let path = self.resolve(node.text(expected)?);
        self.found(node, path, FILE, Path::is_file, expected)
    }

    /// A directory that exists. One that the other program's account alone may reach is taken as it is: `user` will say.
    pub(crate) fn directory(&self, node: &Node<'_>, expected: &str, user: Reader) -> Option<PathBuf> {
        let path = self.resolve(node.text(expected)?);
        if self.reader != user && self.reader != Reader::Command && self.is_kept_from_us(&path) {
            return Some(path);
        }
        self.found(node, path, "directory", Path::is_dir, expected)
    }

    /// Whether this account may not even see what is there.
    pub(crate) fn is_kept_from_us(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    }

    /// A directory that may have to be made.
    pub(crate) fn directory_to_be(&self, node: &Node<'_>) -> Option<PathBuf> {
        let path = self.resolve(node.text("a directory")?);
        if path.exists() && !path.is_dir() {
            return node.reject(format_args!("{} is not a directory: expected a directory", path.display()));
        }
        Some(path)
    }

    /// A file that may have to be made, and its directory too.
    pub(crate) fn file_to_be(&self, node: &Node<'_>, expected: &str) -> Option<PathBuf> {
        let path = self.resolve(node.text(expected)?);
        if path.is_dir() || path.file_name().is_none() {
            return node.reject(format_args!("{} is a directory: expected {expected}", path.display()));
        }
        Some(path)
    }

    fn found(
        &self,
        node: &Node<'_>,
        path: PathBuf,
        kind: &str,
        is: impl Fn(&Path) -> bool,
        expected: &str,
    ) -> Option<PathBuf> {
        if is(&path) {
            return Some(path);
        }
        match std::fs::metadata(&path) {
            // Another account's secret: whoever reads it will say if it is not there.
            Err(error) if kind == FILE && error.kind() == std::io::ErrorKind::PermissionDenied => Some(path),
            Ok(_) => node.reject(format_args!("{} is not a {kind}: expected {expected}", path.display())),
            Err(error) => node.reject(format_args!("{}: {error}: expected {expected}", path.display())),
        }
    }
}
