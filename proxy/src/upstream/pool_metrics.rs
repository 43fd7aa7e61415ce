//! The pool's state, as the app server says it, in the metrics of an app. Called by `app`.

use std::collections::BTreeMap;

use tidegate_contract::{AppState, Generation, WorkerPhase};

use crate::metrics::AppMetrics;

/// Shows the pool's state in the metrics.
pub(super) fn observe(metrics: &AppMetrics, state: &AppState) {
    metrics.set_up(state.workers.iter().any(|worker| worker.phase == WorkerPhase::Ready));
    metrics.set_restarts(&state.restarts);
    // A draining worker and its replacement share a slot; the slot is up if either serves.
    let mut slots: BTreeMap<u32, (bool, u32, u32, u32)> = BTreeMap::new();
    let mut costs: BTreeMap<u32, (u64, Vec<(Generation, u64)>)> = BTreeMap::new();
    for worker in &state.workers {
        let (up, busy, threads, max) = slots.entry(worker.slot).or_default();
        *up |= worker.phase == WorkerPhase::Ready;
        *busy += worker.threads_busy;
        *threads += worker.threads;
        *max = worker.threads_max;
        let (memory, cpu) = costs.entry(worker.slot).or_default();
        *memory += worker.memory_bytes;
        cpu.push((worker.generation, worker.cpu_ms));
    }
    metrics.set_down_unless(|slot| slots.contains_key(&slot));
    for (slot, (up, busy, threads, max)) in slots {
        let worker = metrics.worker(slot);
        worker.set_up(up);
        worker.set_threads(busy, threads, max);
    }
    for (slot, (memory, cpu)) in costs {
        let worker = metrics.worker(slot);
        worker.set_memory(memory);
        worker.set_cpu(&cpu);
    }
}
