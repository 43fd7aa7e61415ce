//! Checked: a route to static files.

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;

use super::{AppRoute, Compress};

/// A route to static files.
#[derive(Debug, Clone, PartialEq)]
pub struct Files {
    /// Its place among all of the site's routes to files, from 0.
    pub number: usize,
    /// The directory, absolute.
    pub root: PathBuf,
    /// Names of the file served for a directory; the first that is there counts.
    pub index: Vec<String>,
    /// What a path may lack at its end, each with its dot.
    pub suffixes: Vec<String>,
    /// The file for pages that are none: its name below the root.
    pub fallback: Option<String>,
    /// The app that answers what is no file.
    pub app: Option<AppRoute>,
    /// Whether a directory without an index shows what is in it.
    pub listing: bool,
    /// Whether names that begin with a dot are served.
    pub hidden: bool,
    /// Whether only apps lead here, by X-Accel-Redirect and X-Sendfile.
    pub internal: bool,
    /// How files are compressed on the way, if they are.
    pub compress: Option<Arc<Compress>>,
    /// Whether compressed neighbours of files are sent in their place.
    pub precompressed: bool,
    /// Cache-Control: the first rule whose names match counts.
    pub cache_control: Vec<CacheRule>,
    /// Content types by extension, in lower case and without its dot.
    pub types: Vec<(String, String)>,
    /// The charset of texts, if they shall have one.
    pub charset: Option<String>,
}

/// A value of Cache-Control and the files that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRule {
    /// Which files.
    pub names: Names,
    /// The value.
    pub value: HeaderValue,
}

/// Names of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// All.
    All,
    /// Those with a hash of their content in them, which never change.
    Fingerprinted,
    /// Those of this pattern: `*` stands for anything but a slash, `**` for anything, `?` for one letter. Without
    /// a slash it is for the last part of the name, else for the whole name below the root.
    Pattern(String),
}
