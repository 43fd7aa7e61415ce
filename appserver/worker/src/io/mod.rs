//! The I/O thread: one native thread with a single-threaded runtime that owns every socket; what others may do is to write a
//! whole response to a connection of `bare`, through `wire`. It never runs Python and never waits for a thread that does.

mod bare;
mod body;
mod connection;
mod head;
mod service;
mod wire;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use tidegate_host::Endpoint;
use tokio::runtime::Builder;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

pub(crate) use self::body::{ReplyBody, Streamed};
pub(crate) use self::service::{INTERNAL, failure};
use self::wire::Answer;
use crate::channel::{Channel, Mailbox};
use crate::inspect;
use crate::outbox::{Event, Outbox};
use crate::shared::Shared;

/// A response on its way to its connection.
pub(crate) type Reply = http::Response<ReplyBody>;

/// Where a response goes.
pub(crate) enum ReplyTo {
    /// To hyper's task, by way of the outbox.
    Hyper(oneshot::Sender<Reply>),
    /// Straight to its connection.
    Wire(Answer),
}

impl ReplyTo {
    /// Answers. Called by Python threads.
    pub(crate) fn send(self, reply: Reply, outbox: &Outbox) {
        match self {
            Self::Hyper(to) => outbox.push(Event::Reply(to, reply)),
            Self::Wire(answer) => answer.send(reply),
        }
    }
}

/// What the main thread asks of the I/O thread.
pub(crate) enum Order {
    /// Listen, and say how that went.
    Listen(Endpoint, Sender<std::io::Result<()>>),
    /// Accept nothing more, finish the responses under way, and say when they are finished.
    Finish(Sender<()>),
}

/// The main thread's handle on the I/O thread.
pub(crate) struct Io {
    orders: tokio::sync::mpsc::UnboundedSender<Order>,
}

impl Io {
    /// Starts the thread and connects the channel. `stop` runs on it when the supervisor says stop.
    pub(crate) fn start(
        shared: &'static Shared,
        supervisor: Endpoint,
        mailbox: Mailbox,
        stop: impl Fn(Duration) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (orders, receiver) = tokio::sync::mpsc::unbounded_channel();
        let (connected, result) = channel();
        thread::Builder::new().name("tidegate-io".to_owned()).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(connected.send(Err(error))),
            };
            runtime.block_on(async move {
                match Channel::connect(&supervisor).await {
                    Ok(channel) => channel.run(shared, mailbox, stop),
                    Err(error) => return drop(connected.send(Err(error))),
                }
                // The main thread waits for this.
                let _ = connected.send(Ok(()));
                tokio::spawn(shared.outbox.run());
                tokio::spawn(inspect::watch_slow(shared));
                obey(shared, receiver).await;
            });
        })?;
        received(&result)??;
        Ok(Self { orders })
    }

    /// Binds the endpoint and accepts connections from then on.
    pub(crate) fn listen(&self, endpoint: Endpoint) -> std::io::Result<()> {
        let (done, result) = channel();
        self.order(Order::Listen(endpoint, done));
        received(&result)?
    }

    /// Stops accepting and waits until the responses under way are written, at the most `patience`.
    pub(crate) fn finish(&self, patience: Duration) {
        let (done, result) = channel();
        self.order(Order::Finish(done));
        // What is not written by then is given up.
        let _ = result.recv_timeout(patience);
    }

    fn order(&self, order: Order) {
        // Without its receiver the I/O thread has ended, and then so does the process.
        let _ = self.orders.send(order);
    }
}

fn received<T>(result: &Receiver<T>) -> std::io::Result<T> {
    result.recv().map_err(|_| std::io::Error::other("the I/O thread has ended"))
}

async fn obey(shared: &'static Shared, mut orders: UnboundedReceiver<Order>) {
    let mut server = None;
    while let Some(order) = orders.recv().await {
        match order {
            Order::Listen(endpoint, done) => {
                let bound = connection::Server::bind(shared, &endpoint).map(|bound| server = Some(bound));
                // The main thread waits for this.
                let _ = done.send(bound);
            }
            Order::Finish(done) => {
                if let Some(server) = server.take() {
                    server.finish().await;
                }
                let _ = done.send(());
            }
        }
    }
}
