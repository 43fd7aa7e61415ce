//! What is at a place below a route's root, asked of the disk. Runs on a blocking thread, called by
//! `mod.rs` when the store does not know. Every file is opened by `tidegate_host::file::open_within`
//! and by nothing else, so nothing outside the root is ever found.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tidegate_contract::Cause;
use tidegate_host::file::{open_within, stamp};

use super::opened::{Description, Opened};
use super::route::StaticRoute;
use crate::request::error::Failure;

/// What is at a place.
#[derive(Debug)]
pub(super) enum Found {
    /// A file.
    File(Arc<Opened>),
    /// A directory that has something to show; its path lacks the slash at the end.
    Directory,
    /// Nothing that may be seen.
    Nothing,
}

impl Found {
    /// Whether it is nothing.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Bytes in memory.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::File(opened) => opened.weight(),
            Self::Directory | Self::Nothing => 0,
        }
    }

    fn file(&self) -> Option<&Arc<Opened>> {
        match self {
            Self::File(opened) => Some(opened),
            Self::Directory | Self::Nothing => None,
        }
    }
}

/// A look at the disk for one route.
pub(super) struct Look<'a> {
    pub(super) route: &'a StaticRoute,
    /// What was found there last time: what has not changed since is not read again.
    pub(super) before: Option<&'a Found>,
}

impl Look<'_> {
    /// What is at a checked path.
    pub(super) fn at(&self, path: &str) -> Result<Found, Failure> {
        let (base, is_directory) = match path.strip_suffix('/') {
            Some(base) => (base, true),
            None => (path, false),
        };
        if !is_directory && let Some(opened) = self.file(base)? {
            return Ok(Found::File(opened));
        }
        let Some(index) = &self.route.index else { return Ok(Found::Nothing) };
        // Asking for the index, not for the directory, keeps every check in `open_within`: a directory
        // outside the root, or one with nothing to show, does not exist.
        let index = if base.is_empty() { index.clone() } else { format!("{base}/{index}") };
        if is_directory {
            Ok(self.file(&index)?.map_or(Found::Nothing, Found::File))
        } else {
            Ok(self.open(&index)?.map_or(Found::Nothing, |_| Found::Directory))
        }
    }

    fn file(&self, name: &str) -> Result<Option<Arc<Opened>>, Failure> {
        let Some(mut file) = self.open(name)? else { return Ok(None) };
        if let Some(before) = self.before.and_then(Found::file)
            && before.name == name
            && before.is_settled
            && stamp(&file).map_err(failed)? == before.stamp
        {
            return Ok(Some(Arc::clone(before)));
        }
        let description =
            Description { media: self.route.media(name), cache_control: self.route.cache_control(name), coding: None };
        Opened::read(&mut file, name.to_owned(), description).map(|opened| Some(Arc::new(opened))).map_err(failed)
    }

    fn open(&self, name: &str) -> Result<Option<File>, Failure> {
        open(&self.route.root, name)
    }
}

/// Opens a file below the root; `None` if there is nothing that may be seen.
pub(super) fn open(root: &Path, name: &str) -> Result<Option<File>, Failure> {
    use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied};
    match open_within(root, Path::new(name)) {
        Ok(file) => Ok(Some(file)),
        Err(error) => match error.kind() {
            NotFound | PermissionDenied | NotADirectory | IsADirectory | InvalidFilename | InvalidInput => Ok(None),
            _ => Err(Failure::new(Cause::Internal, format!("opening a file: {error}"))),
        },
    }
}

/// A file that cannot be read.
pub(super) fn failed(error: io::Error) -> Failure {
    Failure::new(Cause::Internal, format!("reading a file: {error}"))
}
