//! Checked: a route to static files.

use std::path::PathBuf;

/// A route to static files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Its place among all of the site's routes to files, from 0.
    pub number: usize,
    /// The directory, absolute.
    pub root: PathBuf,
    /// Name of the file served for a directory.
    pub index: Option<String>,
    /// Cache-Control of every file, if set.
    pub cache_control: Option<String>,
}
