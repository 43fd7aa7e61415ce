//! The state of every pool in one place, as the proxy and `tidegate status` see it. Pools put
//! their part here; the control channel watches the whole. Holds no process and waits for
//! nothing.

use std::sync::Arc;

use parking_lot::Mutex;
use tidegate_contract::{AppPhase, AppState, PoolState, WorkerPhase, WorkerState};
use tokio::sync::watch;

use crate::ledger::Counters;

/// One pool's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) phase: AppPhase,
    pub(crate) detail: Option<String>,
    pub(crate) workers: Vec<WorkerState>,
}

/// A pool on the board.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Which pool; an app has a new one after each reload.
    pub(crate) pool: u64,
    pub(crate) app: Arc<str>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) view: View,
    /// Replaced by a reload: whatever it says, its workers are draining.
    pub(crate) retired: bool,
}

#[derive(Debug)]
pub(crate) struct Board {
    entries: Mutex<Vec<Entry>>,
    state: watch::Sender<PoolState>,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::default(), state: watch::Sender::default() }
    }

    /// Follows the whole state.
    pub(crate) fn watch(&self) -> watch::Receiver<PoolState> {
        self.state.subscribe()
    }

    /// The whole state now.
    pub(crate) fn state(&self) -> PoolState {
        self.state.borrow().clone()
    }

    /// A pool's new view. A pool that is not on the board (a reload's trial) is not shown.
    pub(crate) fn publish(&self, pool: u64, view: &View) {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.pool == pool) {
            entry.view = view.clone();
            self.state.send_replace(compose(&entries));
        }
    }

    /// A retired pool's last worker has ended.
    pub(crate) fn remove_retired(&self, pool: u64) {
        let mut entries = self.entries.lock();
        entries.retain(|entry| entry.pool != pool || !entry.retired);
        self.state.send_replace(compose(&entries));
    }

    /// Hands the state to `announce` before anything newer can be announced.
    pub(crate) fn announce<T>(&self, announce: impl FnOnce(&PoolState) -> T) -> T {
        let _held = self.entries.lock();
        announce(&self.state.borrow())
    }

    /// Puts `pools` in the place of all that are there, in one step. `announce` gets the new
    /// state before anyone who watches; if it fails nothing has changed.
    pub(crate) fn replace<E>(
        &self,
        pools: Vec<Entry>,
        announce: impl FnOnce(&PoolState) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut entries = self.entries.lock();
        let were_retired: Vec<_> = entries.iter().map(|entry| entry.retired).collect();
        let before = entries.len();
        entries.iter_mut().for_each(|entry| entry.retired = true);
        entries.extend(pools);
        let state = compose(&entries);
        if let Err(error) = announce(&state) {
            entries.truncate(before);
            entries.iter_mut().zip(were_retired).for_each(|(entry, retired)| entry.retired = retired);
            return Err(error);
        }
        self.state.send_replace(state);
        Ok(())
    }
}

/// Apps in order, each with the draining workers of its earlier pools; then apps that are gone
/// but for those.
fn compose(entries: &[Entry]) -> PoolState {
    let mut apps: Vec<AppState> = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.retired) {
        apps.push(AppState {
            name: entry.app.to_string(),
            phase: entry.view.phase,
            detail: entry.view.detail.clone(),
            workers: entry.view.workers.clone(),
            restarts: entry.counters.restarts(),
        });
    }
    for entry in entries.iter().filter(|entry| entry.retired && !entry.view.workers.is_empty()) {
        let drained =
            entry.view.workers.iter().map(|worker| WorkerState { phase: WorkerPhase::Draining, ..worker.clone() });
        match apps.iter_mut().find(|app| *app.name == *entry.app) {
            Some(app) => app.workers.extend(drained),
            None => apps.push(AppState {
                name: entry.app.to_string(),
                phase: AppPhase::Stopping,
                detail: None,
                workers: drained.collect(),
                restarts: entry.counters.restarts(),
            }),
        }
    }
    PoolState { apps }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pool: u64, app: &str, generation: u64) -> Entry {
        let worker = WorkerState {
            slot: 0,
            generation,
            endpoint: "unix:/w".to_owned(),
            threads_max: 4,
            phase: WorkerPhase::Ready,
            pid: 1,
            threads_busy: 0,
            threads: 1,
            memory_bytes: 0,
            cpu_ms: 0,
            python: String::new(),
        };
        let view = View { phase: AppPhase::Ready, detail: None, workers: vec![worker] };
        Entry { pool, app: app.into(), counters: Arc::default(), view, retired: false }
    }

    fn summary(state: &PoolState) -> Vec<String> {
        let worker = |worker: &WorkerState| format!(" {}:{:?}", worker.generation, worker.phase);
        let app = |app: &AppState| {
            format!("{} {:?}{}", app.name, app.phase, app.workers.iter().map(worker).collect::<String>())
        };
        state.apps.iter().map(app).collect()
    }

    #[test]
    fn a_reload_shows_new_workers_ready_and_old_ones_draining_in_one_step() {
        let board = Board::new();
        let watch = board.watch();
        board.replace(vec![entry(1, "shop", 1), entry(2, "blog", 1)], |_| Ok::<_, ()>(())).unwrap();
        assert_eq!(summary(&watch.borrow()), ["shop Ready 1:Ready", "blog Ready 1:Ready"]);
        let mut announced = Vec::new();
        let announce = |state: &PoolState| {
            announced = summary(state);
            Ok::<_, ()>(())
        };
        board.replace(vec![entry(3, "wiki", 1), entry(4, "shop", 2)], announce).unwrap();
        let expected = ["wiki Ready 1:Ready", "shop Ready 2:Ready 1:Draining", "blog Stopping 1:Draining"];
        assert_eq!(
            (announced, summary(&watch.borrow())),
            (expected.map(str::to_owned).to_vec(), expected.map(str::to_owned).to_vec())
        );

        let late = entry(1, "shop", 1).view;
        board.publish(1, &late);
        assert_eq!(summary(&watch.borrow()), expected, "an old pool's late word does not revive it");
        board.remove_retired(1);
        board.remove_retired(2);
        board.remove_retired(3);
        assert_eq!(summary(&watch.borrow()), ["wiki Ready 1:Ready", "shop Ready 2:Ready"]);
    }

    #[test]
    fn a_commit_that_cannot_be_announced_changes_nothing() {
        let board = Board::new();
        board.replace(vec![entry(1, "shop", 1)], |_| Ok::<_, ()>(())).unwrap();
        let before = board.state();
        assert_eq!(board.replace(vec![entry(2, "shop", 2)], |_| Err("gone")), Err("gone"));
        board.publish(1, &entry(1, "shop", 1).view);
        board.publish(2, &entry(2, "shop", 2).view);
        assert_eq!(board.state(), before);
    }
}
