//! What is at a place below a route's root, asked of the disk. Runs on a blocking thread, called by
//! `mod.rs` when the store does not know. Every file is opened by `tidegate_host::file::open_within`, every
//! directory listed by its `list_within`, so nothing outside the root is ever found.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use tidegate_contract::Cause;
use tidegate_host::file::{open_within, stamp};

use super::listing::Listing;
use super::opened::{Description, Opened};
use super::route::StaticRoute;
use crate::negotiate::{Accepted, Coding};
use crate::request::error::Failure;

/// What is at a place.
#[derive(Debug)]
pub(super) enum Found {
    /// A file.
    File(Forms),
    /// A directory that has something to show; its path lacks the slash at the end.
    Directory,
    /// A directory without an index that may be shown.
    Listing(Listing),
    /// Nothing that may be seen.
    Nothing,
}

/// A file, and its neighbours that hold the same in a content coding.
#[derive(Debug)]
pub(super) struct Forms {
    pub(super) plain: Arc<Opened>,
    pub(super) coded: Vec<Arc<Opened>>,
}

impl Found {
    /// Whether it is nothing.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Bytes in memory.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::File(forms) => forms.all().map(|opened| opened.weight()).sum(),
            Self::Listing(listing) => listing.weight(),
            Self::Directory | Self::Nothing => 0,
        }
    }

    /// The file that was found under a name.
    fn file(&self, name: &str) -> Option<&Arc<Opened>> {
        match self {
            Self::File(forms) => forms.all().find(|opened| opened.name == name),
            Self::Directory | Self::Listing(_) | Self::Nothing => None,
        }
    }
}

impl Forms {
    fn all(&self) -> impl Iterator<Item = &Arc<Opened>> {
        std::iter::once(&self.plain).chain(&self.coded)
    }

    /// The form that a client likes best.
    pub(super) fn choose(&self, request: &HeaderMap) -> &Arc<Opened> {
        if self.coded.is_empty() {
            return &self.plain;
        }
        let of = |coding| self.coded.iter().find(|opened| opened.coding == Some(coding));
        let chosen = Accepted::of(request).choose(|coding| of(coding).is_some());
        chosen.and_then(of).unwrap_or(&self.plain)
    }
}

/// A look at the disk for one route.
pub(super) struct Look<'a> {
    pub(super) route: &'a StaticRoute,
    /// What was found there last time: what has not changed since is not read again.
    pub(super) before: Option<&'a Found>,
}

impl Look<'_> {
    /// What is at a checked path: the file of that name, of that name with a suffix, the index of the
    /// directory, or the directory itself.
    pub(super) fn at(&self, path: &str) -> Result<Found, Failure> {
        let (base, is_directory) = match path.strip_suffix('/') {
            Some(base) => (base, true),
            None => (path, false),
        };
        if !is_directory {
            if let Some(forms) = self.forms(base)? {
                return Ok(Found::File(forms));
            }
            for suffix in self.route.suffixes.iter().filter(|_| !base.is_empty()) {
                if let Some(forms) = self.forms(&format!("{base}{suffix}"))? {
                    return Ok(Found::File(forms));
                }
            }
        }
        // Asking for the index, not for the directory, keeps every check in `open_within`: a directory
        // outside the root, or one with nothing to show, does not exist.
        for index in &self.route.index {
            let index = if base.is_empty() { index.clone() } else { format!("{base}/{index}") };
            if !is_directory {
                if self.open(&index)?.is_some() {
                    return Ok(Found::Directory);
                }
            } else if let Some(forms) = self.forms(&index)? {
                return Ok(Found::File(forms));
            }
        }
        if self.route.listing
            && let Ok(listing) = Listing::read(&self.route.root, base, self.route.hidden)
        {
            return Ok(if is_directory { Found::Listing(listing) } else { Found::Directory });
        }
        Ok(Found::Nothing)
    }

    fn forms(&self, name: &str) -> Result<Option<Forms>, Failure> {
        let Some(plain) = self.file(name, None)? else { return Ok(None) };
        let mut coded = Vec::new();
        for (coding, suffix) in NEIGHBOURS.into_iter().filter(|_| self.route.precompressed) {
            if let Some(neighbour) = self.file(&format!("{name}{suffix}"), Some((&plain, coding)))? {
                coded.push(neighbour);
            }
        }
        Ok(Some(Forms { plain, coded }))
    }

    /// A file, or the neighbour of one in a coding.
    fn file(&self, name: &str, beside: Option<(&Opened, Coding)>) -> Result<Option<Arc<Opened>>, Failure> {
        let Some(mut file) = self.open(name)? else { return Ok(None) };
        let now = stamp(&file).map_err(failed)?;
        if let Some((plain, _)) = beside
            && is_older(now.modified, plain.stamp.modified)
        {
            return Ok(None);
        }
        let coding = beside.map(|(_, coding)| coding);
        if let Some(before) = self.before.and_then(|before| before.file(name))
            && before.is_settled
            && before.stamp == now
            && before.coding == coding
        {
            return Ok(Some(Arc::clone(before)));
        }
        let description = match beside {
            Some((plain, coding)) => Description {
                media: plain.media.clone(),
                cache_control: plain.cache_control.clone(),
                coding: Some(coding),
            },
            None => Description {
                media: self.route.types.of(name),
                cache_control: self.route.cache_control(name),
                coding: None,
            },
        };
        Opened::read(&mut file, name.to_owned(), description).map(|opened| Some(Arc::new(opened))).map_err(failed)
    }

    fn open(&self, name: &str) -> Result<Option<File>, Failure> {
        open(&self.route.root, name)
    }
}

/// What a neighbour's name has behind the file's.
const NEIGHBOURS: [(Coding, &str); 3] = [(Coding::Brotli, ".br"), (Coding::Zstd, ".zst"), (Coding::Gzip, ".gz")];

/// Whether a neighbour was made from an older state of the file. Compressors give it the time of the
/// file, some of them in whole seconds. One without a time cannot be trusted.
fn is_older(neighbour: Option<SystemTime>, plain: Option<SystemTime>) -> bool {
    let seconds = |time: Option<SystemTime>| Some(time?.duration_since(UNIX_EPOCH).ok()?.as_secs());
    seconds(neighbour).is_none_or(|neighbour| seconds(plain).is_none_or(|plain| neighbour < plain))
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
