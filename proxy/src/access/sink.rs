//! A bounded buffer of lines and the thread that writes it out. Request tasks append under a
//! short lock; only the thread waits for the reader of the log.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use prometheus::IntCounter;

/// About 20,000 lines: half a second of the busiest site while the log's reader is away.
const CAPACITY: usize = 4 << 20;

/// The thread gathers lines for this long between two writes, so that a busy site costs it 50
/// writes a second and not one for each request.
const GATHER: Duration = Duration::from_millis(20);

/// Where lines are put. The thread writes what is left when this is dropped.
#[derive(Debug)]
pub(super) struct Sink {
    shared: Arc<Shared>,
}

/// The thread behind a sink, which may outlive it.
#[derive(Debug)]
pub(super) struct Thread {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The buffer is no longer empty, or the sink is closed.
    filled: Condvar,
    /// The sink is closed.
    closed: Condvar,
    /// The thread is done.
    done: Condvar,
    dropped: IntCounter,
    capacity: usize,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    closed: bool,
    done: bool,
}

impl Sink {
    pub(super) fn start(output: impl Write + Send + 'static, dropped: IntCounter) -> io::Result<Self> {
        Self::with_capacity(output, dropped, CAPACITY)
    }

    fn with_capacity(output: impl Write + Send + 'static, dropped: IntCounter, capacity: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            closed: Condvar::new(),
            done: Condvar::new(),
            dropped,
            capacity,
        });
        let thread = Arc::clone(&shared);
        // The handle is not kept: `close` waits for `done` instead, because a thread stuck in a
        // write must not hold up the end of the process.
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || thread.write_to(output))?;
        Ok(Self { shared })
    }

    /// Appends a whole line, or drops it if the buffer has no room.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.shared.state.lock();
        if state.closed || state.lines.len() + line.len() > self.shared.capacity {
            drop(state);
            self.shared.dropped.inc();
            return;
        }
        let first = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        drop(state);
        if first {
            self.shared.filled.notify_one();
        }
    }

    pub(super) fn thread(&self) -> Thread {
        Thread { shared: Arc::clone(&self.shared) }
    }
}

impl Thread {
    /// Whether it has written everything and ended.
    pub(super) fn is_done(&self) -> bool {
        self.shared.state.lock().done
    }

    /// Takes no more lines; whether everything was written before the deadline.
    pub(super) fn close(&self, deadline: Instant) -> bool {
        let mut state = self.shared.close();
        self.shared.done.wait_while_until(&mut state, |state| !state.done, deadline);
        state.done
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // Without this the thread would wait for lines for ever.
        drop(self.shared.close());
    }
}

impl Shared {
    fn close(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        state.closed = true;
        self.filled.notify_one();
        self.closed.notify_one();
        state
    }

    fn write_to(&self, mut output: impl Write) {
        let mut batch = Vec::new();
        let mut state = self.state.lock();
        loop {
            self.filled.wait_while(&mut state, |state| state.lines.is_empty() && !state.closed);
            if state.lines.is_empty() {
                break;
            }
            std::mem::swap(&mut batch, &mut state.lines);
            drop(state);
            // A log that cannot be written has nowhere to say so; the next batch may pass.
            let _ = output.write_all(&batch).and_then(|()| output.flush());
            batch.clear();
            state = self.state.lock();
            self.closed.wait_while_for(&mut state, |state| !state.closed, GATHER);
        }
        state.done = true;
        self.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Says when a write begins, and waits to be let through.
    struct Gate {
        writes: Sender<Vec<u8>>,
        pass: Receiver<()>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes.send(bytes.to_vec()).unwrap();
            // An error means that the test opened the gate for good.
            let _ = self.pass.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated(capacity: usize) -> (Sink, IntCounter, Receiver<Vec<u8>>, Sender<()>) {
        let (writes, written) = channel();
        let (open, pass) = channel();
        let dropped = IntCounter::new("dropped", "test").unwrap();
        let sink = Sink::with_capacity(Gate { writes, pass }, dropped.clone(), capacity).unwrap();
        (sink, dropped, written, open)
    }

    #[test]
    fn lines_are_gathered_while_a_write_is_stuck_and_dropped_when_there_is_no_room() {
        let (sink, dropped, written, open) = gated(8);
        sink.push(b"one\n");
        assert_eq!(written.recv().unwrap(), b"one\n");
        for line in [b"two\n", b"tre\n", b"fou\n"] {
            sink.push(line);
        }
        assert_eq!(dropped.get(), 1);
        open.send(()).unwrap();
        assert_eq!(written.recv().unwrap(), b"two\ntre\n");
        drop(open);
        assert!(sink.thread().close(Instant::now() + Duration::from_secs(60)));
        sink.push(b"late\n");
        assert_eq!(dropped.get(), 2);
        assert!(written.try_recv().is_err());
    }

    #[test]
    fn closing_writes_what_is_left() {
        let (sink, dropped, written, open) = gated(CAPACITY);
        drop(open);
        for number in 0..100 {
            sink.push(format!("{number}\n").as_bytes());
        }
        assert!(sink.thread().close(Instant::now() + Duration::from_secs(60)));
        let lines: Vec<u8> = written.try_iter().flatten().collect();
        let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(lines).unwrap(), expected);
        assert_eq!(dropped.get(), 0);
    }

    #[test]
    fn a_stuck_write_does_not_hold_up_closing() {
        let (sink, _, written, open) = gated(CAPACITY);
        sink.push(b"one\n");
        written.recv().unwrap();
        assert!(!sink.thread().close(Instant::now()));
        drop(open);
    }
}
