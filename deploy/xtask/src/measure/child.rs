//! Programs that a measurement starts: each is waited for until it answers, and ended by its own id.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::process;

const ANSWER: Duration = Duration::from_secs(5);
/// How long a program may take to be ready.
pub(crate) const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(45);
const FIRST_PORT: u16 = 21_000;
const PORTS: u16 = 10_000;

/// How a program is asked to stop.
#[derive(Clone, Copy)]
pub(crate) enum Stop {
    /// The end of its standard input.
    Stdin,
    /// SIGTERM.
    Signal,
}

/// A program that runs. Dropped without [`Server::stop`] (after an error) it is killed.
pub(crate) struct Server {
    pub(crate) name: String,
    /// Its output.
    pub(crate) log: PathBuf,
    child: Child,
    stop: Stop,
}

impl Server {
    /// Starts it with its output in `directory`.
    pub(crate) fn start(name: &str, mut command: Command, stop: Stop, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let file = std::fs::File::create(&log)?;
        command.stdout(file.try_clone()?).stderr(file);
        command.stdin(if matches!(stop, Stop::Stdin) { Stdio::piped() } else { Stdio::null() });
        let child = command.spawn().with_context(|| format!("failed to start {name}"))?;
        Ok(Self { name: name.to_owned(), log, child, stop })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` says so; an error names the log.
    pub(crate) fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<()> {
        let end = Instant::now() + START;
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}): see {}", self.name, self.log.display());
            }
            if Instant::now() > end {
                bail!("{} is not ready after {} s: see {}", self.name, START.as_secs(), self.log.display());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Stops it; one that does not stop in time is killed, and that is an error.
    pub(crate) fn stop(mut self) -> Result<()> {
        match self.stop {
            Stop::Stdin => drop(self.child.stdin.take()),
            Stop::Signal => process::run_quietly(process::command("kill").arg(self.id().to_string()))?,
        }
        let end = Instant::now() + STOP;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > end {
                bail!("{} did not stop in {} s: see {}", self.name, STOP.as_secs(), self.log.display());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nothing listens on now. Below those that systems give to clients: a thousand users of another server
/// would take it before its own server is up.
pub(crate) fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..PORTS {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add((std::process::id() * 16) as u16);
        let port = FIRST_PORT + offset % PORTS;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}

/// Asks for `path` over plain HTTP: the status and the body.
pub(crate) fn ask(port: u16, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("the answer is cut short")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status in the answer")?;
    Ok((status, body.to_owned()))
}

/// Whether something answers `path` with 200.
pub(crate) fn answers(port: u16, path: &str) -> bool {
    ask(port, path).is_ok_and(|(status, _)| status == 200)
}
