//! Child processes that never outlive their parent, with everything that they start in turn. Used by
//! the app server for workers and by the command for the pair of programs; it never restarts one.
//!
//! Reading output and waiting happen on threads, three a child at the most, and need no runtime: the
//! pipes of a Windows child cannot be read asynchronously, and one way for both systems is enough.

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::process::ChildStdin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::thread;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::{mpsc, watch};

use crate::sys;

/// Pieces of output read ahead of whoever consumes them; a child that is further ahead waits.
const OUTPUT_PIECES: usize = 16;
const OUTPUT_PIECE: usize = 8 * 1024;

/// The children of this process, also those that have ended and are still held by somebody.
static CHILDREN: Mutex<Vec<Weak<sys::Process>>> = Mutex::new(Vec::new());

fn remember(process: &Arc<sys::Process>) {
    let mut children = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
    children.retain(|child| child.strong_count() > 0);
    children.push(Arc::downgrade(process));
}

/// Whether a process is a child of this one that [`crate::Spawn`] has started, or was started by such a child.
pub fn is_of_child(pid: u32) -> bool {
    let children: Vec<_> = {
        let children = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
        children.iter().filter_map(Weak::upgrade).collect()
    };
    children.iter().any(|child| child.contains(pid))
}

/// What the system's part of spawning hands over.
pub(crate) struct Started {
    pub(crate) process: sys::Process,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<std::process::ChildStdout>,
    pub(crate) stderr: Option<std::process::ChildStderr>,
}

/// A child process and everything that it starts. All of it is killed when this is dropped, when the
/// child itself has ended, and when this process dies, however it dies.
#[derive(Debug)]
pub struct Child {
    process: Arc<sys::Process>,
    exit: watch::Receiver<Option<Result<Exit, String>>>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildOutput>,
    stderr: Option<ChildOutput>,
}

impl Child {
    /// Takes charge of a process that was just started.
    pub(crate) fn of(started: Started) -> io::Result<Self> {
        let process = Arc::new(started.process);
        remember(&process);
        // From here on a failure must not leave the child behind: `child` kills it when dropped.
        let (exited, exit) = watch::channel(None);
        let mut child = Child { process: Arc::clone(&process), exit, stdin: started.stdin, stdout: None, stderr: None };
        thread::Builder::new().name(format!("wait-{}", child.id())).spawn(move || {
            exited.send_replace(Some(process.wait().map_err(|error| error.to_string())));
        })?;
        child.stdout = started.stdout.map(ChildOutput::read).transpose()?;
        child.stderr = started.stderr.map(ChildOutput::read).transpose()?;
        Ok(child)
    }

    /// The process id. A virtual environment's interpreter on Windows is a launcher: the process that
    /// runs Python has another.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether a process is this child, or was started by it or by what it started.
    pub fn contains(&self, pid: u32) -> bool {
        self.process.contains(pid)
    }

    /// Captured standard output, once.
    pub fn take_stdout(&mut self) -> Option<ChildOutput> {
        self.stdout.take()
    }

    /// Captured standard error, once.
    pub fn take_stderr(&mut self) -> Option<ChildOutput> {
        self.stderr.take()
    }

    /// Ends the child's standard input, if it is a pipe.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for the end; the same answer every time. Cancel-safe.
    pub async fn wait(&mut self) -> io::Result<Exit> {
        match self.exit.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Ok(exit))) => Ok(*exit),
            Ok(Some(Err(message))) => Err(io::Error::other(message.clone())),
            Ok(None) | Err(_) => Err(io::Error::other("the thread that waits for the process is gone")),
        }
    }

    /// Kills the child and everything that it started. Nothing happens if it has ended.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The waiting thread collects the exit status; an error leaves nothing more to try.
        let _ = self.process.kill();
    }
}

/// Output of a child, as it comes. Ends when every process that holds the pipe has closed it.
#[derive(Debug)]
pub struct ChildOutput {
    pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
    rest: Vec<u8>,
    consumed: usize,
}

impl ChildOutput {
    fn read(mut pipe: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, pieces) = mpsc::channel(OUTPUT_PIECES);
        thread::Builder::new().name("child-output".into()).spawn(move || {
            let mut buffer = vec![0; OUTPUT_PIECE];
            loop {
                let piece = match pipe.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => Ok(buffer[..length].to_vec()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = piece.is_err();
                if sender.blocking_send(piece).is_err() || failed {
                    break;
                }
            }
        })?;
        Ok(Self { pieces, rest: Vec::new(), consumed: 0 })
    }
}

impl AsyncRead for ChildOutput {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.consumed == self.rest.len() {
            match std::task::ready!(self.pieces.poll_recv(cx)) {
                Some(piece) => {
                    self.rest = piece?;
                    self.consumed = 0;
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = buf.remaining().min(self.rest.len() - self.consumed);
        let start = self.consumed;
        buf.put_slice(&self.rest[start..start + length]);
        self.consumed += length;
        Poll::Ready(Ok(()))
    }
}

/// How a process ended: with a code, or by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The exit code. Windows' unsigned codes keep their bits.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Exit {
    /// Whether the code is 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            // Only Windows has such codes, and everybody looks them up in hexadecimal.
            (Some(code), _) if code < 0 => write!(f, "exit code 0x{code:08X}"),
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => match signal_name(signal) {
                Some(name) => write!(f, "signal {signal} ({name})"),
                None => write!(f, "signal {signal}"),
            },
            (None, None) => f.write_str("unknown exit status"),
        }
    }
}

/// Linux's numbers, of those signals that end processes in practice.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_read_like_what_one_searches_for() {
        for (code, signal, text) in [
            (Some(3), None, "exit code 3"),
            (Some(0xC000_0005_u32 as i32), None, "exit code 0xC0000005"),
            (None, Some(9), "signal 9 (SIGKILL)"),
            (None, Some(40), "signal 40"),
            (None, None, "unknown exit status"),
        ] {
            assert_eq!(Exit { code, signal }.to_string(), text);
        }
        assert!(Exit { code: Some(0), signal: None }.success());
        assert!(!Exit { code: None, signal: Some(9) }.success());
    }
}
