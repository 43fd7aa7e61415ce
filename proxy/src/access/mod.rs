//! The access log: one line for each request, on standard error beside the other log lines and
//! in their layout. Called once at each request's end; never blocks it: lines that cannot be
//! written fast enough are dropped and counted.

mod line;
mod sink;

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime};

use tidegate_contract::Cause;
use tidegate_site::LogFormat;

use crate::metrics::Metrics;

use line::Scratch;
use sink::Sink;

/// How long the last lines may take to be written when the proxy stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

const OFF: u8 = 0;
const TEXT: u8 = 1;
const JSON: u8 = 2;

/// What is known about a request at its end.
#[derive(Debug, Clone)]
pub(crate) struct Record<'a> {
    /// Its end.
    pub(crate) time: SystemTime,
    /// The client, as a trusted proxy names it.
    pub(crate) client: IpAddr,
    /// Its method; empty if no request line could be read, and so are the texts below.
    pub(crate) method: &'a str,
    /// Its target as it came, query included.
    pub(crate) target: &'a str,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    pub(crate) protocol: &'a str,
    /// The host it asked for.
    pub(crate) host: &'a str,
    /// The status it got; 499 if the client had gone.
    pub(crate) status: u16,
    /// Bytes of the response's body that were sent.
    pub(crate) sent: u64,
    /// From its header to the end of its response.
    pub(crate) duration: Duration,
    /// How long it waited for a free thread, if it was for an app and got one.
    pub(crate) queue_wait: Option<Duration>,
    /// The app it was for.
    pub(crate) app: Option<&'a str>,
    /// The worker slot it was dispatched to last.
    pub(crate) worker: Option<u32>,
    /// Why it failed, if it did.
    pub(crate) cause: Option<Cause>,
    /// Its id, as sent to the app and back to the client.
    pub(crate) request_id: &'a str,
}

/// The access log of one proxy.
#[derive(Debug)]
pub(crate) struct Access {
    layout: AtomicU8,
    sink: Sink,
}

impl Access {
    /// Starts the thread that writes to standard error.
    pub(crate) fn start(format: LogFormat, enabled: bool, metrics: &Metrics) -> io::Result<Self> {
        let sink = Sink::start(io::stderr(), metrics.log_dropped())?;
        let access = Self { layout: AtomicU8::new(OFF), sink };
        access.configure(format, enabled);
        Ok(access)
    }

    /// Takes over the settings of a reloaded site file.
    pub(crate) fn configure(&self, format: LogFormat, enabled: bool) {
        let layout = match (enabled, format) {
            (false, _) => OFF,
            (true, LogFormat::Text) => TEXT,
            (true, LogFormat::Json) => JSON,
        };
        self.layout.store(layout, Ordering::Relaxed);
    }

    /// Logs a request.
    pub(crate) fn log(&self, record: &Record<'_>) {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
        }
        let layout = self.layout.load(Ordering::Relaxed);
        if layout == OFF {
            return;
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let line = if layout == JSON { scratch.json(record) } else { scratch.text(record) };
            self.sink.push(line);
        });
    }

    /// Writes what is left and ends the thread; later lines are dropped. Blocks for two seconds
    /// at most, for a reader of standard error may be stuck.
    pub(crate) fn close(&self) {
        self.sink.close(CLOSE_TIMEOUT);
    }
}
