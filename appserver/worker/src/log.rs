//! The worker's own lines on standard error, which the app server captures into its log. A thread of its own writes them, so that
//! whoever has something to say, with the GIL or on the I/O thread, never waits for the app server to read. The app's
//! own text goes to `sys.stderr` (`wsgi::errors`), never through here.

use std::collections::VecDeque;
use std::io::Write as _;
use std::time::{Duration, Instant};
use std::{process, thread};

use parking_lot::{Condvar, Mutex};

/// Lines that wait for an app server that does not read; what comes then is counted only.
const WAITING: usize = 256;
/// How long a process that ends waits for its last lines to be read.
const LAST_LINES: Duration = Duration::from_millis(500);

static LOG: Mutex<Log> = Mutex::new(Log { lines: VecDeque::new(), lost: 0, is_writing: false, writer: None });
static NEWS: Condvar = Condvar::new();
static WRITTEN: Condvar = Condvar::new();

struct Log {
    lines: VecDeque<String>,
    /// Lines since the last one of `lines` that found no place.
    lost: u64,
    is_writing: bool,
    /// The process that has the thread: a fork has the rest of this, but not the thread.
    writer: Option<u32>,
}

/// Has one line written, in one piece, so that it does not mix with what other threads write.
pub(crate) fn line(text: &str) {
    let mut log = LOG.lock();
    if log.writer != Some(process::id()) && !log.start() {
        drop(log);
        return write(text);
    }
    if log.lines.len() >= WAITING {
        log.lost += 1;
        return;
    }
    log.own_up();
    log.lines.push_back(text.to_owned());
    NEWS.notify_one();
}

/// Waits until what was said is written, but not for an app server that does not read. Called before every end of the process.
pub(crate) fn finish() {
    let deadline = Instant::now() + LAST_LINES;
    let mut log = LOG.lock();
    while log.writer == Some(process::id()) && (log.is_writing || !log.lines.is_empty()) {
        if WRITTEN.wait_until(&mut log, deadline).timed_out() {
            return;
        }
    }
}

impl Log {
    fn start(&mut self) -> bool {
        // What a fork inherited is its parent's to write.
        *self = Self { lines: VecDeque::new(), lost: 0, is_writing: false, writer: None };
        let started = thread::Builder::new().name("tidegate-log".to_owned()).spawn(write_lines);
        self.writer = started.is_ok().then(process::id);
        started.is_ok()
    }

    /// Says how many lines are missing, where they are.
    fn own_up(&mut self) {
        if self.lost > 0 {
            self.lines.push_back(format!("{} lines are missing here, because nobody read them", self.lost));
            self.lost = 0;
        }
    }
}

fn write_lines() {
    let mut log = LOG.lock();
    loop {
        match log.lines.pop_front() {
            Some(line) => {
                log.is_writing = true;
                drop(log);
                write(&line);
                log = LOG.lock();
                log.is_writing = false;
            }
            None if log.lost > 0 => log.own_up(),
            None => {
                WRITTEN.notify_all();
                NEWS.wait(&mut log);
            }
        }
    }
}

fn write(text: &str) {
    let line = format!("tidegate: {text}\n");
    // There is nowhere to report a standard error that is closed.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
