//! Files: opening one that must be below a directory, writing one that only its owner may read, temporary ones, and
//! finding out whether one is still where it was. Used by the proxy for static files, files that apps refer to and
//! buffered bodies, for the development key, and for logs.
//! Everything here blocks; async callers use a blocking thread.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Component, Path};
use std::time::SystemTime;

use crate::sys;

/// Opens the regular file `relative` below `root` for reading; others may rename or delete it
/// meanwhile. Links are followed as long as the file in the end is below `root`. `NotFound` for
/// everything else: outside, no regular file, `..` in the name, or a name that is another spelling of
/// the one on disk (8.3 names, other case), so that a file has one name only.
pub fn open_within(root: &Path, relative: &Path) -> io::Result<File> {
    let mut parts = relative.components().peekable();
    if parts.peek().is_none() || !parts.all(|part| matches!(part, Component::Normal(_))) {
        return Err(io::ErrorKind::NotFound.into());
    }
    sys::open_within(root, relative)
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: OsString,
    /// Whether it is a directory; else it is a regular file.
    pub is_directory: bool,
    /// Length in bytes.
    pub length: u64,
    /// When its content was last written, where the file system knows.
    pub modified: Option<SystemTime>,
}

/// The files and directories in the directory `relative` (empty: `root` itself) below `root`, in no order, `most`
/// of them at the most. `NotFound` by the rules of [`open_within`]. What is neither a file nor a directory is
/// left out, and so is every link that [`open_within`] would not follow to a file.
pub fn list_within(root: &Path, relative: &Path, most: usize) -> io::Result<Vec<Listed>> {
    if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(io::ErrorKind::NotFound.into());
    }
    // Open for as long as it is read, so that what is read is what was checked.
    let (_directory, path) = sys::directory_within(root, relative)?;
    let mut listed = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let metadata = if entry.file_type()?.is_symlink() {
            open_within(root, &relative.join(&name)).and_then(|file| file.metadata())
        } else {
            entry.metadata()
        };
        // It may be gone by now, or not be for us.
        let Ok(metadata) = metadata else { continue };
        if !metadata.is_file() && !metadata.is_dir() {
            continue;
        }
        if listed.len() == most {
            break;
        }
        let (length, modified) = (metadata.len(), metadata.modified().ok());
        listed.push(Listed { name, is_directory: metadata.is_dir(), length, modified });
    }
    Ok(listed)
}

/// The state of a file: two stamps are equal only if it is the same file and was not written to
/// meanwhile, as far as the resolution of the file system's clock goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Length in bytes.
    pub length: u64,
    /// When its content was last written, where the file system knows.
    pub modified: Option<SystemTime>,
    /// Which file, and when anything of it, its times included, was last changed.
    identity: sys::FileIdentity,
}

/// The present state of an open file.
pub fn stamp(file: &File) -> io::Result<Stamp> {
    let metadata = file.metadata()?;
    let identity = sys::file_identity(file, &metadata)?;
    Ok(Stamp { length: metadata.len(), modified: metadata.modified().ok(), identity })
}

/// Whether the open file is the one that is at this path now: nobody has moved, deleted or replaced it.
pub fn is_at(file: &File, path: &Path) -> bool {
    sys::is_at(file, path).unwrap_or(false)
}

/// Whether two open files of one directory are one, as far as the system tells.
pub fn is_same(file: &File, other: &File) -> bool {
    sys::is_same(file, other).unwrap_or(false)
}

/// Removes what another account has put where a file of ours is to be, in a directory of ours in which others may make files
/// (the sticky bit; never so on Windows, whose lists tell accounts apart). Links are removed and not followed; what root or this
/// account made stays. Whether there was anything.
pub fn expel(path: &Path) -> io::Result<bool> {
    sys::expel(path)
}

/// Creates a new file for writing and reading back that only its owner can open. It is gone when it is
/// closed, whatever ends the process. `AlreadyExists` if the name is taken.
pub fn create_temporary(path: &Path) -> io::Result<File> {
    sys::create_temporary(path)
}

/// Writes `contents` to `path` in one step, readable by its owner only (on Windows also by SYSTEM
/// and Administrators). An existing file is replaced.
pub fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(temporary);
    // Left over from a process with the same number that did not get to the end.
    let _ = std::fs::remove_file(&temporary);
    let written = sys::create_private(&temporary)
        .and_then(|mut file| {
            io::Write::write_all(&mut file, contents)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}
