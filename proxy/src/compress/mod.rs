//! Compression of responses on their way to the client. The request's story asks [`Compressors::plan`] when a response's
//! header is known, and then sends the body through [`Compressors::whole`] or a [`Stream`]; `reply` does both for files. Never compresses what is
//! compressed already, and never holds more of a body than a window and a piece.

mod encoder;
mod kept;
mod plan;
mod reply;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use prometheus::IntCounter;
use tidegate_site::Compress;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::encoder::Encoder;
use self::kept::Kept;
use self::plan::Plan;
pub(crate) use self::reply::failed;
use crate::metrics::Metrics;

/// A body or piece up to this size is compressed where it is, so that small ones save the change of threads. A larger one
/// goes to a thread that may block, so that other connections need not wait for it.
const AT_ONCE: usize = 16 << 10;

/// Streams that are compressed at a time. Each holds an encoder with its window for as long as its client
/// reads; responses beyond that go out as they are.
const STREAMS: usize = 256;

/// What all compression shares.
#[derive(Debug)]
pub(crate) struct Compressors {
    streams: Arc<Semaphore>,
    /// One for each core, so that compression takes turns with itself and not with everything else.
    threads: Arc<Semaphore>,
    kept: Kept,
    read: IntCounter,
    written: IntCounter,
    refused: IntCounter,
}

/// A decision, with the place that it was given.
#[derive(Debug)]
pub(crate) struct Planned {
    plan: Plan,
    place: OwnedSemaphorePermit,
}

impl Compressors {
    /// None at work.
    pub(crate) fn new(metrics: &Metrics) -> Arc<Self> {
        let (read, written, refused) = metrics.compression();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = Arc::new(Semaphore::new(cores));
        Arc::new(Self {
            streams: Arc::new(Semaphore::new(STREAMS)),
            threads,
            kept: Kept::default(),
            read,
            written,
            refused,
        })
    }

    /// Whether and how a response is compressed. Changes its fields accordingly; what frames the body is the caller's.
    pub(crate) fn plan(
        &self,
        settings: Option<&Compress>,
        request: &HeaderMap,
        status: StatusCode,
        headers: &mut HeaderMap,
        length: Option<u64>,
    ) -> Option<Planned> {
        let settings = settings?;
        let mut place = None;
        let plan = plan::plan(settings, request, status, headers, length, || {
            place = Arc::clone(&self.streams).try_acquire_owned().ok();
            if place.is_none() {
                self.refused.inc();
            }
            place.is_some()
        })?;
        Some(Planned { plan, place: place? })
    }

    /// A body that is here as a whole, compressed.
    pub(crate) async fn whole(&self, planned: Planned, body: Bytes) -> io::Result<Bytes> {
        let plan = planned.plan;
        let length = body.len();
        let work = move || {
            let mut encoder = Encoder::new(plan, Some(length as u64))?;
            encoder.push(&body)?;
            encoder.finish()
        };
        let out = if length <= AT_ONCE { work()? } else { self.on_thread(work).await? };
        self.count(length, out.len());
        Ok(out.into())
    }

    /// A body that comes in pieces.
    pub(crate) fn stream(self: &Arc<Self>, planned: Planned) -> io::Result<Stream> {
        let encoder = Encoder::new(planned.plan, None)?;
        Ok(Stream { encoder: Some(encoder), withheld: false, all: Arc::clone(self), _place: planned.place })
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        // Never closed. The permit goes with the work, which goes on if its request does not.
        let turn = Arc::clone(&self.threads).acquire_owned().await.map_err(io::Error::other)?;
        let work = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        });
        work.await.map_err(io::Error::other)?
    }

    fn count(&self, read: usize, written: usize) {
        self.read.inc_by(read as u64);
        self.written.inc_by(written as u64);
    }
}

/// A body that is compressed piece by piece.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Gone for good if a piece was given up half-way.
    encoder: Option<Encoder>,
    withheld: bool,
    all: Arc<Compressors>,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    /// Takes a piece in and gives what comes out, which may be nothing. Not cancel-safe.
    pub(crate) async fn push(&mut self, piece: Bytes) -> io::Result<Bytes> {
        let length = piece.len();
        let mut encoder = self.encoder.take().ok_or_else(lost)?;
        let work = move || {
            encoder.push(&piece)?;
            let out = encoder.take();
            Ok((encoder, out))
        };
        let (encoder, out) = if length <= AT_ONCE { work()? } else { self.all.on_thread(work).await? };
        self.encoder = Some(encoder);
        self.withheld = true;
        self.all.count(length, out.len());
        Ok(out.into())
    }

    /// Whether all of it was given.
    pub(crate) fn is_finished(&self) -> bool {
        self.encoder.is_none()
    }

    /// Whether the client could have more than it got.
    pub(crate) fn is_withholding(&self) -> bool {
        self.withheld
    }

    /// Everything that was taken in and has not come out.
    pub(crate) fn flush(&mut self) -> io::Result<Bytes> {
        let encoder = self.encoder.as_mut().ok_or_else(lost)?;
        encoder.flush()?;
        self.withheld = false;
        let out = encoder.take();
        self.all.count(0, out.len());
        Ok(out.into())
    }

    /// The rest, with what ends the coding.
    pub(crate) fn finish(&mut self) -> io::Result<Bytes> {
        let out = self.encoder.take().ok_or_else(lost)?.finish()?;
        self.all.count(0, out.len());
        Ok(out.into())
    }
}

/// A call after a failed one.
fn lost() -> io::Error {
    io::Error::other("the encoder was lost by an earlier failure")
}
