//! What was found below the roots, kept in memory, so that a request for a known file asks no disk and
//! needs no other thread. Used by `mod.rs`; filled by what `look.rs` finds, so nothing is in it
//! that the checked opening did not let through. One for each configuration in force: a reload starts
//! with an empty one.
//!
//! An entry is trusted for a second. Then one request looks again, while others still get the old
//! answer for at most one more second; after that every request looks for itself. So a change is seen
//! after two seconds at the latest, however seldom a file is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter};

use super::look::Found;

/// How long an entry is trusted, and by when it has to be looked at again by whoever wants it.
const TRUSTED: Duration = Duration::from_secs(1);
const STALE: Duration = Duration::from_secs(2);

/// What an entry takes beside its path and its content.
const OVERHEAD: u64 = 1024;

/// The least that a shard must hold: some entries of the largest size.
const SHARD: u64 = 1 << 20;

/// A path below the root of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place<'a> {
    /// Which route.
    pub(super) route: usize,
    /// The checked path; with a slash at its end if a directory is meant.
    pub(super) path: &'a str,
}

/// The same, owned. Hashes like a [`Place`], field by field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    route: usize,
    path: Box<str>,
}

impl Equivalent<Key> for Place<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.route == key.route && *self.path == *key.path
    }
}

/// Something found, and when.
#[derive(Debug)]
struct Entry {
    found: Arc<Found>,
    looked: Instant,
    /// Whether a request is looking again.
    claimed: AtomicBool,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, Arc<Entry>> for Weight {
    fn weight(&self, key: &Key, entry: &Arc<Entry>) -> u64 {
        OVERHEAD + key.path.len() as u64 + entry.found.weight()
    }
}

/// What the store says of a place.
#[derive(Debug)]
pub(super) enum Known {
    /// As it was a moment ago.
    Fresh(Arc<Found>),
    /// To be looked at again; this is how it was.
    Stale(Arc<Found>),
    /// Never seen, or forgotten.
    Nothing,
}

/// The store.
#[derive(Debug)]
pub(super) struct Store {
    entries: Cache<Key, Arc<Entry>, Weight>,
}

impl Store {
    /// A store for `capacity` bytes.
    pub(super) fn new(capacity: u64) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let shards = usize::try_from(capacity / SHARD).unwrap_or(1).clamp(1, threads * 4);
        let entries = usize::try_from(capacity / (8 << 10)).unwrap_or(1).clamp(64, 1 << 16);
        let mut options = OptionsBuilder::new();
        options.estimated_items_capacity(entries).weight_capacity(capacity).shards(shards);
        let entries = match options.build() {
            Ok(options) => {
                Cache::with_options(options, Weight, DefaultHashBuilder::default(), DefaultLifecycle::default())
            }
            // Only what was not said above could be missing.
            Err(_) => Cache::with_weighter(entries, capacity, Weight),
        };
        Self { entries }
    }

    /// What is known of a place. Whoever is told that it is stale has to look.
    pub(super) fn known(&self, place: Place<'_>) -> Known {
        let Some(entry) = self.entries.get(&place) else { return Known::Nothing };
        let age = entry.looked.elapsed();
        if age < TRUSTED {
            return Known::Fresh(Arc::clone(&entry.found));
        }
        if entry.found.is_nothing() {
            return Known::Nothing;
        }
        // One looks for all, as long as all can wait for it.
        if age < STALE && entry.claimed.swap(true, Ordering::Relaxed) {
            return Known::Fresh(Arc::clone(&entry.found));
        }
        Known::Stale(Arc::clone(&entry.found))
    }

    /// Keeps what was found at a place.
    pub(super) fn keep(&self, place: Place<'_>, found: Arc<Found>) {
        let key = Key { route: place.route, path: place.path.into() };
        self.entries.insert(key, Arc::new(Entry { found, looked: Instant::now(), claimed: AtomicBool::new(false) }));
    }

    /// Bytes in use.
    pub(super) fn size(&self) -> u64 {
        self.entries.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> Place<'_> {
        Place { route: 1, path }
    }

    #[test]
    fn entries_are_found_by_route_and_path() {
        let store = Store::new(1 << 20);
        store.keep(place("a"), Arc::new(Found::Directory));
        assert!(matches!(store.known(place("a")), Known::Fresh(found) if matches!(*found, Found::Directory)));
        assert!(matches!(store.known(place("a/")), Known::Nothing));
        assert!(matches!(store.known(Place { route: 2, path: "a" }), Known::Nothing));
    }

    #[test]
    fn an_old_entry_is_looked_at_again_by_one_and_then_by_all() {
        let store = Store::new(1 << 20);
        let aged = |age: Duration, found| {
            let key = Key { route: 1, path: "a".into() };
            let looked = Instant::now().checked_sub(age).unwrap();
            store
                .entries
                .insert(key, Arc::new(Entry { found: Arc::new(found), looked, claimed: AtomicBool::new(false) }));
        };
        aged(Duration::from_millis(1500), Found::Directory);
        assert!(matches!(store.known(place("a")), Known::Stale(_)));
        // The clock may have come to the second second meanwhile.
        assert!(matches!(store.known(place("a")), Known::Fresh(_) | Known::Stale(_)));
        aged(Duration::from_secs(3), Found::Directory);
        assert!(matches!(store.known(place("a")), Known::Stale(_)));
        assert!(matches!(store.known(place("a")), Known::Stale(_)));
        // That there is nothing is believed for the first second only.
        aged(Duration::from_millis(1500), Found::Nothing);
        assert!(matches!(store.known(place("a")), Known::Nothing));
    }

    #[test]
    fn its_size_is_bounded() {
        let store = Store::new(1 << 20);
        for number in 0..10_000 {
            store.keep(place(&number.to_string()), Arc::new(Found::Nothing));
        }
        assert!((1..=1 << 20).contains(&store.size()), "{}", store.size());
    }
}
