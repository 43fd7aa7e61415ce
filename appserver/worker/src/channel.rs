//! The worker's side of the channel to the supervisor. Lives on the I/O thread; the rest of the
//! worker speaks through [`Supervisor`], which never blocks. The end of the channel means that
//! the supervisor is gone: the process ends at once, whatever Python is doing.

use std::sync::mpsc::SyncSender;

use tidegate_contract::{FromWorker, LineError, Lines, ToWorker};
use tidegate_host::{Endpoint, LocalStream};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Duration, Instant};

use crate::shared::Shared;
use crate::{exit, log};

/// How long the supervisor may take to accept the connection.
const CONNECT: Duration = Duration::from_secs(10);

/// A message, and whom to tell once it is written.
struct Outgoing {
    message: FromWorker,
    written: Option<SyncSender<()>>,
}

/// Speaks to the supervisor from any thread.
pub(crate) struct Supervisor {
    // Unbounded, because no thread may wait here: a handful of messages per request at the most
    // can be under way, and the supervisor's end ends the process.
    outgoing: UnboundedSender<Outgoing>,
}

/// What [`Supervisor`] was told, on its way to the channel.
pub(crate) struct Mailbox {
    outgoing: UnboundedReceiver<Outgoing>,
}

impl Supervisor {
    pub(crate) fn new() -> (Self, Mailbox) {
        let (sender, receiver) = unbounded_channel();
        (Self { outgoing: sender }, Mailbox { outgoing: receiver })
    }

    /// Sends a message soon.
    pub(crate) fn say(&self, message: FromWorker) {
        // Without a receiver the process is ending.
        let _ = self.outgoing.send(Outgoing { message, written: None });
    }

    /// Sends a message and waits until it is written, or for as long as `patience`. Never called
    /// on the I/O thread, nor by a thread that is attached to Python.
    pub(crate) fn say_and_wait(&self, message: FromWorker, patience: Duration) {
        let (written, done) = std::sync::mpsc::sync_channel(1);
        if self.outgoing.send(Outgoing { message, written: Some(written) }).is_ok() {
            // Late is no different from never: the caller goes on.
            let _ = done.recv_timeout(patience);
        }
    }
}

/// An open channel.
pub(crate) struct Channel {
    lines: Lines<ReadHalf<LocalStream>>,
    writer: WriteHalf<LocalStream>,
}

impl Channel {
    /// Connects to the supervisor.
    pub(crate) async fn connect(endpoint: &Endpoint) -> std::io::Result<Self> {
        let stream = tidegate_host::connect(endpoint, Instant::now() + CONNECT).await?;
        let (reader, writer) = tokio::io::split(stream);
        Ok(Self { lines: Lines::new(reader), writer })
    }

    /// Carries messages both ways until the process ends. `stop` is called when the supervisor
    /// says so.
    pub(crate) fn run(self, shared: &'static Shared, mailbox: Mailbox, stop: impl Fn(Duration) + Send + 'static) {
        let Self { lines, writer } = self;
        tokio::spawn(async move {
            let ended = write(writer, mailbox).await;
            leave(ended);
        });
        tokio::spawn(async move {
            let ended = read(shared, lines, stop).await;
            leave(ended);
        });
    }
}

async fn write(mut writer: WriteHalf<LocalStream>, mut mailbox: Mailbox) -> Result<(), LineError> {
    while let Some(Outgoing { message, written }) = mailbox.outgoing.recv().await {
        Lines::write(&mut writer, &message).await?;
        if let Some(written) = written {
            // The waiting thread may have lost its patience.
            let _ = written.try_send(());
        }
    }
    Ok(())
}

async fn read(
    shared: &'static Shared,
    mut lines: Lines<ReadHalf<LocalStream>>,
    stop: impl Fn(Duration),
) -> Result<(), LineError> {
    while let Some(message) = lines.next().await? {
        match message {
            ToWorker::Stop { drain_ms } => stop(Duration::from_millis(drain_ms)),
            ToWorker::Inspect { ask, stacks } => shared.inspector.asked(shared, ask, stacks),
        }
    }
    Ok(())
}

fn leave(ended: Result<(), LineError>) -> ! {
    match ended {
        Ok(()) => log::line("the app server is gone; leaving"),
        Err(error) => log::line(&format!("the app server is gone ({error}); leaving")),
    }
    log::finish();
    // What the app started goes too.
    tidegate_host::kill_own_group();
    exit::at_once(1)
}
