//! Opening and creating files.

use std::ffi::{CString, c_int};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::place::{STICKY, own_user};

const EVERYBODY_WRITES: u32 = 0o002;

/// O_NONBLOCK so that a FIFO does not block before it is found to be no regular file.
const READ: c_int = libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;

pub(crate) fn open_within(root: &Path, relative: &Path) -> io::Result<File> {
    let opened =
        open_directory(root).and_then(|directory| match open_beneath(&directory, relative, libc::O_RDONLY | READ) {
            Ok(file) => Ok(file),
            Err(error) if needs_comparison(&error) => open_and_compare(root, relative),
            Err(error) => Err(error),
        });
    let file = opened.map_err(|error| match error.raw_os_error() {
        // For a client these names lead nowhere, whatever the way in which they do not.
        Some(libc::ENOTDIR | libc::ELOOP | libc::ENAMETOOLONG | libc::ENXIO) => io::ErrorKind::NotFound.into(),
        _ if error.kind() == io::ErrorKind::InvalidInput => io::ErrorKind::NotFound.into(),
        _ => error,
    })?;
    regular(file)
}

/// The open directory, and the path at which it can be read while it is open.
pub(crate) fn directory_within(root: &Path, relative: &Path) -> io::Result<(File, PathBuf)> {
    let root_itself = open_directory(root)?;
    let directory = if relative.as_os_str().is_empty() {
        root_itself
    } else {
        match open_beneath(&root_itself, relative, libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) {
            Ok(directory) => directory,
            Err(error) if needs_comparison(&error) => {
                let found = open_directory(&root.join(relative))?;
                within(&found, root)?;
                found
            }
            Err(error) => return Err(error),
        }
    };
    let path = by_number(&directory).into();
    Ok((directory, path))
}

fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path)
}

/// The kernel itself refuses to leave the directory, but refuses every absolute link too.
fn open_beneath(directory: &File, relative: &Path, flags: c_int) -> io::Result<File> {
    let path = CString::new(relative.as_os_str().as_bytes())?;
    // SAFETY: open_how is a plain structure for which all zeroes is valid.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = flags.unsigned_abs().into();
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: the path is NUL-terminated, `how` has the size given, and both outlive the call.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            directory.as_raw_fd(),
            path.as_ptr(),
            &raw const how,
            std::mem::size_of::<libc::open_how>(),
        )
    };
    match c_int::try_from(descriptor) {
        // SAFETY: the call has just opened it, for us alone.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { File::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A link that leads out or is absolute, a rename meanwhile, or a kernel (before 5.6) or sandbox
/// without openat2.
fn needs_comparison(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EXDEV | libc::EAGAIN | libc::ENOSYS | libc::EPERM))
}

/// Follows links wherever they lead, without opening what is there (which can have effects, on
/// devices and FIFOs), and opens it only if its real path is below the real root.
fn open_and_compare(root: &Path, relative: &Path) -> io::Result<File> {
    let found = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(root.join(relative))?;
    let found = regular(found)?;
    within(&found, root)?;
    OpenOptions::new().read(true).custom_flags(READ).open(by_number(&found))
}

fn by_number(open: &File) -> String {
    format!("/proc/self/fd/{}", open.as_raw_fd())
}

/// `NotFound` unless what is open is below the real root.
fn within(open: &File, root: &Path) -> io::Result<()> {
    let is_within = fs::read_link(by_number(open))?.starts_with(root.canonicalize()?);
    if is_within { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Device, inode, and the time of its last change in seconds and nanoseconds.
pub(crate) type FileIdentity = (u64, u64, i64, i64);

pub(crate) fn file_identity(_: &File, metadata: &Metadata) -> io::Result<FileIdentity> {
    Ok((metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()))
}

pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    Ok(place_on_device(&file.metadata()?) == place_on_device(&fs::metadata(path)?))
}

pub(crate) fn is_same(file: &File, other: &File) -> io::Result<bool> {
    Ok(place_on_device(&file.metadata()?) == place_on_device(&other.metadata()?))
}

fn place_on_device(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

pub(crate) fn expel(path: &Path) -> io::Result<bool> {
    let Some(directory) = path.parent().and_then(|directory| fs::metadata(directory).ok()) else { return Ok(false) };
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(false) };
    // One that everybody may write to, such as /tmp, is nobody's to clear.
    let is_ours = directory.uid() == own_user() && directory.mode() & (STICKY | EVERYBODY_WRITES) == STICKY;
    if !is_ours || [0, own_user()].contains(&found.uid()) {
        return Ok(false);
    }
    if found.is_dir() {
        fs::remove_dir(path)?
    } else {
        fs::remove_file(path)?
    }
    Ok(true)
}

pub(crate) fn create_temporary(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    // The name has done its work: the file lives for as long as it is open.
    fs::remove_file(path)?;
    Ok(file)
}

pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
