//! A body's file. Reading and writing block, so they run on the runtime's threads for that; the
//! [`super::Spool`] says where in the file.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{Buffers, Reserved};

/// First and last part of a file's name.
const NAME: (&str, &str) = ("tidegate-body-", ".tmp");
/// Names that are tried; each is a random number, so the second is an accident already.
const ATTEMPTS: u32 = 8;
/// Pieces are joined to writes of this size.
const WRITE: usize = 64 << 10;
/// Files from this size on are closed elsewhere: the file system may have a lot to free.
const LARGE: u64 = 1 << 20;

/// Whether a file of this name is one of ours.
pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with(NAME.0) && name.ends_with(NAME.1)
}

/// An open file and its share of the quota.
#[derive(Debug)]
pub(super) struct Disk(Mutex<Option<Open>>);

#[derive(Debug)]
struct Open {
    file: File,
    reserved: Reserved,
}

/// Bytes on their way to a file.
pub(super) struct Write {
    pub(super) pieces: Vec<Bytes>,
    pub(super) reserved: Reserved,
    pub(super) at: u64,
}

/// A write that failed, and the bytes that are therefore still to be kept.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: io::Error,
    pub(super) pieces: Vec<Bytes>,
}

/// A write under way.
pub(super) type Writing = JoinHandle<Result<Arc<Disk>, Failed>>;

/// Begins to write to a body's file, or to a new one in `directory`.
pub(super) fn write(disk: Option<Arc<Disk>>, directory: &Path, write: Write, buffers: &Arc<Buffers>) -> Writing {
    let directory = directory.to_owned();
    let buffers = Arc::clone(buffers);
    tokio::task::spawn_blocking(move || {
        let Write { pieces, reserved, at } = write;
        let opened = match disk {
            Some(disk) => Ok(disk),
            None => create(&directory).map(|file| {
                buffers.metrics.files.inc();
                let none = Reserved { buffers: Arc::clone(&buffers), bytes: 0 };
                Arc::new(Disk(Mutex::new(Some(Open { file, reserved: none }))))
            }),
        };
        let written = opened.and_then(|disk| {
            disk.write_now(at, &pieces, reserved)?;
            Ok(disk)
        });
        written.map_err(|error| Failed { error, pieces })
    })
}

fn create(directory: &Path) -> io::Result<File> {
    let mut made = false;
    let mut attempt = 0;
    loop {
        // The standard library's hash keys come from the system's random numbers.
        let number = RandomState::new().hash_one(attempt);
        let path = directory.join(format!("{}{number:016x}{}", NAME.0, NAME.1));
        match tidegate_host::file::create_temporary(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS => attempt += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !made => {
                std::fs::create_dir_all(directory)?;
                made = true;
            }
            result => return result,
        }
    }
}

impl Disk {
    fn write_now(&self, at: u64, pieces: &[Bytes], reserved: Reserved) -> io::Result<()> {
        let mut open = self.0.lock();
        let open = open.as_mut().ok_or_else(closed)?;
        open.file.seek(SeekFrom::Start(at))?;
        let mut writer = BufWriter::with_capacity(WRITE, &open.file);
        for piece in pieces {
            writer.write_all(piece)?;
        }
        writer.flush()?;
        drop(writer);
        open.reserved.absorb(reserved);
        Ok(())
    }

    /// Begins to read that much, which was written before.
    pub(super) fn read(self: &Arc<Self>, at: u64, length: usize) -> JoinHandle<io::Result<Bytes>> {
        let disk = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let mut open = disk.0.lock();
            let open = open.as_mut().ok_or_else(closed)?;
            open.file.seek(SeekFrom::Start(at))?;
            let mut bytes = vec![0; length];
            open.file.read_exact(&mut bytes)?;
            Ok(Bytes::from(bytes))
        })
    }
}

fn closed() -> io::Error {
    io::Error::other("the file is closed")
}

impl Drop for Disk {
    fn drop(&mut self) {
        let Some(open) = self.0.get_mut().take() else { return };
        if open.reserved.bytes >= LARGE
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(open));
        }
    }
}
