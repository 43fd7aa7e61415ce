//! The worker channel's listener: takes connections of workers, checks their tokens and hands
//! each to the task that started the process. Opened once by `server`; speaks to no worker
//! beyond its `Hello`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tidegate_contract::{FromWorker, Lines, MAX_LINE};
use tidegate_host::{Endpoint, LocalListener, LocalStream};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time;

/// For a worker's `Hello`, from its connection.
pub(crate) const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest hello, in bytes: what a stranger can make us keep.
pub(crate) const HELLO_LINE: usize = 64 << 10;
/// Connections that have not said who they are; more wait in the listener.
pub(crate) const STRANGERS: usize = 64;
/// Pause after an accept that failed, most likely for want of descriptors.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A worker that has said `Hello` with the right token.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) lines: Lines<ReadHalf<LocalStream>>,
    pub(crate) writer: WriteHalf<LocalStream>,
    pub(crate) protocol: u32,
    pub(crate) pid: u32,
    /// The process at the other end, as the system tells it.
    pub(crate) process: Option<u32>,
    pub(crate) python: String,
    pub(crate) executable: String,
}

type Expected = Arc<Mutex<HashMap<String, oneshot::Sender<Connection>>>>;

/// Where worker tasks wait for their processes to connect.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    endpoint: Endpoint,
    expected: Expected,
}

/// The promise of one worker's connection; its token is void once this is dropped.
#[derive(Debug)]
pub(crate) struct Arrival {
    token: String,
    expected: Expected,
    pub(crate) connection: oneshot::Receiver<Connection>,
}

impl Channel {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, expected: Expected::default() }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Lets the worker with this token in, once.
    pub(crate) fn expect(&self, token: String) -> Arrival {
        let (sender, connection) = oneshot::channel();
        self.expected.lock().insert(token.clone(), sender);
        Arrival { token, expected: Arc::clone(&self.expected), connection }
    }

    /// Serves the channel until it is dropped.
    pub(crate) async fn serve(self, mut listener: LocalListener) {
        let mut greetings = JoinSet::new();
        loop {
            // Both are cancel-safe.
            tokio::select! {
                accepted = listener.accept(), if greetings.len() < STRANGERS => match accepted {
                    Ok(stream) => { greetings.spawn(greet(stream, Arc::clone(&self.expected))); }
                    Err(error) => {
                        tracing::error!(%error, "failed to accept a worker's connection");
                        time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(greeting) = greetings.join_next() => log_panicked(greeting),
            }
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.expected.lock().remove(&self.token);
    }
}

async fn greet(stream: LocalStream, expected: Expected) {
    let process = stream.client_process();
    let (reader, writer) = tokio::io::split(stream);
    let mut lines = Lines::bounded(reader, HELLO_LINE);
    let hello = match time::timeout(HELLO_TIMEOUT, lines.next()).await {
        Ok(Ok(Some(FromWorker::Hello { protocol, token, pid, python, executable }))) => {
            lines.allow(MAX_LINE);
            let waiting = expected.lock().remove(&token);
            waiting.map(|waiting| (waiting, Connection { lines, writer, protocol, pid, process, python, executable }))
        }
        Ok(Ok(None)) => return,
        Ok(Ok(Some(_))) => return refuse("it did not say hello first"),
        Ok(Err(error)) => return refuse(&error.to_string()),
        Err(_) => return refuse("it did not say hello in time"),
    };
    match hello {
        // The task that waited may have ended meanwhile; the worker then sees the channel end.
        Some((waiting, connection)) => drop(waiting.send(connection)),
        None => refuse("its token belongs to no worker that was started"),
    }
}

fn refuse(reason: &str) {
    tracing::warn!(reason, "refused a connection to the worker channel");
}

/// The panic itself is logged where it happens.
pub(crate) fn log_panicked(result: Result<(), tokio::task::JoinError>) {
    if let Err(error) = result
        && error.is_panic()
    {
        tracing::error!("a connection's task panicked");
    }
}
