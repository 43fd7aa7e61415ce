//! The table of workers that `screen` shows.

use std::collections::HashMap;

use tidegate_contract::{InspectReport, WorkerPhase, WorkerReport};
use tokio::time::Instant;

use crate::status::{cpu, memory};
use crate::style::{Style, visible};
use crate::table::{Cell, Tone, render};

/// From this wait for the interpreter lock on it is worth a word.
const LONG_WAIT_MS: u64 = 100;

/// Processor time of each worker at an earlier look, to tell how busy it has been since.
#[derive(Debug)]
pub(super) struct Before {
    at: Instant,
    cpu_ms: HashMap<(String, u64), u64>,
}

impl Before {
    pub(super) fn new(report: &InspectReport, at: Instant) -> Self {
        let figure = |report: &WorkerReport| ((report.app.clone(), report.worker.generation), report.worker.cpu_ms);
        Self { at, cpu_ms: report.workers.iter().map(figure).collect() }
    }

    /// Percent of one core since then.
    fn share(&self, report: &WorkerReport, now: Instant) -> Option<u64> {
        let before = self.cpu_ms.get(&(report.app.clone(), report.worker.generation))?;
        let elapsed = u64::try_from(now.duration_since(self.at).as_millis()).ok().filter(|&elapsed| elapsed > 0)?;
        Some(report.worker.cpu_ms.saturating_sub(*before) * 100 / elapsed)
    }
}

/// The table of workers.
pub(super) fn table(report: &InspectReport, before: Option<&Before>, style: Style) -> String {
    let rows: Vec<_> = report.workers.iter().map(|worker| row(worker, before)).collect();
    if rows.is_empty() {
        return format!("{}\n", style.warning("no worker runs"));
    }
    render(["APP", "WORKER", "PHASE", "PID", "BUSY", "THREADS", "MAX", "MEMORY", "CPU", "NOTE"], &rows, style)
}

fn row(report: &WorkerReport, before: Option<&Before>) -> [Cell; 10] {
    let worker = &report.worker;
    let phase = match worker.phase {
        WorkerPhase::Starting => Cell::toned("starting", Tone::Warning),
        WorkerPhase::Ready => Cell::toned("ready", Tone::Good),
        WorkerPhase::Unresponsive => Cell::toned("unresponsive", Tone::Bad),
        WorkerPhase::Draining => Cell::toned("draining", Tone::Warning),
    };
    // The worker's own word is newer than its last heartbeat.
    let busy = report.inspection.as_ref().map(|said| said.requests.iter().filter(|one| one.thread.is_some()).count());
    let cpu = match before {
        None => cpu(worker.cpu_ms),
        Some(before) => before.share(report, Instant::now()).map_or("-".to_owned(), |share| format!("{share} %")),
    };
    [
        Cell::new(&report.app),
        Cell::new(worker.slot),
        phase,
        Cell::new(worker.pid),
        Cell::new(busy.map_or_else(|| worker.threads_busy.to_string(), |busy| busy.to_string())),
        Cell::new(worker.threads),
        Cell::new(worker.threads_max),
        Cell::new(memory(worker.memory_bytes)),
        Cell::new(cpu),
        remark(report),
    ]
}

/// What is wrong with a worker.
fn remark(report: &WorkerReport) -> Cell {
    let held = "something holds the interpreter lock (GIL): where requests are is not known";
    match (&report.inspection, &report.silence) {
        (None, Some(silence)) => Cell::toned(visible(silence), Tone::Bad),
        (None, None) => Cell::toned("no answer", Tone::Bad),
        (Some(said), _) => match said.gil_wait_ms {
            None => Cell::toned(held, Tone::Bad),
            Some(wait) if wait >= LONG_WAIT_MS => {
                Cell::toned(format!("waited {wait} ms for the interpreter lock (GIL)"), Tone::Warning)
            }
            Some(_) => Cell::new(""),
        },
    }
}
