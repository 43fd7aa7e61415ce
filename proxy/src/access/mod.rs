//! The access log: one line for each request, beside the other log lines, on standard output or in a file of its own.
//! Called once at each request's end; never blocks it: lines that cannot be written fast enough are dropped and counted.

mod append;
mod combined;
mod json;
mod line;
mod look;
mod sink;
mod stamp;
mod text;

use std::cell::RefCell;
use std::fmt::Arguments;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use http::HeaderMap;
use parking_lot::Mutex;
use prometheus::IntCounter;
use tidegate_contract::Cause;
use tidegate_log::{LogFile, Output, Tally};
use tidegate_site::{AccessLog, AccessTo};

use crate::metrics::Metrics;

use line::Scratch;
use look::Look;
use sink::{Sink, Thread};

/// How long the last lines may take to be written when the proxy stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

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
    /// The owner's name in the certificate that the client showed.
    pub(crate) certificate: Option<&'a str>,
    /// Why it failed, if it did.
    pub(crate) cause: Option<Cause>,
    /// Its id, as sent to the app and back to the client.
    pub(crate) request_id: &'a str,
    /// The trace it belongs to; empty if none is known.
    pub(crate) trace_id: &'a str,
    /// Who it came from, if the proxy has asked for a password.
    pub(crate) user: &'a str,
    /// Its header, if it could be read.
    pub(crate) headers: Option<&'a HeaderMap>,
}

/// The access log of one proxy.
#[derive(Debug)]
pub(crate) struct Access {
    active: ArcSwapOption<Active>,
    dropped: IntCounter,
    tally: Arc<Tally>,
    /// Threads that write, or write out what they were given before a reload.
    threads: Mutex<Vec<Thread>>,
}

/// The settings in force, and the thread that writes by them.
#[derive(Debug)]
struct Active {
    settings: AccessLog,
    look: Look,
    requests: AtomicU64,
    sink: Arc<Sink>,
}

impl Access {
    /// Starts the thread that writes; an error says that the log's file cannot be opened.
    pub(crate) fn start(settings: Option<&AccessLog>, metrics: &Metrics) -> io::Result<Self> {
        let access = Self {
            active: ArcSwapOption::empty(),
            dropped: metrics.log_dropped(),
            tally: metrics.access_tally(),
            threads: Mutex::default(),
        };
        access.configure(settings)?;
        Ok(access)
    }

    /// Takes over the settings of a reloaded site file. What was logged before is written as it would have been. An error
    /// says that a file cannot be opened; lines go there all the same, as soon as it can.
    pub(crate) fn configure(&self, settings: Option<&AccessLog>) -> io::Result<()> {
        let Some(settings) = settings else {
            self.active.store(None);
            return Ok(());
        };
        let before = self.active.load_full().filter(|before| {
            let before = &before.settings;
            before.to == settings.to && (before.rotate == settings.rotate || before.file().is_none())
        });
        let mut opened = Ok(());
        let sink = match before {
            Some(before) => Arc::clone(&before.sink),
            None => {
                let output = match &settings.to {
                    AccessTo::Log => tidegate_log::output(),
                    AccessTo::Stderr => Output::stderr(),
                    AccessTo::Stdout => Output::stdout(),
                    AccessTo::File(path) => {
                        let mut file =
                            LogFile::new(path.clone(), settings.rotate, Arc::clone(&self.tally), report_in_log);
                        opened = file.open();
                        Output::file(file)
                    }
                };
                let sink = Sink::start(output, self.dropped.clone())?;
                let mut threads = self.threads.lock();
                threads.retain(|thread| !thread.is_done());
                threads.push(sink.thread());
                Arc::new(sink)
            }
        };
        let active = Active { settings: settings.clone(), look: Look::of(settings), requests: AtomicU64::new(0), sink };
        self.active.store(Some(Arc::new(active)));
        opened
    }

    /// Logs a request.
    pub(crate) fn log(&self, record: &Record<'_>) {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
        }
        let active = self.active.load();
        let Some(active) = &*active else { return };
        if !active.is_wanted(record) {
            return;
        }
        SCRATCH.with_borrow_mut(|scratch| active.sink.push(scratch.line(record, &active.look)));
    }

    /// Writes what is left and ends the threads; later lines are dropped. Blocks for two seconds
    /// at most, for a reader of standard error may be stuck.
    pub(crate) fn close(&self) {
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        for thread in self.threads.lock().iter() {
            thread.close(deadline);
        }
    }
}

impl Active {
    /// Whether a request is logged: one that failed always, of the others one in so many.
    fn is_wanted(&self, record: &Record<'_>) -> bool {
        let every = u64::from(self.settings.sample);
        every == 1
            || record.status >= 400
            || record.cause.is_some()
            || self.requests.fetch_add(1, Ordering::Relaxed).is_multiple_of(every)
    }
}

fn report_in_log(message: Arguments<'_>) {
    tracing::error!("{message}");
}
