//! Bounds what an HTTP/2 client may ask of the connection itself: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, RST_STREAM and the
//! like cost the client nothing and the server an answer or a search. The `h2` crate bounds what would take memory; these
//! would take a processor. Fed with the frames' bytes by `watched`, before `h2` sees them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use super::super::watched::Watch;

/// Such frames at once: a browser cancels the pictures of a page, a client opens windows for all of its streams.
const BURST: u64 = 1000;
/// And so many a second from then on.
const PER_SECOND: u64 = 100;
/// One more for so many bytes sent: who takes in responses acknowledges them with WINDOW_UPDATE. An answer to a PING has
/// 17 bytes, so that nobody earns a PING with a PING.
const BYTES_EACH: u64 = 64;

/// The client's preface, before its first frame.
const PREFACE: usize = 24;
const FRAME_HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

/// Credit is counted in parts of a frame, so that small writes count.
const FRAME: u64 = BYTES_EACH;
/// Less than the shortest response earns, and more than a refusal: streams over the limit are a flood too.
const REQUEST: u64 = FRAME / 2;

/// The meter of one connection.
#[derive(Debug)]
pub(super) struct Meter {
    header: [u8; FRAME_HEADER],
    /// How much of it is here.
    have: usize,
    /// What is left of the current frame's payload.
    skip: usize,
    credit: u64,
    refilled: Instant,
    over: Over,
}

/// Whether the client has gone too far; shared with the loop that drives the connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Over(Arc<AtomicBool>);

impl Over {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Meter {
    /// A meter that has seen nothing of a connection.
    pub(super) fn new(over: Over) -> Self {
        let credit = BURST * FRAME;
        Self { header: [0; FRAME_HEADER], have: 0, skip: PREFACE, credit, refilled: Instant::now(), over }
    }

    fn charge(&mut self, price: u64) {
        if self.credit < price {
            self.refill();
        }
        match self.credit.checked_sub(price) {
            Some(left) => self.credit = left,
            None => self.over.0.store(true, Ordering::Relaxed),
        }
    }

    /// Looks at the clock only when the credit is used up.
    fn refill(&mut self) {
        let now = Instant::now();
        let earned = (now - self.refilled).as_millis().saturating_mul(u128::from(PER_SECOND * FRAME)) / 1000;
        self.refilled = now;
        self.earn(u64::try_from(earned).unwrap_or(u64::MAX));
    }

    fn earn(&mut self, credit: u64) {
        self.credit = self.credit.saturating_add(credit).min(BURST * FRAME);
    }
}

impl Watch for Meter {
    fn received(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (FRAME_HEADER - self.have).min(bytes.len());
            self.header[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == FRAME_HEADER {
                let [high, middle, low, kind, flags, ..] = self.header;
                self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                self.have = 0;
                self.charge(match kind {
                    HEADERS => REQUEST,
                    DATA if self.skip > 0 || flags & END_STREAM != 0 => 0,
                    _ => FRAME,
                });
            }
        }
        Ok(())
    }

    fn sent(&mut self, bytes: usize) {
        self.earn(bytes as u64);
    }

    fn is_over(&self) -> bool {
        self.over.is_set()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

    fn started() -> Meter {
        let mut meter = Meter::new(Over::default());
        meter.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        assert_eq!(meter.skip, 0);
        meter
    }

    // The clock runs while these run: they leave room for the seconds that a busy machine may take.

    #[test]
    fn a_flood_uses_up_the_credit_however_it_is_cut() {
        for piece in [1, 5, 9, 17, 4096] {
            let mut meter = started();
            for bytes in PING.repeat(1000).chunks(piece) {
                meter.received(bytes).unwrap();
            }
            assert!(!meter.is_over(), "{piece}");
            meter.received(&PING.repeat(3000)).unwrap();
            assert!(meter.is_over(), "{piece}");
        }
    }

    #[test]
    fn credit_comes_with_time_and_with_what_is_sent() {
        let mut meter = started();
        meter.received(&PING.repeat(1000)).unwrap();
        meter.refilled -= std::time::Duration::from_secs(1);
        meter.received(&PING.repeat(100)).unwrap();
        assert!(!meter.is_over());
        for _ in 0..100_000 {
            meter.sent(64);
            meter.received(&PING).unwrap();
        }
        assert!(!meter.is_over());
        // What answers a PING does not pay for one.
        for _ in 0..100_000 {
            meter.sent(17);
            meter.received(&PING).unwrap();
        }
        assert!(meter.is_over());
    }

    #[test]
    fn requests_that_are_answered_cost_nothing() {
        let mut meter = started();
        let headers = [0, 0, 1, 1, 5, 0, 0, 0, 1, 0x82];
        let data = [0, 0, 1, 0, 0, 0, 0, 0, 1, b'x'];
        let last = [0, 0, 0, 0, 1, 0, 0, 0, 1];
        let empty = [0, 0, 0, 0, 0, 0, 0, 0, 1];
        for _ in 0..5000 {
            meter.received(&[&headers[..], &data, &last].concat()).unwrap();
            meter.sent(40);
        }
        assert!(!meter.is_over());
        meter.received(&[&data[..], &last].concat().repeat(5000)).unwrap();
        assert!(!meter.is_over());
        meter.received(&empty.repeat(4000)).unwrap();
        assert!(meter.is_over());
        let mut meter = started();
        // Each refused with RST_STREAM.
        for _ in 0..100_000 {
            meter.received(&headers).unwrap();
            meter.sent(13);
        }
        assert!(meter.is_over());
    }
}
