//! `tidegate top`'s question, what every worker is doing, on its way to the workers and back. `control` asks, and each
//! `worker` task passes the question on to its process. Never waits for longer than [`PATIENCE`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tidegate_contract::{Generation, Inspection, PoolState, WorkerPhase, WorkerReport, WorkerState};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time;

/// For a worker's answer. Its I/O thread answers within one second, whatever Python is doing.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 2000 });
/// Questions that a worker's task may be behind.
const QUESTIONS: usize = 16;

type Address = (Arc<str>, Generation);

/// A question to a worker.
#[derive(Debug)]
struct Question {
    stacks: bool,
    answer: oneshot::Sender<Inspection>,
}

/// How to ask each worker.
#[derive(Debug, Default)]
pub(crate) struct Inspections {
    desks: Arc<Mutex<HashMap<Address, mpsc::Sender<Question>>>>,
}

/// A worker's side: what is asked of it, and whom to answer. It cannot be asked any more once this is dropped.
#[derive(Debug)]
pub(crate) struct Desk {
    address: Address,
    desks: Arc<Mutex<HashMap<Address, mpsc::Sender<Question>>>>,
    questions: mpsc::Receiver<Question>,
    waiting: Vec<Question>,
    asked: u64,
    /// The question that the process has not answered: its number, and whether with stacks. One at a time, so that a
    /// process that has stopped reading never fills its channel.
    open: Option<(u64, bool)>,
}

impl Inspections {
    /// Lets a worker be asked from now on.
    pub(crate) fn desk(&self, app: &Arc<str>, generation: Generation) -> Desk {
        let (sender, questions) = mpsc::channel(QUESTIONS);
        let address = (Arc::clone(app), generation);
        self.desks.lock().insert(address.clone(), sender);
        Desk { address, desks: Arc::clone(&self.desks), questions, waiting: Vec::new(), asked: 0, open: None }
    }

    /// Asks every worker at once. The reports are in the order of the state.
    pub(crate) async fn ask_all(&self, state: PoolState, stacks: bool) -> Vec<WorkerReport> {
        let mut asking = JoinSet::new();
        let workers = state
            .apps
            .into_iter()
            .flat_map(|app| app.workers.into_iter().map(move |worker| (app.name.clone(), worker)));
        for (place, (app, worker)) in workers.enumerate() {
            let desk = self.desks.lock().get(&(Arc::from(app.as_str()), worker.generation)).cloned();
            asking.spawn(async move { (place, ask(desk, app, worker, stacks).await) });
        }
        let mut reports = asking.join_all().await;
        reports.sort_by_key(|(place, _)| *place);
        reports.into_iter().map(|(_, report)| report).collect()
    }
}

async fn ask(desk: Option<mpsc::Sender<Question>>, app: String, worker: WorkerState, stacks: bool) -> WorkerReport {
    let silence = |why: &str| (None, Some(why.to_owned()));
    let (answer, answered) = oneshot::channel();
    let sent = desk.is_some_and(|desk| desk.try_send(Question { stacks, answer }).is_ok());
    let (inspection, silence) = match time::timeout(PATIENCE, answered).await {
        Ok(Ok(inspection)) => (Some(inspection), None),
        Ok(Err(_)) if sent => silence("its process ended meanwhile"),
        Ok(Err(_)) if worker.phase == WorkerPhase::Starting => silence("its process has not connected yet"),
        Ok(Err(_)) => silence("its process has ended, or has too many questions to answer"),
        Err(_) if worker.phase == WorkerPhase::Starting => silence("no answer within 2 s: its process is starting"),
        Err(_) => silence("no answer within 2 s: its process is stopped, or gets no processor time"),
    };
    WorkerReport { app, worker, inspection, silence }
}

impl Desk {
    /// The next question. Cancel-safe; never resolves when nobody can ask any more.
    pub(crate) async fn next(&mut self) {
        match self.questions.recv().await {
            Some(question) => self.waiting.push(question),
            None => std::future::pending().await,
        }
    }

    /// What to ask the process now, if anything: a number, and whether with stacks.
    pub(crate) fn due(&mut self) -> Option<(u64, bool)> {
        // Those who asked may have lost their patience.
        self.waiting.retain(|question| !question.answer.is_closed());
        if self.open.is_some() || self.waiting.is_empty() {
            return None;
        }
        self.asked += 1;
        self.open = Some((self.asked, self.waiting.iter().any(|question| question.stacks)));
        self.open
    }

    /// The process has answered. Whoever has asked meanwhile gets the same, unless it lacks the stacks.
    pub(crate) fn answered(&mut self, ask: u64, inspection: Inspection) {
        let Some((_, stacks)) = self.open.take_if(|(open, _)| *open == ask) else { return };
        for question in self.waiting.extract_if(.., |question| stacks || !question.stacks) {
            // Nobody may wait for it any more.
            let _ = question.answer.send(inspection.clone());
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.desks.lock().remove(&self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(generations: &[Generation]) -> PoolState {
        let worker = |&generation: &Generation| WorkerState {
            slot: 0,
            generation,
            endpoint: String::new(),
            threads_max: 1,
            phase: WorkerPhase::Ready,
            pid: 1,
            threads_busy: 0,
            threads: 1,
            memory_bytes: 0,
            cpu_ms: 0,
            python: String::new(),
        };
        let app = tidegate_contract::AppState {
            name: "shop".to_owned(),
            phase: tidegate_contract::AppPhase::Ready,
            detail: None,
            workers: generations.iter().map(worker).collect(),
            restarts: Vec::new(),
        };
        PoolState { apps: vec![app] }
    }

    #[tokio::test]
    async fn every_worker_is_asked_and_one_that_is_silent_is_named() {
        let inspections = Inspections::default();
        let app = Arc::from("shop");
        let (mut first, second) = (inspections.desk(&app, 1), inspections.desk(&app, 2));
        let answer = async {
            first.next().await;
            assert_eq!(first.due(), Some((1, true)));
            first.answered(7, Inspection { left_out: 7, ..Inspection::default() });
            first.answered(1, Inspection { left_out: 1, ..Inspection::default() });
        };
        let (reports, ()) = tokio::join!(inspections.ask_all(state(&[1, 2, 3]), true), answer);
        let said: Vec<_> =
            reports.iter().map(|report| report.inspection.as_ref().map(|inspection| inspection.left_out)).collect();
        assert_eq!(said, [Some(1), None, None]);
        assert!(reports[1].silence.as_ref().is_some_and(|why| why.starts_with("no answer within 2 s")), "{reports:?}");
        assert!(reports[2].silence.as_ref().is_some_and(|why| why.contains("has ended")), "{reports:?}");
        drop(second);
        assert_eq!(inspections.desks.lock().len(), 1);
    }

    #[tokio::test]
    async fn a_silent_process_is_asked_once() {
        let inspections = Inspections::default();
        let mut desk = inspections.desk(&Arc::from("shop"), 1);
        for expected in [Some((1, false)), None, None] {
            let asked = inspections.ask_all(state(&[1]), false);
            let pass_on = async {
                desk.next().await;
                assert_eq!(desk.due(), expected);
            };
            let (reports, ()) = tokio::join!(asked, pass_on);
            assert!(reports[0].silence.is_some());
        }
        desk.answered(1, Inspection::default());
        assert_eq!(desk.due(), None, "nobody waits any more");
    }
}
