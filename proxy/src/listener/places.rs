//! `limits.connections`: how many connections there are, and which of them wait for a next request. At the limit the
//! accept loops stop, and the connection that has waited longest makes room for a newcomer.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::metrics::ListenerMetrics;

/// At the limit, so often a connection that has fallen idle meanwhile is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Of so many connections one at a time has to go: a look at all of them is worth more than one place.
const AT_ONCE: usize = 256;

/// The connections of all listeners.
#[derive(Debug)]
pub(crate) struct Places {
    limit: AtomicUsize,
    open: AtomicUsize,
    freed: Notify,
    seats: Mutex<Vec<Weak<Seat>>>,
    start: Instant,
}

/// A connection's place, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Place {
    seat: Arc<Seat>,
    places: Arc<Places>,
}

/// What a connection is doing: `BUSY`, `ASKED` to end, or idle since so many microseconds.
#[derive(Debug)]
struct Seat {
    state: AtomicU64,
    /// Whether it was asked to end before: HTTP/2 falls idle once more while its client is told.
    was_asked: AtomicBool,
    waiting: AtomicWaker,
}

const BUSY: u64 = u64::MAX;
const ASKED: u64 = u64::MAX - 1;

impl Places {
    /// Room for so many.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(limit),
            open: AtomicUsize::new(0),
            freed: Notify::new(),
            seats: Mutex::default(),
            start: Instant::now(),
        })
    }

    /// From now on there is room for so many. More than that stay until they end.
    pub(crate) fn resize(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
        self.freed.notify_waiters();
    }

    /// Resolves when a connection may be accepted: one more than the limit, which then takes the place of the one that
    /// has been idle for longest. Cancel-safe.
    pub(crate) async fn room(&self, metrics: &ListenerMetrics) {
        loop {
            let freed = self.freed.notified();
            let excess = self.open.load(Ordering::Acquire).saturating_sub(self.limit.load(Ordering::Relaxed));
            if excess == 0 {
                return;
            }
            metrics.idle_closed(self.dismiss(excess));
            // A connection that falls idle says nothing; one that ends does.
            let _ = timeout(LOOK_AGAIN, freed).await;
        }
    }

    /// Takes a place for a connection that has come in.
    pub(crate) fn enter(self: &Arc<Self>) -> Place {
        let seat = Arc::new(Seat {
            state: AtomicU64::new(BUSY),
            was_asked: AtomicBool::new(false),
            waiting: AtomicWaker::new(),
        });
        let mut seats = self.seats.lock();
        let open = self.open.fetch_add(1, Ordering::AcqRel);
        // Twice as many as are in use: forgetting those that are gone costs each of them a constant time.
        if seats.len() > 2 * open + 64 {
            seats.retain(|seat| seat.strong_count() > 0);
        }
        seats.push(Arc::downgrade(&seat));
        Place { seat, places: Arc::clone(self) }
    }

    /// Asks the longest idle to end: as many as are needed, or a few more where there are thousands. Returns how many
    /// were not asked before.
    fn dismiss(&self, excess: usize) -> usize {
        let all: Vec<Arc<Seat>> = self.seats.lock().iter().filter_map(Weak::upgrade).collect();
        let wanted = excess.max(all.len() / AT_ONCE);
        let mut idle: Vec<(u64, &Arc<Seat>)> = all
            .iter()
            .map(|seat| (seat.state.load(Ordering::Acquire), seat))
            .filter(|(since, _)| *since < ASKED)
            .collect();
        if idle.len() > wanted {
            idle.select_nth_unstable_by_key(wanted, |(since, _)| *since);
            idle.truncate(wanted);
        }
        idle.into_iter().filter(|(since, seat)| seat.ask_to_end(*since)).count()
    }
}

impl Place {
    /// The connection waits for its next request from now on.
    pub(crate) fn idle(&self) {
        let since = u64::try_from(self.places.start.elapsed().as_micros()).unwrap_or_default();
        self.seat.state.store(since, Ordering::Release);
    }

    /// It has one.
    pub(crate) fn busy(&self) {
        self.seat.state.store(BUSY, Ordering::Release);
    }

    /// Resolves when the connection is to make room for another. Cancel-safe.
    pub(crate) async fn asked_to_end(&self) {
        std::future::poll_fn(|cx| {
            self.seat.waiting.register(cx.waker());
            if self.seat.state.load(Ordering::Acquire) == ASKED { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.open.fetch_sub(1, Ordering::AcqRel);
        self.places.freed.notify_one();
    }
}

impl Seat {
    /// Unless its next request has come meanwhile. Says whether it is the first time.
    fn ask_to_end(&self, since: u64) -> bool {
        let asked = self.state.compare_exchange(since, ASKED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if asked {
            self.waiting.wake();
        }
        asked && !self.was_asked.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::metrics::Metrics;

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_makes_room() {
        let metrics = Metrics::new("0").listener("a");
        let places = Places::new(3);
        let seats: Vec<Place> = (0..4).map(|_| places.enter()).collect();
        for place in [&seats[2], &seats[0]] {
            place.idle();
            tokio::time::advance(Duration::from_millis(5)).await;
        }
        let room = places.room(&metrics);
        tokio::pin!(room);
        assert!(room.as_mut().now_or_never().is_none());
        let asked: Vec<bool> = seats.iter().map(|place| place.asked_to_end().now_or_never().is_some()).collect();
        assert_eq!(asked, [false, false, true, false]);
        let mut seats = seats;
        drop(seats.remove(2));
        room.await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_falls_idle_at_the_limit_is_found_and_a_larger_limit_is_room() {
        let metrics = Metrics::new("0").listener("a");
        let places = Places::new(1);
        let one = places.enter();
        places.room(&metrics).await;
        let two = places.enter();
        let room = tokio::spawn({
            let (places, metrics) = (Arc::clone(&places), Arc::clone(&metrics));
            async move { places.room(&metrics).await }
        });
        tokio::task::yield_now().await;
        one.idle();
        one.asked_to_end().await;
        assert!(!room.is_finished());
        places.resize(2);
        room.await.unwrap();
        // While it is told, it may fall idle and be asked again; it is still one.
        one.idle();
        assert_eq!(places.dismiss(1), 0);
        one.asked_to_end().await;
        one.busy();
        assert!(one.asked_to_end().now_or_never().is_none());
        drop(two);
    }

    #[test]
    fn places_of_connections_that_are_gone_are_forgotten() {
        let places = Places::new(10);
        for _ in 0..10_000 {
            drop(places.enter());
        }
        assert!(places.seats.lock().len() <= 65);
    }
}
