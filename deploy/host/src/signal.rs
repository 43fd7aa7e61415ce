//! Requests to stop or reload, from the system or from a parent that closes our standard input.
//! Used by the programs' main functions, which decide what stopping means.

use std::io::{self, Read};

use tokio::sync::oneshot;

use crate::sys;

/// What the system asks of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Finish and leave: SIGTERM, SIGINT; Ctrl-C, Ctrl-Break, console closed, shutdown.
    Stop,
    /// Read the configuration again: SIGHUP.
    Reload,
}

/// Receives [`Signal`]s from [`Signals::install`] on, instead of the system's default action.
#[derive(Debug)]
pub struct Signals(sys::Signals);

impl Signals {
    /// Starts receiving; within a Tokio runtime.
    pub fn install() -> io::Result<Self> {
        sys::Signals::install().map(Self)
    }

    /// The next signal. Cancel-safe.
    pub async fn next(&mut self) -> Signal {
        self.0.next().await
    }
}

/// Resolves when standard input ends, or cannot be read. What arrives on it is thrown away. The
/// reading thread stays when the future is dropped, since such a read cannot be interrupted.
pub async fn stdin_end() {
    let (ended, end) = oneshot::channel::<()>();
    let reader = std::thread::Builder::new().name("stdin".into()).spawn(move || {
        let mut buffer = [0; 256];
        let mut stdin = io::stdin().lock();
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        drop(ended);
    });
    // Without the thread the end would go unseen and this process might outlive its parent.
    if reader.is_ok() {
        let _ = end.await;
    }
}
