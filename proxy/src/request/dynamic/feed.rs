//! The client while a worker has its request: its body, where that is streamed, and whether it is
//! still there.

use std::time::Duration;

use bytes::BytesMut;
use tidegate_contract::Cause;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::super::client_failure;
use super::super::error::Failure;
use crate::session::Exchange;
use crate::upstream::{BodyPart, BodySender, RequestBody};

/// For this long nobody looks whether the client is still there. Most requests are answered by then, and
/// to watch a socket costs system calls for each request; on Windows two polls of the socket.
const UNWATCHED: Duration = Duration::from_secs(3);

/// Brings the client's body to the worker and watches the client.
pub(super) struct Feed {
    sender: Option<BodySender>,
    /// Fires at the first dispatch; beyond what was read ahead no byte is read before.
    begin: Option<oneshot::Receiver<()>>,
    pub(super) start: Option<oneshot::Sender<()>>,
    /// Fires when the worker wants the body of a client that waits for 100 Continue.
    wanted: Option<oneshot::Receiver<()>>,
    pub(super) inform: Option<oneshot::Sender<()>>,
    limit: u64,
    pub(super) received: u64,
    done: bool,
    /// From here on the client is watched.
    watch_from: Instant,
}

impl Feed {
    /// Of a client whose whole body is here: only to be watched.
    pub(super) fn finished(received: u64) -> Self {
        Self {
            sender: None,
            begin: None,
            start: None,
            wanted: None,
            inform: None,
            limit: received,
            received,
            done: true,
            watch_from: Instant::now() + UNWATCHED,
        }
    }

    /// Of a client whose body goes on to the worker as it comes. `expects`: it waits for 100 Continue.
    pub(super) fn streaming(length: Option<u64>, expects: bool, limit: u64) -> (Self, RequestBody) {
        let mut feed = Self { limit, done: false, ..Self::finished(0) };
        let (start, begin) = oneshot::channel();
        (feed.start, feed.begin) = (Some(start), Some(begin));
        if expects {
            let (inform, wanted) = oneshot::channel();
            (feed.inform, feed.wanted) = (Some(inform), Some(wanted));
        }
        let (sender, body) = RequestBody::channel(length);
        feed.sender = Some(sender);
        (feed, body)
    }

    /// Reads the beginning of a body that the client sends unasked: a body no larger than this costs
    /// no thread however slowly it comes.
    pub(super) async fn read_ahead(&mut self, exchange: &mut Exchange, size: usize) -> Result<(), Failure> {
        if self.wanted.is_some() {
            return Ok(());
        }
        let Some(sender) = &self.sender else { return Ok(()) };
        let mut read = BytesMut::new();
        while read.len() < size && !self.done {
            match exchange.read_body().await.map_err(client_failure)? {
                Some(piece) => {
                    self.received += piece.len() as u64;
                    if self.received > self.limit {
                        return Err(Failure::body_too_large());
                    }
                    read.extend_from_slice(&piece);
                }
                None => self.done = true,
            }
        }
        // The channel is new: there is a place for both.
        if !read.is_empty() {
            let _ = sender.try_send(BodyPart::Data(read.freeze()));
        }
        if self.done {
            let _ = sender.try_send(BodyPart::End);
        }
        Ok(())
    }

    /// Runs until the client fails; pending for as long as it does not. Cancel-safe: a piece
    /// that was read has a place in the channel.
    pub(super) async fn run(&mut self, exchange: &mut Exchange) -> Failure {
        match self.forward(exchange).await {
            Ok(()) if self.done => {
                sleep_until(self.watch_from).await;
                exchange.gone().await;
                Failure::new(Cause::ClientClosed, "the client went away")
            }
            // The worker answers without reading the rest; the response decides what follows.
            Ok(()) => std::future::pending().await,
            Err(failure) => failure,
        }
    }

    async fn forward(&mut self, exchange: &mut Exchange) -> Result<(), Failure> {
        if self.done {
            return Ok(());
        }
        if let Some(begin) = &mut self.begin {
            if begin.await.is_err() {
                return Ok(());
            }
            self.begin = None;
        }
        if let Some(wanted) = &mut self.wanted {
            if wanted.await.is_err() {
                return Ok(());
            }
            self.wanted = None;
            exchange.send_continue().await.map_err(client_failure)?;
        }
        let Some(sender) = &self.sender else { return Ok(()) };
        loop {
            let Ok(place) = sender.reserve().await else { return Ok(()) };
            match exchange.read_body().await.map_err(client_failure)? {
                Some(piece) => {
                    self.received += piece.len() as u64;
                    if self.received > self.limit {
                        return Err(Failure::body_too_large());
                    }
                    place.send(BodyPart::Data(piece));
                }
                None => {
                    place.send(BodyPart::End);
                    self.done = true;
                    return Ok(());
                }
            }
        }
    }
}
