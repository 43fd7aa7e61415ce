//! A response's body on its way from a worker to the client, piece by piece: compressed where that is wanted, and kept in
//! a spool while the client is slower than the worker. Called by `respond`, which has sent the head.

use std::io;

use bytes::Bytes;
use tidegate_contract::Cause;

use super::super::client_failure;
use super::super::error::Failure;
use super::feed::Feed;
use super::respond::{check_length, cut_short};
use crate::buffer::Spool;
use crate::compress::{self, Stream};
use crate::session::Exchange;
use crate::upstream::AnswerBody;

/// A body on its way from a worker to the client.
pub(super) struct Relay<'a> {
    /// The worker's side; gone, and with it the lease, when the worker has given all.
    pub(super) source: Option<AnswerBody>,
    pub(super) spool: Spool<'a>,
    pub(super) buffering: bool,
    /// What it is compressed by.
    pub(super) stream: Option<Stream>,
    pub(super) declared: Option<u64>,
    pub(super) bodiless: bool,
    pub(super) timeout_status: u16,
    pub(super) taken: u64,
    /// What ends the response when all that came before it has left.
    pub(super) failure: Option<Failure>,
}

impl Relay<'_> {
    pub(super) async fn run(
        &mut self,
        first: Option<Bytes>,
        exchange: &mut Exchange,
        feed: &mut Feed,
    ) -> Result<(), Failure> {
        let mut next = first.and_then(|piece| self.take(Ok(Some(piece))));
        loop {
            if next.is_none() {
                next = self.spool.pop().await.map_err(unreadable)?;
            }
            let Some(piece) = next.take() else {
                let Some(body) = &mut self.source else { break };
                if let Some(stream) = self.stream.as_mut().filter(|stream| stream.is_withholding()) {
                    // What the app has given so far goes out before the wait for more.
                    let taken = futures_util::poll!(std::pin::pin!(body.next()));
                    if let std::task::Poll::Ready(taken) = taken {
                        next = self.take(taken);
                    } else {
                        let piece = stream.flush().map_err(compress::failed)?;
                        self.write(piece, exchange).await?;
                    }
                    continue;
                }
                // Both are cancel-safe.
                let taken = tokio::select! {
                    taken = body.next() => taken,
                    failure = feed.run(exchange) => return Err(failure),
                };
                next = self.take(taken);
                continue;
            };
            let piece = match &mut self.stream {
                Some(stream) => stream.push(piece).await.map_err(compress::failed)?,
                None => piece,
            };
            self.write(piece, exchange).await?;
        }
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if let Some(mut stream) = self.stream.take() {
            let piece = stream.finish().map_err(compress::failed)?;
            self.write(piece, exchange).await?;
        }
        Ok(())
    }

    /// Writes a piece to the client, and keeps what the worker gives meanwhile.
    async fn write(&mut self, piece: Bytes, exchange: &mut Exchange) -> Result<(), Failure> {
        // One future until it is done: a write that was given up half-way cannot be taken up again.
        let mut write = std::pin::pin!(exchange.send_piece(piece));
        loop {
            let is_moving = self.spool.is_moving();
            let has_room = self.buffering && self.source.is_some() && self.spool.has_room();
            // The other two are cancel-safe.
            let taken = tokio::select! {
                biased;
                written = &mut write => return written.map_err(client_failure),
                // What could not be moved is still in memory, and the worker waits.
                _ = self.spool.settle(), if is_moving => continue,
                taken = next_of(&mut self.source), if has_room => taken,
            };
            if let Some(piece) = self.take(taken) {
                self.spool.push(piece);
                // As above.
                let _ = self.spool.relieve();
            }
        }
    }

    /// Looks at what came from the worker: a piece to be passed on, or the end of one kind or another.
    fn take(&mut self, taken: Result<Option<Bytes>, Cause>) -> Option<Bytes> {
        match taken {
            Ok(Some(piece)) => {
                self.taken += piece.len() as u64;
                if self.declared.is_some_and(|declared| self.taken > declared) {
                    self.source = None;
                    let detail = "more bytes than the response declared";
                    self.failure = Some(Failure::new(Cause::WorkerInvalid, detail));
                    return None;
                }
                if self.source.as_ref().is_some_and(AnswerBody::is_end) {
                    self.finish();
                }
                Some(piece)
            }
            Ok(None) => {
                self.finish();
                None
            }
            Err(cause) => {
                self.source = None;
                self.failure = Some(cut_short(self.timeout_status)(cause));
                None
            }
        }
    }

    /// The worker is done, whatever the client still has to read.
    fn finish(&mut self) {
        if let Some(body) = self.source.take() {
            body.finish();
        }
        self.failure = check_length(self.declared, self.taken, self.bodiless).err();
    }
}

/// The next piece of a body that is there.
async fn next_of(source: &mut Option<AnswerBody>) -> Result<Option<Bytes>, Cause> {
    match source {
        Some(body) => body.next().await,
        None => std::future::pending().await,
    }
}

fn unreadable(error: io::Error) -> Failure {
    Failure::new(Cause::Internal, format!("the response's buffer cannot be read: {error}"))
}
