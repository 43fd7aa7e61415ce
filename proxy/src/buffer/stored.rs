//! A whole request body at rest. Each attempt to send the request reads it from the start.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::InMemory;
use super::disk::Disk;

/// At most this much of a file is read at once.
const READ: u64 = 128 << 10;

/// A body that is here to its last byte: what is in its file, then what is in memory.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(super) disk: Option<Arc<Disk>>,
    pub(super) in_file: u64,
    pub(super) pieces: Vec<Bytes>,
    pub(super) memory: InMemory,
}

impl Stored {
    /// Its length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.in_file + self.memory.bytes as u64
    }
}

/// One reading of a [`Stored`] body.
#[derive(Debug)]
pub(crate) struct Reading {
    stored: Arc<Stored>,
    taken: u64,
    next_piece: usize,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Reading {
    /// From the start.
    pub(crate) fn new(stored: &Arc<Stored>) -> Self {
        Self { stored: Arc::clone(stored), taken: 0, next_piece: 0, reading: None }
    }

    /// How many bytes are still to come.
    pub(crate) fn left(&self) -> u64 {
        self.stored.length() - self.taken
    }

    /// The next bytes; nothing at the end.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let stored = &*self.stored;
        if let Some(disk) = &stored.disk
            && self.taken < stored.in_file
        {
            let reading = self.reading.get_or_insert_with(|| {
                // At most READ.
                disk.read(self.taken, READ.min(stored.in_file - self.taken) as usize)
            });
            let read = ready!(Pin::new(reading).poll(cx)).map_err(io::Error::other).and_then(|read| read);
            self.reading = None;
            if let Ok(bytes) = &read {
                self.taken += bytes.len() as u64;
            }
            return Poll::Ready(Some(read));
        }
        let Some(piece) = stored.pieces.get(self.next_piece) else { return Poll::Ready(None) };
        self.next_piece += 1;
        self.taken += piece.len() as u64;
        Poll::Ready(Some(Ok(piece.clone())))
    }
}
