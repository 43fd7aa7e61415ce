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
use std::path::{Component, Path, PathBuf};

/// Links in a path, as the kernel has it.
const MOST_LINKS: usize = 40;
/// Of a directory in which everybody removes their own files only.
pub(super) const STICKY: u32 = 0o1000;
/// Owner and group make files there.
const SHARED: u32 = 0o1770;
const PASS_FOR_OTHERS: u32 = 0o005;
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

/// How a directory is given to the accounts that write there.
#[derive(Debug)]
pub(super) struct Share<'a> {
    /// Whose it is, with all in it that is nobody else's.
    pub(super) owner: Owner,
    /// The group of those that make files there as well, and can change or remove their own only.
    pub(super) guests: Option<u32>,
    /// Files of guests, with those beside them whose names go on behind (`log.1`).
    pub(super) files: &'a [(PathBuf, Owner)],
}

impl Share<'_> {
    fn of_file(&self, path: &Path) -> Owner {
        let goes_on = |file: &Path| {
            let (Some(own), Some(name)) = (path.file_name(), file.file_name()) else { return false };
            path.parent() == file.parent() && own.as_bytes().starts_with(name.as_bytes())
        };
        self.files.iter().find(|(file, _)| goes_on(file)).map_or(self.owner, |(_, owner)| *owner)
    }
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
pub(super) fn own_user() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

impl Place {
    /// Whose it is.
    pub(super) fn owner(&self) -> Owner {
        Owner { user: self.metadata.uid(), group: self.metadata.gid() }
    }

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

    /// Shares it with all that is below it on the same mount. Links stay what they are, and so does what is neither file
    /// nor directory, or has a second name. `left` hears of each that was left alone.
    pub(super) fn share_all(&self, path: &Path, share: &Share<'_>, left: &mut Vec<String>) -> io::Result<()> {
        self.share_below(path, share, DEEPEST, left)
    }

    fn share_below(&self, path: &Path, share: &Share<'_>, deeper: usize, left: &mut Vec<String>) -> io::Result<()> {
        let listed = fs::read_dir(self.by_number())?;
        let mount = self.mount()?;
        for entry in listed {
            let name = entry?.file_name();
            // Who deletes what is here meanwhile is right.
            let Ok(below) = open_at(Some(&self.file), &name) else { continue };
            let is_here = below.mount()? == mount;
            let shown = name.to_string_lossy();
            match &below.metadata {
                metadata if metadata.is_symlink() => {}
                metadata if metadata.is_dir() && is_here && deeper > 0 => {
                    below.share_below(&path.join(&name), share, deeper - 1, left)?;
                }
                metadata if metadata.is_file() && is_here => {
                    if let Err(error) = below.give(share.of_file(&path.join(&name))) {
                        left.push(format!("{shown}: {error}"));
                    }
                }
                _ => left.push(format!("{shown}: neither a file nor a directory of this mount")),
            }
        }
        // Last: who owns a directory can exchange what is in it.
        match share.guests {
            Some(group) => {
                self.give(Owner { group, ..share.owner })?;
                // Who reads logs may go on.
                self.set_mode(SHARED | self.mode() & PASS_FOR_OTHERS)
            }
            None => {
                self.give(share.owner)?;
                // As it was shared before.
                if self.mode() & STICKY == 0 { Ok(()) } else { self.set_mode(self.mode() & !(STICKY | 0o070) | 0o050) }
            }
        }
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
    fn target(&self, path: &Path) -> io::Result<PathBuf> {
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

    /// The mount that it was reached by. Its device says less: an overlay, as containers have, gives files others than directories.
    fn mount(&self) -> io::Result<u64> {
        let told = fs::read_to_string(format!("/proc/self/fdinfo/{}", self.file.as_raw_fd()))?;
        let number = told.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok());
        number.ok_or_else(|| io::Error::other("the kernel does not tell mounts apart"))
    }

    /// A name of what is open, whatever is at its path by now.
    fn by_number(&self) -> String {
        format!("/proc/self/fd/{}", self.file.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

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
        let own = Share { owner, guests: None, files: &[] };
        open(&scratch.0, Missing::Fails).unwrap().share_all(&scratch.0, &own, &mut left).unwrap();
        assert_eq!((owner_of(&scratch.0), owner_of(&log)), (12_345, 12_345));
        assert_eq!((owner_of(&outside.0), owner_of(&secret), owner_of(&shared)), (0, 0, 0));
        assert!(left.len() == 1 && left[0].starts_with("second: "), "{left:?}");
    }

    #[test]
    fn a_shared_directory_leaves_each_account_its_files() {
        if own_user() != 0 {
            return;
        }
        let scratch = Scratch::new("share");
        fs::create_dir_all(scratch.0.join("logs")).unwrap();
        let names =
            ["development.key", "maintenance.json", "logs/proxy.log", "logs/server.log", "logs/server.log.1.gz"];
        let paths = names.map(|name| scratch.file(name));
        for directory in [scratch.0.clone(), scratch.0.join("logs")] {
            fs::set_permissions(directory, Permissions::from_mode(0o757)).unwrap();
        }
        let (proxy, server) = (Owner { user: 12_345, group: 12_346 }, Owner { user: 54_321, group: 54_322 });
        let files = [(paths[1].clone(), server), (paths[3].clone(), server)];
        let share = Share { owner: proxy, guests: Some(server.group), files: &files };
        let mut left = Vec::new();
        open(&scratch.0, Missing::Fails).unwrap().share_all(&scratch.0, &share, &mut left).unwrap();
        assert!(left.is_empty(), "{left:?}");
        let expected = [proxy, server, proxy, server, server];
        assert_eq!(paths.each_ref().map(|path| open(path, Missing::Fails).unwrap().owner()), expected);
        for directory in [scratch.0.clone(), scratch.0.join("logs")] {
            let place = open(&directory, Missing::Fails).unwrap();
            assert_eq!((place.owner(), place.mode()), (Owner { group: server.group, ..proxy }, 0o1775));
        }
        // One account for both again.
        let one = Share { owner: server, guests: None, files: &[] };
        open(&scratch.0, Missing::Fails).unwrap().share_all(&scratch.0, &one, &mut left).unwrap();
        let place = open(&scratch.0, Missing::Fails).unwrap();
        assert_eq!((place.owner(), place.mode()), (server, 0o755));
        assert_eq!(open(&paths[0], Missing::Fails).unwrap().owner(), server);
    }
}
