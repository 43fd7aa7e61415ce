//! A body on its way through the proxy, first in, first out: in memory, then in a file.
//!
//! Memory is the end that is written to. When it has its fill all of it moves to the file, and the
//! file is read before memory. A file that was read to its end is given up.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tidegate_site::BufferLimits;

use super::disk::{self, Disk, Write, Writing};
use super::{Buffers, Full, InMemory, Stored};

/// Smaller pieces are copied together: each would cost more than it holds.
const SMALL: usize = 4 << 10;
/// How many bytes are copied together.
const JOINED: usize = 16 << 10;
/// A piece up to this size is copied: as it came it may hold a read buffer of many times its size for as long as it waits.
const KEPT: usize = 64 << 10;
/// At most this much of a file is read at once: it is in memory for as long as a slow client takes for it.
const READ: u64 = 64 << 10;

/// A body, or the part of it that waits.
#[derive(Debug)]
pub(crate) struct Spool<'a> {
    buffers: &'a Arc<Buffers>,
    limits: &'a BufferLimits,
    file_limit: u64,
    pieces: VecDeque<Bytes>,
    small: BytesMut,
    /// What waits in memory, including what is being written.
    memory: InMemory,
    disk: Option<Arc<Disk>>,
    read: u64,
    written: u64,
    writing: Option<Writing>,
    /// How much of memory is being written.
    moving: usize,
    lost: bool,
}

impl<'a> Spool<'a> {
    /// For a request's body.
    pub(crate) fn new(buffers: &'a Arc<Buffers>, limits: &'a BufferLimits) -> Self {
        Self {
            buffers,
            limits,
            file_limit: u64::MAX,
            pieces: VecDeque::new(),
            small: BytesMut::new(),
            memory: InMemory::new(buffers),
            disk: None,
            read: 0,
            written: 0,
            writing: None,
            moving: 0,
            lost: false,
        }
    }

    /// For a response's body, which has a limit of its own.
    pub(crate) fn for_response(buffers: &'a Arc<Buffers>, limits: &'a BufferLimits) -> Self {
        Self { file_limit: limits.response, ..Self::new(buffers, limits) }
    }

    /// Adds a piece.
    pub(crate) fn push(&mut self, piece: Bytes) {
        self.memory.set(self.memory.bytes + piece.len());
        if piece.len() < SMALL {
            self.small.extend_from_slice(&piece);
            if self.small.len() >= JOINED {
                self.join();
            }
        } else {
            self.join();
            let piece = if piece.len() <= KEPT { Bytes::copy_from_slice(&piece) } else { piece };
            self.pieces.push_back(piece);
        }
    }

    fn join(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push_back(self.small.split().freeze());
        }
    }

    /// Whether another piece may come now.
    pub(crate) fn has_room(&self) -> bool {
        self.writing.is_none() && self.memory.bytes <= self.limits.memory
    }

    /// Whether a move to the file is under way.
    pub(crate) fn is_moving(&self) -> bool {
        self.writing.is_some()
    }

    /// Begins to move memory to the file if there is too much of it. An error leaves everything as
    /// it was.
    pub(crate) fn relieve(&mut self) -> Result<(), Full> {
        if self.has_room() || self.is_moving() {
            return Ok(());
        }
        let begun = self.begin();
        if let Err(full) = &begun {
            self.buffers.refused(full, self.limits);
        }
        begun
    }

    fn begin(&mut self) -> Result<(), Full> {
        let bytes = self.memory.bytes as u64;
        if self.written.saturating_add(bytes) > self.file_limit || self.limits.disk == 0 {
            return Err(Full::Body);
        }
        let reserved = self.buffers.reserve(bytes, self.limits.disk).ok_or(Full::Quota)?;
        self.join();
        let write = Write { pieces: std::mem::take(&mut self.pieces).into(), reserved, at: self.written };
        self.moving = self.memory.bytes;
        self.writing = Some(disk::write(self.disk.clone(), &self.limits.directory, write, self.buffers));
        Ok(())
    }

    /// Waits until a move to the file is over. What could not be written is in memory again.
    /// Cancel-safe.
    pub(crate) async fn settle(&mut self) -> Result<(), Full> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let written = writing.await;
        self.writing = None;
        let moved = std::mem::take(&mut self.moving);
        let error = match written {
            Ok(Ok(disk)) => {
                self.disk = Some(disk);
                self.written += moved as u64;
                self.memory.set(self.memory.bytes - moved);
                return Ok(());
            }
            Ok(Err(failed)) => {
                for piece in failed.pieces.into_iter().rev() {
                    self.pieces.push_front(piece);
                }
                failed.error
            }
            Err(panic) => {
                self.lost = true;
                io::Error::other(panic)
            }
        };
        let full = Full::Disk(error);
        self.buffers.refused(&full, self.limits);
        Err(full)
    }

    /// Takes the oldest bytes, if there are any.
    pub(crate) async fn pop(&mut self) -> io::Result<Option<Bytes>> {
        // What a failed move says was reported; its bytes are still here.
        let _ = self.settle().await;
        if self.lost {
            return Err(io::Error::other("a buffered body was lost"));
        }
        if let Some(disk) = &self.disk {
            let length = READ.min(self.written - self.read);
            // At most READ.
            let bytes = disk.read(self.read, length as usize).await.map_err(io::Error::other)??;
            self.read += length;
            if self.read == self.written {
                self.disk = None;
                (self.read, self.written) = (0, 0);
            }
            return Ok(Some(bytes));
        }
        if self.pieces.is_empty() {
            self.join();
        }
        let piece = self.pieces.pop_front();
        if let Some(piece) = &piece {
            self.memory.set(self.memory.bytes - piece.len());
        }
        Ok(piece)
    }

    /// The whole body, to be read as often as needed. No move may be under way.
    pub(crate) fn store(mut self) -> Arc<Stored> {
        debug_assert!(!self.is_moving() && self.read == 0, "stored in the middle of something");
        self.join();
        Arc::new(Stored { disk: self.disk, in_file: self.written, pieces: self.pieces.into(), memory: self.memory })
    }
}
