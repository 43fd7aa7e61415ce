//! What systemd passes to a service beside its arguments: open sockets from descriptor 3 on, as many as `LISTEN_FDS`
//! says, if `LISTEN_PID` is this process (sd_listen_fds(3)).

use std::net::TcpListener;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

use socket2::Socket;

/// The first descriptor that is passed.
const FIRST: RawFd = 3;

/// The TCP listeners among them; may be called once. Everything that was passed is closed in programs that this
/// process starts.
pub(crate) fn given_listeners() -> Vec<TcpListener> {
    let variable = |name| std::env::var(name).ok();
    passed(variable("LISTEN_PID").as_deref(), variable("LISTEN_FDS").as_deref(), std::process::id())
        .filter_map(|descriptor| {
            // SAFETY: fcntl with F_GETFD reads nothing but its arguments, and fails for a descriptor that is not open.
            if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } < 0 {
                return None;
            }
            // SAFETY: it is open, and by the protocol it belongs to this process, where nobody else takes it.
            adopt(unsafe { OwnedFd::from_raw_fd(descriptor) })
        })
        .collect()
}

/// The descriptors that these variables mean to the process `own`.
fn passed(pid: Option<&str>, count: Option<&str>, own: u32) -> std::ops::Range<RawFd> {
    let is_ours = pid.and_then(|pid| pid.parse().ok()) == Some(own);
    let count = count.and_then(|count| count.parse::<RawFd>().ok()).filter(|count| is_ours && *count > 0);
    FIRST..FIRST.saturating_add(count.unwrap_or(0))
}

fn adopt(descriptor: OwnedFd) -> Option<TcpListener> {
    let socket = Socket::from(descriptor);
    // Whatever cannot be set up is not a listener of ours.
    socket.set_cloexec(true).ok()?;
    if !socket.is_listener().ok()? || socket.local_addr().ok()?.as_socket().is_none() {
        return None;
    }
    socket.set_nonblocking(true).ok()?;
    socket.listen(super::TCP_BACKLOG).ok()?;
    Some(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_for_this_process_is_taken() {
        for (pid, count, expected) in [
            (Some("7"), Some("2"), 3..5),
            (Some("8"), Some("2"), 3..3),
            (Some("7"), None, 3..3),
            (None, Some("2"), 3..3),
            (Some("7"), Some("-1"), 3..3),
            (Some("7"), Some("many"), 3..3),
        ] {
            assert_eq!(passed(pid, count, 7), expected, "{pid:?} {count:?}");
        }
    }

    #[test]
    fn a_socket_that_does_not_listen_is_left_alone() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(adopt(one.into()).is_none());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(adopt(listener.into()).unwrap().local_addr().unwrap(), address);
    }
}
