//! A client's connection whose bytes are looked at on their way to and from pingora: the one place below its
//! sessions. What is looked for is the watch's: chunks for HTTP/1.1, frames for HTTP/2. Never changes a byte.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::pace::Pace;
use crate::listener::stream::ClientStream;

/// Looks at what a client sends, and hears what is sent to it.
pub(super) trait Watch: Debug + Send + Sync + Unpin + 'static {
    /// Bytes have come; an error keeps them from the session above.
    fn received(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// So many bytes have gone.
    fn sent(&mut self, _bytes: usize) {}

    /// Whether nothing is to be read any more.
    fn is_over(&self) -> bool {
        false
    }
}

/// The connection, its watch, and how slowly the client may empty it.
#[derive(Debug)]
pub(super) struct Watched<W> {
    stream: ClientStream,
    watch: W,
    pace: Option<Pace>,
    /// Since when a write waits for the client, and how long it may.
    stalled: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Whether flushes are gathered, and whether one is due.
    gathers: bool,
    is_flush_due: bool,
}

impl<W: Watch> Watched<W> {
    /// With a `pace`, a write fails that has to wait for a client slower than that.
    pub(super) fn new(stream: ClientStream, watch: W, pace: Option<Pace>) -> Self {
        Self { stream, watch, pace, stalled: None, gathers: false, is_flush_due: false }
    }

    /// For HTTP/2, which flushes after every frame of a body: a flush is done at the next look at the
    /// connection, which is asked for at once and comes after what is ready to run. So what several
    /// streams have to say leaves in one write and one TLS record, and a lone response at once.
    pub(super) fn gathering(mut self) -> Self {
        self.stream.hold().set(true);
        self.gathers = true;
        self
    }

    /// Does the flush that is due.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        match self.time(cx, outcome, 0) {
            Poll::Ready(Ok(())) => self.is_flush_due = false,
            Poll::Ready(Err(error)) => return Err(error),
            // A client that takes nothing may still say something.
            Poll::Pending => {}
        }
        Ok(())
    }

    /// Looks at the outcome of a write or flush, and starts or stops the clock.
    fn time<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>, bytes: usize) -> Poll<io::Result<T>> {
        let Some(pace) = &mut self.pace else { return outcome };
        if outcome.is_ready() {
            let waited = self.stalled.take().map(|(since, _)| since.elapsed());
            if waited.is_some() || !pace.is_full() {
                pace.moved(bytes, waited.unwrap_or_default());
            }
            return outcome;
        }
        let (_, end) = self.stalled.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + pace.allowance(0))))
        });
        ready!(end.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client took nothing, or too little, for too long",
        )))
    }

    fn written(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let bytes = if let Poll::Ready(Ok(bytes)) = &outcome { *bytes } else { 0 };
        self.watch.sent(bytes);
        self.time(cx, outcome, bytes)
    }
}

impl<W: Watch> AsyncRead for Watched<W> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.is_flush_due {
            this.poll_due(cx)?;
        }
        if this.watch.is_over() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if let Err(error) = this.watch.received(&buf.filled()[before..]) {
            buf.set_filled(before);
            return Poll::Ready(Err(error));
        }
        if this.watch.is_over() {
            // Whoever drives the connection finds out now, and reads no more.
            buf.set_filled(before);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl<W: Watch> AsyncWrite for Watched<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gathers {
            if !self.is_flush_due {
                self.is_flush_due = true;
                cx.waker().wake_by_ref();
            }
            return Poll::Ready(Ok(()));
        }
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.time(cx, outcome, 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<W: Watch> Ssl for Watched<W> {}

impl<W: Watch> Peek for Watched<W> {}

#[async_trait]
impl<W: Watch> Shutdown for Watched<W> {
    async fn shutdown(&mut self) {
        self.stream.shutdown().await;
    }
}

impl<W: Watch> UniqueID for Watched<W> {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl<W: Watch> GetTimingDigest for Watched<W> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl<W: Watch> GetProxyDigest for Watched<W> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl<W: Watch> GetSocketDigest for Watched<W> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}
