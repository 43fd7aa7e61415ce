//! Changing owners and modes where other accounts may put links. Root does that at `service install`, in directories that
//! apps write to: everything is opened step by step, a link that neither root nor this account made is not followed, and
//! what is changed is what was opened.

use std::collections::VecDeque;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path};

/// Links in a path, as the kernel has it.
const MOST_LINKS: usize = 40;
/// Directories in each other: each of them is open meanwhile.
const DEEPEST: usize = 64;

/// A file or directory that was found without following others' links.
#[derive(Debug)]
pub(super) struct Place {
    file: File,
    metadata: Metadata,
}

/// A user and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) user: u32,
    pub(super) group: u32,
}

/// Whether a directory that is missing is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Fails,
    IsMade,
}

/// Opens what is at an absolute path: a regular file or a directory, nothing else.
pub(super) fn open(path: &Path, missing: Missing) -> io::Result<Place> {
    let mut parts: VecDeque<OsString> = parts(path);
    let mut at = vec![open_at(None, OsStr::new("/"))?];
    let mut links = 0;
    while let Some(part) = parts.pop_front() {
        if part == ".." {
            if at.len() > 1 {
                at.pop();
            }
            continue;
        }
        let directory = at.last().ok_or(io::ErrorKind::NotFound)?;
        let found = match open_at(Some(&directory.file), &part) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && missing == Missing::IsMade => {
                make_at(&directory.file, &part)?;
                open_at(Some(&directory.file), &part)?
            }
            found => found?,
        };
        if !found.metadata.is_symlink() {
            at.push(found);
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
        let target = found.target(path)?;
        if target.is_absolute() {
            at.truncate(1);
        }
        for part in self::parts(&target).into_iter().rev() {
            parts.push_front(part);
        }
    }
    let place = at.pop().ok_or(io::ErrorKind::NotFound)?;
    if place.metadata.is_dir() || place.metadata.is_file() {
        return Ok(place);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a directory"))
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |part: Component<'_>| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        _ => None,
    };
    path.components().filter_map(part).collect()
}

/// The entry itself, whatever it is.
fn open_at(directory: Option<&File>, name: &OsStr) -> io::Result<Place> {
    let name = CString::new(name.as_bytes())?;
    let directory = directory.map_or(libc::AT_FDCWD, AsRawFd::as_raw_fd);
    // SAFETY: the name ends in NUL, and the directory is open.
    let opened = unsafe { libc::openat(directory, name.as_ptr(), libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC) };
    if opened < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and ours alone.
    let file = unsafe { File::from_raw_fd(opened) };
    let metadata = file.metadata()?;
    Ok(Place { file, metadata })
}

fn make_at(directory: &File, name: &OsStr) -> io::Result<()> {
    let name = CString::new(name.as_bytes())?;
    // SAFETY: as above.
    if unsafe { libc::mkdirat(directory.as_raw_fd(), name.as_ptr(), 0o755) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
}

/// This process's account.
fn own_user() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

impl Place {
    pub(super) fn mode(&self) -> u32 {
        self.metadata.mode() & 0o7777
    }

    /// Refuses a file that has a second name somewhere else: it may be somebody else's file.
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.refuse_second_name()?;
        fs::set_permissions(self.by_number(), Permissions::from_mode(mode))
    }

    /// Gives it to an account.
    pub(super) fn give(&self, owner: Owner) -> io::Result<()> {
        if (self.metadata.uid(), self.metadata.gid()) == (owner.user, owner.group) {
            return Ok(());
        }
        self.refuse_second_name()?;
        let (file, none) = (self.file.as_raw_fd(), c"");
        // SAFETY: the file is open, and the name ends in NUL.
        let given = unsafe { libc::fchownat(file, none.as_ptr(), owner.user, owner.group, libc::AT_EMPTY_PATH) };
        if given == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Gives it with all that is below it on the same file system. Links stay what they are, and so does what is neither file
    /// nor directory, or has a second name. `left` hears of each that was left alone.
    pub(super) fn give_all(&self, owner: Owner, left: &mut Vec<String>) -> io::Result<()> {
        self.give_below(owner, DEEPEST, left)
    }

    fn give_below(&self, owner: Owner, deeper: usize, left: &mut Vec<String>) -> io::Result<()> {
        let listed = fs::read_dir(self.by_number())?;
        for entry in listed {
            let name = entry?.file_name();
            // Who deletes what is here meanwhile is right.
            let Ok(below) = open_at(Some(&self.file), &name) else { continue };
            let is_here = below.metadata.dev() == self.metadata.dev();
            let shown = name.to_string_lossy();
            match &below.metadata {
                metadata if metadata.is_symlink() => {}
                metadata if metadata.is_dir() && is_here && deeper > 0 => below.give_below(owner, deeper - 1, left)?,
                metadata if metadata.is_file() && is_here => {
                    if let Err(error) = below.give(owner) {
                        left.push(format!("{shown}: {error}"));
                    }
                }
                _ => left.push(format!("{shown}: neither a file nor a directory of this file system")),
            }
        }
        // Last: who owns a directory can exchange what is in it.
        self.give(owner)
    }

    fn refuse_second_name(&self) -> io::Result<()> {
        if self.metadata.is_file() && self.metadata.nlink() > 1 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it has a second name (a hard link) and is left alone",
            ));
        }
        Ok(())
    }

    /// Where a link leads, if it is one that may be followed.
    fn target(&self, path: &Path) -> io::Result<std::path::PathBuf> {
        let maker = self.metadata.uid();
        if maker != 0 && maker != own_user() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("a link in {} was made by user {maker}, and is not followed", path.display()),
            ));
        }
        let mut buffer = vec![0_u8; libc::PATH_MAX as usize];
        // SAFETY: the link is open, the name ends in NUL, and the buffer is as large as said.
        let length =
            unsafe { libc::readlinkat(self.file.as_raw_fd(), c"".as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
        let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        buffer.truncate(length);
        Ok(OsString::from_vec(buffer).into())
    }

    /// A name of what is open, whatever is at its path by now.
    fn by_number(&self) -> String {
        format!("/proc/self/fd/{}", self.file.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tg-place-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, b"x").unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn owner_of(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().uid()
    }

    #[test]
    fn own_links_are_followed_and_others_are_not() {
        let scratch = Scratch::new("links");
        let file = scratch.file("file");
        for (link, target) in
            [("absolute", file.as_path()), ("relative", Path::new("logs/../file")), ("gone", Path::new("none"))]
        {
            symlink(target, scratch.0.join(link)).unwrap();
        }
        symlink(".", scratch.0.join("links")).unwrap();
        fs::create_dir(scratch.0.join("logs")).unwrap();
        let inode = fs::metadata(&file).unwrap().ino();
        let own_name = scratch.0.file_name().unwrap().to_str().unwrap();
        // `..` behind a link is that of where it leads.
        for name in ["file", "absolute", "relative", "links/links/file", &format!("links/../{own_name}/file")] {
            assert_eq!(open(&scratch.0.join(name), Missing::Fails).unwrap().metadata.ino(), inode, "{name}");
        }
        assert_eq!(open(&scratch.0.join("gone"), Missing::Fails).unwrap_err().kind(), io::ErrorKind::NotFound);
        symlink("turn", scratch.0.join("turn")).unwrap();
        assert_eq!(open(&scratch.0.join("turn"), Missing::Fails).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        // Only root can make a link look like another account's.
        if own_user() == 0 {
            std::os::unix::fs::lchown(scratch.0.join("absolute"), Some(12_345), Some(12_345)).unwrap();
            let refused = open(&scratch.0.join("absolute"), Missing::Fails).unwrap_err().to_string();
            assert!(refused.contains("made by user 12345, and is not followed"), "{refused}");
        }
    }

    #[test]
    fn what_is_neither_file_nor_directory_is_refused() {
        let scratch = Scratch::new("kinds");
        let socket = scratch.0.join("socket");
        let _bound = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [socket.as_path(), Path::new("/dev/null")] {
            assert_eq!(open(path, Missing::Fails).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{path:?}");
        }
        let made = scratch.0.join("a").join("b");
        assert!(open(&made, Missing::IsMade).unwrap().metadata.is_dir() && made.is_dir());
    }

    #[test]
    fn a_file_with_a_second_name_keeps_its_mode() {
        let scratch = Scratch::new("names");
        let file = scratch.file("file");
        fs::set_permissions(&file, Permissions::from_mode(0o604)).unwrap();
        open(&file, Missing::Fails).unwrap().set_mode(0o600).unwrap();
        fs::hard_link(&file, scratch.0.join("second")).unwrap();
        let refused = open(&file, Missing::Fails).unwrap().set_mode(0o644).unwrap_err();
        assert!(refused.to_string().contains("hard link"), "{refused}");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn giving_a_directory_away_reaches_nothing_outside() {
        // The others may do nothing here that would have to be checked.
        if own_user() != 0 {
            return;
        }
        let (scratch, outside) = (Scratch::new("give"), Scratch::new("outside"));
        let (secret, shared) = (outside.file("secret"), outside.file("shared"));
        fs::create_dir_all(scratch.0.join("logs")).unwrap();
        let log = scratch.file("logs/log");
        symlink(&secret, scratch.0.join("development.key")).unwrap();
        symlink(&outside.0, scratch.0.join("buffers")).unwrap();
        fs::hard_link(&shared, scratch.0.join("second")).unwrap();
        let mut left = Vec::new();
        let owner = Owner { user: 12_345, group: 12_345 };
        open(&scratch.0, Missing::Fails).unwrap().give_all(owner, &mut left).unwrap();
        assert_eq!((owner_of(&scratch.0), owner_of(&log)), (12_345, 12_345));
        assert_eq!((owner_of(&outside.0), owner_of(&secret), owner_of(&shared)), (0, 0, 0));
        assert!(left.len() == 1 && left[0].starts_with("second: "), "{left:?}");
    }
}
