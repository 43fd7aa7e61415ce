//! Opening and creating files.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle};
use std::path::{Path, PathBuf};
use std::ptr;

use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, CREATE_NEW, CreateFileW, DELETE, FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_TEMPORARY,
    FILE_BASIC_INFO, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_DELETE_ON_CLOSE, FILE_LIST_DIRECTORY, FILE_NAME_NORMALIZED,
    FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_TYPE_DISK, FileBasicInfo, FindClose, FindFirstFileW,
    GetFileInformationByHandle, GetFileInformationByHandleEx, GetFileType, GetFinalPathNameByHandleW, VOLUME_NAME_DOS,
    WIN32_FIND_DATAW,
};

use super::security;

pub(crate) fn open_within(root: &Path, relative: &Path) -> io::Result<File> {
    if !relative.iter().all(is_plain) {
        return Err(io::ErrorKind::NotFound.into());
    }
    // Starts with `\\?\`: in such a path no name means a device and no dot or space at an end is
    // dropped. That is also the form in which the final path is told.
    let root = root.canonicalize()?;
    let mut path = root.clone();
    path.extend(relative.iter());
    // Shares reading, writing and deleting, which is how the standard library opens files.
    let file = match File::open(&path) {
        Ok(file) => file,
        // Directories cannot be opened like this.
        Err(_) if path.is_dir() => return Err(io::ErrorKind::NotFound.into()),
        Err(error) => return Err(not_found_if_impossible(error)),
    };
    // SAFETY: the handle is open.
    let on_disk = unsafe { GetFileType(file.as_raw_handle()) } == FILE_TYPE_DISK;
    let final_path = final_path(&file)?;
    // Equal is the rule and needs no more looking. Another place below the root is right if a link
    // led there, and wrong if a name was spelt in another way.
    let right_place = final_path == path || (final_path.starts_with(&root) && is_as_spelt(&root, relative));
    if on_disk && right_place && file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// The open directory, and the path at which it can be read; nobody can put another in its place meanwhile.
pub(crate) fn directory_within(root: &Path, relative: &Path) -> io::Result<(File, PathBuf)> {
    if !relative.iter().all(is_plain) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let root = root.canonicalize()?;
    let mut path = root.clone();
    path.extend(relative.iter());
    let directory = OpenOptions::new()
        .access_mode(FILE_LIST_DIRECTORY)
        .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
        // Without it only files can be opened.
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(&path)
        .map_err(not_found_if_impossible)?;
    let final_path = final_path(&directory)?;
    let right_place = final_path == path || (final_path.starts_with(&root) && is_as_spelt(&root, relative));
    if right_place && directory.metadata()?.is_dir() {
        Ok((directory, final_path))
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Names that no file has, or that mean a stream, a wildcard or another file.
fn is_plain(name: &OsStr) -> bool {
    let forbidden = |unit: u16| unit < 32 || br#"<>:"/\|?*"#.iter().any(|&byte| u16::from(byte) == unit);
    let dot_or_space = |unit: u16| unit == u16::from(b'.') || unit == u16::from(b' ');
    let mut units = name.encode_wide();
    !units.any(forbidden) && !name.encode_wide().last().is_none_or(dot_or_space)
}

fn not_found_if_impossible(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput | io::ErrorKind::NotADirectory => {
            io::ErrorKind::NotFound.into()
        }
        _ => error,
    }
}

fn final_path(file: &File) -> io::Result<PathBuf> {
    let mut buffer = vec![0_u16; 512];
    loop {
        // SAFETY: the handle is open, and the buffer is writable and as large as said.
        let length = unsafe {
            GetFinalPathNameByHandleW(
                file.as_raw_handle(),
                buffer.as_mut_ptr(),
                buffer.len() as u32,
                FILE_NAME_NORMALIZED | VOLUME_NAME_DOS,
            )
        } as usize;
        match length {
            0 => return Err(io::Error::last_os_error()),
            // Too small: then the length includes the NUL.
            _ if length > buffer.len() => buffer.resize(length, 0),
            _ => return Ok(OsString::from_wide(&buffer[..length]).into()),
        }
    }
}

/// Whether every name on the way is the long one on disk, letter for letter.
fn is_as_spelt(root: &Path, relative: &Path) -> bool {
    let mut path = root.to_owned();
    relative.iter().all(|name| {
        path.push(name);
        name_on_disk(&path).is_some_and(|found| found == name)
    })
}

fn name_on_disk(path: &Path) -> Option<OsString> {
    let wide = wide(path);
    let mut data = WIN32_FIND_DATAW::default();
    // SAFETY: the path ends in NUL and has no wildcards; `data` is writable.
    let search = unsafe { FindFirstFileW(wide.as_ptr(), &mut data) };
    if search == INVALID_HANDLE_VALUE {
        return None;
    }
    // SAFETY: the search was just opened and is not used again.
    unsafe { FindClose(search) };
    let length = data.cFileName.iter().position(|&unit| unit == 0)?;
    Some(OsString::from_wide(&data.cFileName[..length]))
}

/// Volume, index on it, and the time of its last change.
pub(crate) type FileIdentity = (u32, u64, i64);

pub(crate) fn file_identity(file: &File, _: &Metadata) -> io::Result<FileIdentity> {
    let (volume, index) = place_on_volume(file)?;
    let mut times = FILE_BASIC_INFO::default();
    let size = std::mem::size_of::<FILE_BASIC_INFO>() as u32;
    // SAFETY: the handle is open, and `times` is writable and as large as said.
    let told =
        unsafe { GetFileInformationByHandleEx(file.as_raw_handle(), FileBasicInfo, (&raw mut times).cast(), size) };
    // Not every file system has this time; the others are in the stamp anyway.
    let changed = if told == 0 { 0 } else { times.ChangeTime };
    Ok((volume, index, changed))
}

pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    is_same(file, &File::open(path)?)
}

pub(crate) fn is_same(file: &File, other: &File) -> io::Result<bool> {
    // Not by their volumes: two files of one directory are on one, and Wine has none (0) for the handle of a file that another
    // program has renamed.
    let ((_, ours), (_, theirs)) = (place_on_volume(file)?, place_on_volume(other)?);
    Ok(ours == theirs)
}

/// Volume and index on it: which file it is.
fn place_on_volume(file: &File) -> io::Result<(u32, u64)> {
    let mut which = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and `which` is writable.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut which) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((which.dwVolumeSerialNumber, u64::from(which.nFileIndexHigh) << 32 | u64::from(which.nFileIndexLow)))
}

pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    create_new(path, GENERIC_WRITE, FILE_ATTRIBUTE_NORMAL)
}

/// Both services' accounts may change all that is in their directories.
pub(crate) fn expel(_path: &Path) -> io::Result<bool> {
    Ok(false)
}

pub(crate) fn create_temporary(path: &Path) -> io::Result<File> {
    // TEMPORARY: kept in memory for as long as there is enough of it.
    let flags = FILE_ATTRIBUTE_TEMPORARY | FILE_FLAG_DELETE_ON_CLOSE;
    create_new(path, GENERIC_READ | GENERIC_WRITE | DELETE, flags)
}

/// A new file that nobody else can open while we have it, and only its owner ever.
fn create_new(path: &Path, access: u32, flags: u32) -> io::Result<File> {
    let attributes = security::private()?;
    let wide = wide(path);
    // SAFETY: the path ends in NUL, the attributes outlive the call, and no template is given.
    let handle =
        unsafe { CreateFileW(wide.as_ptr(), access, 0, &raw const attributes, CREATE_NEW, flags, ptr::null_mut()) };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and ours alone.
    Ok(unsafe { File::from_raw_handle(handle) })
}

/// As the system's functions want it: UTF-16 with a NUL at the end.
pub(super) fn wide(text: impl AsRef<OsStr>) -> Vec<u16> {
    text.as_ref().encode_wide().chain([0]).collect()
}
