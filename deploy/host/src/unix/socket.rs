//! Unix sockets.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

use super::place::own_user;
use super::trust;
use crate::{Audience, Endpoint};

/// The kernel lowers it to net.core.somaxconn (4096 by default).
const BACKLOG: i32 = 65535;

/// Lets the group pass a directory and see what is in it.
const PASS: u32 = 0o050;

/// Size of `sun_path`, which includes the NUL at its end.
const PATH_LIMIT: usize = 108;

pub(crate) type Stream = UnixStream;
pub(crate) type Reader = OwnedReadHalf;
pub(crate) type Writer = OwnedWriteHalf;

pub(crate) fn halves(stream: Stream) -> (Reader, Writer) {
    stream.into_split()
}

pub(crate) fn join_halves(reader: Reader, writer: Writer) -> Option<Stream> {
    reader.reunite(writer).ok()
}

pub(crate) fn try_write(writer: &Writer, data: &[u8]) -> io::Result<usize> {
    writer.try_write(data)
}

pub(crate) fn poll_room(writer: &Writer, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    writer.as_ref().poll_write_ready(cx)
}

pub(crate) fn local_endpoint(dir: &Path, name: &str) -> Endpoint {
    Endpoint::Unix(dir.join(format!("{name}.sock")))
}

/// `None`: the backlog is full, try again.
pub(crate) async fn connect(endpoint: &Endpoint) -> io::Result<Option<Stream>> {
    let path = path(endpoint)?;
    match UnixStream::connect(path).await {
        Ok(stream) => check_peer(&stream, path).map(|()| Some(stream)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// None of another container, whose processes are not seen from here.
pub(crate) fn client_process(stream: &Stream) -> Option<u32> {
    stream.peer_cred().ok()?.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid != 0)
}

pub(crate) fn server_process(_stream: &Stream) -> Option<u32> {
    None
}

/// Every connection was checked when it was made, whoever it leads to.
pub(crate) fn check_server(_stream: &Stream) -> io::Result<()> {
    Ok(())
}

/// Says who may not give orders, or send requests, to whom.
pub(crate) fn check_client(stream: &Stream, audience: Audience) -> io::Result<()> {
    if trust::users().is_empty() {
        // The socket is its owner's alone.
        return Ok(());
    }
    let peer = stream.peer_cred()?;
    if trust::may_connect(peer.uid(), own_user(), trust::users(), audience) {
        return Ok(());
    }
    let process = peer.pid().unwrap_or_default();
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("process {process} is of user {}, expected root or {}", peer.uid(), trust::trusted().join(", ")),
    ))
}

/// Our sockets are for chosen accounts, so one that another user lets us write to is not ours: that
/// user made the directory first, in a place like /tmp.
fn check_peer(stream: &UnixStream, path: &Path) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    // The peer of a socket is whoever listened on it.
    let directory = || path.parent().and_then(|dir| fs::metadata(dir).ok()).map(|dir| dir.uid());
    if is_expected(peer.uid(), own_user(), trust::users(), directory) {
        return Ok(());
    }
    let process = peer.pid().unwrap_or_default();
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "process {process} of user {} listens there; expected root, this user ({}), one of --trust or, as root, the owner \
             of the directory",
            peer.uid(),
            own_user()
        ),
    ))
}

/// Root may look at everybody's, but only where nobody else can have put a socket: in a directory of that user's.
fn is_expected(peer: u32, own: u32, trusted: &[u32], directory: impl FnOnce() -> Option<u32>) -> bool {
    peer == own || peer == 0 || trusted.contains(&peer) || (own == 0 && directory() == Some(peer))
}

#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the socket file, to know it from one that replaced it.
    identity: (u64, u64),
}

impl Listener {
    /// A socket is its owner's only, unless others are trusted: then it is the group's as well, if it is for them.
    pub(crate) fn bind(endpoint: &Endpoint, audience: Audience) -> io::Result<Self> {
        let path = path(endpoint)?;
        let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let has_guests = !trust::users().is_empty();
        // Held until the socket listens: of two processes that find the same stale file, the second
        // must not remove what the first has just made.
        let _lock = lock(dir, has_guests)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // SAFETY: the descriptor is open. Linux gives the file the mode of the socket it is made from,
        // so there is no moment in which others could connect.
        if unsafe { libc::fchmod(socket.as_raw_fd(), 0o600) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let address = SockAddr::unix(path)?;
        match socket.bind(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(&address)? => {
                fs::remove_file(path)?;
                socket.bind(&address)?;
            }
            other => other?,
        }
        if has_guests && audience != Audience::Workers {
            // The umask has kept it from the group until now. Nobody can connect before it listens.
            fs::set_permissions(path, Permissions::from_mode(0o660))?;
        }
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self {
            listener: UnixListener::from_std(socket.into())?,
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
        })
    }

    pub(crate) fn is_in_place(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity)
    }

    pub(crate) async fn accept(&mut self) -> io::Result<Stream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.is_in_place() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn path(endpoint: &Endpoint) -> io::Result<&Path> {
    let Endpoint::Unix(path) = endpoint else {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "there are no named pipes on this system"));
    };
    let length = path.as_os_str().as_bytes().len();
    if length >= PATH_LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the path has {length} bytes, a socket's may have {}: choose a shorter directory", PATH_LIMIT - 1),
        ));
    }
    Ok(path)
}

/// Creates the directory if it is missing, checks that no other user could put sockets into it or
/// replace ours, and locks it. An existing directory keeps its mode: others may need it, like `/run`. One of our own
/// lets guests, who have our group, pass.
fn lock(dir: &Path, has_guests: bool) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let file = File::open(dir)?;
    let metadata = file.metadata()?;
    let denied = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {why}", dir.display())));
    if metadata.uid() != own_user() && metadata.uid() != 0 {
        return denied(format!("belongs to another user ({})", metadata.uid()));
    }
    // In a sticky directory like /tmp everybody may create files but remove their own only.
    if metadata.mode() & 0o1002 == 0o0002 {
        return denied("can be written to by everybody".to_owned());
    }
    if has_guests && metadata.uid() == own_user() && metadata.mode() & PASS != PASS {
        file.set_permissions(Permissions::from_mode(metadata.mode() & 0o7777 | PASS))?;
    }
    file.lock()?;
    Ok(file)
}

/// Whether nobody answers on a socket file: its process has died without removing it. A file that is
/// no socket is not stale.
fn is_stale(address: &SockAddr) -> io::Result<bool> {
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A full backlog must count as an answer rather than block.
    probe.set_nonblocking(true)?;
    let refused = matches!(probe.connect(address), Err(error) if error.kind() == io::ErrorKind::ConnectionRefused);
    let is_socket = address.as_pathname().is_some_and(|path| {
        use std::os::unix::fs::FileTypeExt;
        fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
    });
    Ok(refused && is_socket)
}

#[cfg(test)]
mod tests {
    use super::is_expected;

    #[test]
    fn only_ourselves_root_whom_we_trust_and_for_root_the_directorys_owner_are_expected() {
        for (peer, own, trusted, directory, expected) in [
            (0, 0, &[][..], 0, true),
            (1000, 0, &[], 1000, true),
            (1000, 0, &[], 0, false),
            (1000, 0, &[], 1001, false),
            (1000, 1000, &[], 1000, true),
            (0, 1000, &[], 1000, true),
            (1001, 1000, &[], 1001, false),
            (1001, 1000, &[], 1000, false),
            (1001, 1000, &[1001], 1001, true),
            (1002, 1000, &[1001], 1002, false),
        ] {
            let found = is_expected(peer, own, trusted, || Some(directory));
            assert_eq!(found, expected, "a socket of {peer} in a directory of {directory}, seen by {own}");
        }
        assert!(!is_expected(1000, 0, &[], || None));
    }
}
