//! What is counted for an app as long as the app server runs, over reloads: generations and
//! restarts. Shared by the app's pools; read by `board`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tidegate_contract::{Generation, RestartReason};

/// One app's counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    generations: AtomicU64,
    restarts: [AtomicU64; RestartReason::ALL.len()],
}

impl Counters {
    /// The generation of the next process.
    pub(crate) fn next_generation(&self) -> Generation {
        self.generations.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn count(&self, reason: RestartReason, restarts: u64) {
        let counter = RestartReason::ALL.iter().zip(&self.restarts).find(|(known, _)| **known == reason);
        if let Some((_, counter)) = counter {
            counter.fetch_add(restarts, Ordering::Relaxed);
        }
    }

    pub(crate) fn restarts(&self) -> Vec<(RestartReason, u64)> {
        let counters = RestartReason::ALL.into_iter().zip(&self.restarts);
        counters.map(|(reason, counter)| (reason, counter.load(Ordering::Relaxed))).collect()
    }
}

/// Every app's counters. Apps that a reload removed stay: they may come back.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<HashMap<Arc<str>, Arc<Counters>>>);

impl Ledger {
    pub(crate) fn of(&self, app: &Arc<str>) -> Arc<Counters> {
        Arc::clone(self.0.lock().entry(Arc::clone(app)).or_default())
    }
}
