//! A file as it was when it was opened: what identifies its state, how it is described, and, if it is
//! small, its content. Made by `look.rs` on a blocking thread; kept by the store, sent by `answer.rs`.
//! Never holds a file open: on Windows that would keep others from replacing directories.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderValue;
use tidegate_host::file::{Stamp, stamp};

use super::validator::Validator;
use crate::negotiate::Coding;

/// Files up to this size are read at once and kept. Styles, scripts and pictures of pages are; what
/// is larger is streamed.
pub(super) const SMALL: u64 = 128 << 10;

/// Within this time of its last change a file may change again without another time of change: file
/// systems' clocks tick in steps of up to two seconds.
const TICK: Duration = Duration::from_secs(3);

/// How often a small file is read anew because it changed while it was read.
const ATTEMPTS: u32 = 3;

/// A file in one state.
#[derive(Debug)]
pub(super) struct Opened {
    /// Its name below the root, with `/`.
    pub(super) name: String,
    /// The state.
    pub(super) stamp: Stamp,
    /// Validators of this state.
    pub(super) validator: Validator,
    /// Whether a change after this state is sure to give another stamp.
    pub(super) is_settled: bool,
    /// Everything that is in it, if it is small and held still while it was read.
    pub(super) content: Option<Bytes>,
    /// Content-Type, that of the plain form.
    pub(super) media: HeaderValue,
    /// Cache-Control.
    pub(super) cache_control: Option<HeaderValue>,
    /// The content coding that the bytes are in.
    pub(super) coding: Option<Coding>,
}

/// How a file is described, whatever its state.
#[derive(Debug, Clone)]
pub(super) struct Description {
    pub(super) media: HeaderValue,
    pub(super) cache_control: Option<HeaderValue>,
    pub(super) coding: Option<Coding>,
}

impl Opened {
    /// The file in the state it is in now; reads it if it is small. Blocking.
    pub(super) fn read(file: &mut File, name: String, description: Description) -> io::Result<Self> {
        let mut before = stamp(file)?;
        let mut content = None;
        for _ in 0..ATTEMPTS {
            if before.length > SMALL {
                break;
            }
            let bytes = read_exactly(file, before.length)?;
            let after = stamp(file)?;
            if before == after
                && let Some(bytes) = bytes
            {
                content = Some(bytes);
                break;
            }
            before = after;
        }
        Ok(Self::of(name, before, content, description))
    }

    /// The file in a state, without looking at it.
    pub(super) fn of(name: String, stamp: Stamp, content: Option<Bytes>, description: Description) -> Self {
        let Description { media, cache_control, coding } = description;
        let validator = Validator::of(stamp.length, stamp.modified, coding);
        let age = stamp.modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
        let is_settled = age.is_some_and(|age| age > TICK);
        Self { name, stamp, validator, is_settled, content, media, cache_control, coding }
    }

    /// The same file in another state.
    pub(super) fn in_state(&self, stamp: Stamp) -> Self {
        let description =
            Description { media: self.media.clone(), cache_control: self.cache_control.clone(), coding: self.coding };
        Self::of(self.name.clone(), stamp, None, description)
    }

    /// Bytes that it keeps in memory.
    pub(super) fn weight(&self) -> u64 {
        self.content.as_ref().map_or(0, |content| content.len() as u64) + self.name.len() as u64
    }
}

/// The first `length` bytes; `None` if there are not as many (any more).
fn read_exactly(file: &mut File, length: u64) -> io::Result<Option<Bytes>> {
    file.rewind()?;
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
