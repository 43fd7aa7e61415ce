//! Leases and the queue together: no slot is lost and none is given twice, whoever leaves when.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::Request;
use tidegate_contract::{AppPhase, AppState, Cause, PoolState, WorkerPhase, WorkerState};
use tidegate_site::Priority;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::metrics::Metrics;

const LONG: Duration = Duration::from_secs(3600);

/// Nobody listens there.
const NOWHERE: &str = "tcp:127.0.0.1:9";

fn state(name: &str, phase: AppPhase, workers: &[(Generation, WorkerPhase)]) -> AppState {
    let worker = |(generation, phase): &(Generation, WorkerPhase)| WorkerState {
        slot: 0,
        generation: *generation,
        endpoint: NOWHERE.to_owned(),
        threads_max: 1,
        phase: *phase,
        pid: 1,
        threads_busy: 0,
        threads: 0,
        memory_bytes: 0,
        cpu_ms: 0,
        python: String::new(),
    };
    let workers = workers.iter().map(worker).collect();
    AppState { name: name.to_owned(), phase, detail: None, workers, restarts: Vec::new() }
}

/// An app with one worker of one thread.
fn app() -> (Arc<App>, mpsc::Receiver<Drained>) {
    app_at(NOWHERE)
}

/// The same with its worker at an endpoint.
fn app_at(endpoint: &str) -> (Arc<App>, mpsc::Receiver<Drained>) {
    let metrics = Metrics::new("0");
    let (drained, receiver) = mpsc::channel(8);
    let app = Arc::new(App::new("shop".into(), 4, metrics.app("shop"), drained));
    let mut state = state("shop", AppPhase::Ready, &[(1, WorkerPhase::Ready)]);
    endpoint.clone_into(&mut state.workers[0].endpoint);
    app.update(&state);
    (app, receiver)
}

fn lease(app: &Arc<App>) -> Option<Lease> {
    app.acquire(Priority::Normal, LONG).now_or_never()?.ok()
}

#[tokio::test]
async fn a_lease_dropped_before_anything_was_sent_frees_its_slot() {
    let (app, _drained) = app();
    let first = lease(&app).unwrap();
    assert!(lease(&app).is_none());
    drop(first);
    let mut again = lease(&app).unwrap();
    again.sent();
    again.not_sent();
    drop(again);
    assert!(lease(&app).is_some());
}

#[tokio::test]
async fn a_lease_dropped_after_it_was_sent_waits_for_the_worker() {
    let (app, _drained) = app();
    let mut sent = lease(&app).unwrap();
    sent.sent();
    let dispatch = sent.dispatch();
    drop(sent);
    assert!(lease(&app).is_none());
    let waiting = tokio::spawn({
        let app = Arc::clone(&app);
        async move { app.acquire(Priority::Normal, LONG).await }
    });
    tokio::task::yield_now().await;
    app.inner.lock().slots.workers.slot_back(dispatch);
    app.serve_queue();
    let granted = waiting.await.unwrap().unwrap();
    assert_eq!(granted.backend().generation, 1);
}

#[tokio::test]
async fn a_worker_that_closes_unanswered_gets_nothing_until_the_next_sweep() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (app, _drained) = app_at(&format!("tcp:{}", listener.local_addr().unwrap()));
    let dies = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
    };
    let deadlines = Deadlines { head: LONG, idle: LONG };
    let call = lease(&app).unwrap().call(Request::new(RequestBody::empty()), deadlines);
    let (failure, ()) = tokio::join!(call, dies);
    // It still listens, and is ready for all that the app server has said.
    assert!(matches!(failure, Err(CallFailure::Died { .. })), "{failure:?}");
    let dispatch = app.dispatches.load(Ordering::Relaxed);
    app.inner.lock().slots.workers.slot_back(dispatch);
    assert!(lease(&app).is_none());
    app.sweep();
    assert!(lease(&app).is_some());
}

#[tokio::test]
async fn a_finished_lease_goes_to_the_one_who_waits() {
    let (app, _drained) = app();
    let mut first = lease(&app).unwrap();
    first.sent();
    let mut second = Box::pin(app.acquire(Priority::Normal, LONG));
    assert!(second.as_mut().now_or_never().is_none());
    first.finish();
    assert!(lease(&app).is_none());
    assert!(second.await.is_ok());
    assert!(lease(&app).is_some());
}

#[tokio::test]
async fn a_waiter_that_leaves_with_its_grant_loses_no_slot() {
    let (app, _drained) = app();
    let first = lease(&app).unwrap();
    let mut gone = Box::pin(app.acquire(Priority::Normal, LONG));
    assert!(gone.as_mut().now_or_never().is_none());
    // The grant is on its way to a waiter that will never look.
    first.finish();
    drop(gone);
    assert!(lease(&app).is_some());
}

#[tokio::test]
async fn a_draining_worker_is_reported_when_its_last_lease_ends() {
    let (app, mut drained) = app();
    let first = lease(&app).unwrap();
    app.update(&state("shop", AppPhase::Ready, &[(1, WorkerPhase::Draining), (2, WorkerPhase::Ready)]));
    assert!(drained.try_recv().is_err());
    first.finish();
    let reported = drained.try_recv().unwrap();
    assert_eq!((&*reported.app, reported.generation), ("shop", 1));
    assert_eq!(lease(&app).unwrap().backend().generation, 2);
}

#[tokio::test]
async fn who_waits_is_told_when_the_app_is_given_up() {
    let (app, _drained) = app();
    for (phase, cause) in [(AppPhase::Failed, Cause::NoBackend), (AppPhase::Stopping, Cause::Draining)] {
        app.update(&state("shop", AppPhase::Ready, &[(1, WorkerPhase::Ready)]));
        let _running = lease(&app).unwrap();
        let mut waiting = Box::pin(app.acquire(Priority::Normal, LONG));
        assert!(waiting.as_mut().now_or_never().is_none());
        app.update(&state("shop", phase, &[]));
        assert_eq!(waiting.await.map(|_| ()), Err(cause));
    }
}

#[tokio::test]
async fn an_app_the_site_no_longer_has_stays_until_its_workers_have_drained() {
    let (app, mut drained) = app();
    let (sender, _receiver) = mpsc::channel(1);
    let apps = Apps::new(Metrics::new("0"), sender);
    apps.apps.write().insert("shop".into(), Arc::clone(&app));
    let running = lease(&app).unwrap();
    app.wanted.store(false, Ordering::Relaxed);
    let draining = state("shop", AppPhase::Stopping, &[(1, WorkerPhase::Draining)]);
    apps.update(&PoolState { apps: vec![draining] });
    assert!(apps.find("shop").is_some());
    running.finish();
    assert_eq!(drained.try_recv().unwrap().generation, 1);
    apps.update(&PoolState { apps: Vec::new() });
    assert!(apps.find("shop").is_none());
}
