//! Workers that are replaced on purpose while clients go on, what a new one has to do first, and reloads on a
//! change of the code.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use tidegate_contract::{RestartReason, StatusReport, WorkerPhase};
use tidegate_host::{Output, Spawn};
use tidegate_tests::program::{Log, executable, tidegate};
use tidegate_tests::wait::{bounded, eventually};
use tidegate_tests::{Connection, Running, Site};

/// Beats often enough that a limit is noticed soon, and may be late on a busy machine.
const BEATS: [(&str, &str); 2] = [("heartbeat", "50ms"), ("heartbeat_timeout", "60s")];

fn app(name: &str, wsgi: &str, settings: &[(&str, &str)]) -> Site {
    Site::new(name).app("shop", wsgi, &[&BEATS[..], settings].concat())
}

fn restarts(status: &StatusReport, reason: RestartReason) -> u64 {
    let restarts = &status.pool.apps[0].restarts;
    restarts.iter().find(|(known, _)| *known == reason).map_or(0, |(_, count)| *count)
}

/// Requests one after the other on six connections, until the workers were replaced this often. Every one
/// has to be answered as it should.
async fn serve_until_replaced(running: &Running, path: &str, reason: RestartReason, times: u64) {
    let (stop, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    let address = running.http_address();
    let get = async || {
        let mut connection = Connection::plain(address).await;
        while !stop.load(Ordering::Relaxed) {
            let response = connection.get(path).await;
            assert_eq!(response.status, 200, "{response:?}");
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let post = async || {
        while !stop.load(Ordering::Relaxed) {
            let response = Connection::plain(address).await.post(path, &[], b"a body").await;
            assert_eq!(response.status, 200, "{response:?}");
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let replaced = async {
        let what = format!("{times} restarts for {}", reason.label());
        running.wait_status(&what, |status| (restarts(status, reason) >= times).then_some(())).await;
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(replaced, get(), get(), get(), get(), post(), post());
    assert!(answered.into_inner() > 0);
    assert_eq!(running.metric("tidegate_http_failures_total", &[]).await, 0.0);
    assert_eq!(running.metric("tidegate_backend_failures_total", &[]).await, 0.0);
}

#[tokio::test]
async fn recycling_after_so_many_requests_loses_none() {
    let running = app("requests", "growing:app", &[("processes", "2"), ("recycle", "{ requests: 200 }")]).start().await;
    serve_until_replaced(&running, "/echo", RestartReason::Requests, 4).await;
    running.wait_metric_at_least("tidegate_backend_restarts_total", &[("reason", "requests")], 4.0).await;
}

#[tokio::test]
async fn recycling_after_a_lifetime_loses_none() {
    let running = app("lifetime", "growing:app", &[("recycle", "{ lifetime: 300ms }")]).start().await;
    serve_until_replaced(&running, "/echo", RestartReason::Lifetime, 3).await;
}

#[tokio::test]
async fn an_app_that_leaks_is_recycled_at_its_limit() {
    let running = app("leak", "growing:app", &[("recycle", "{ memory: 128MiB }")]).start().await;
    serve_until_replaced(&running, "/keep", RestartReason::Memory, 1).await;
    let status = running.status().await;
    assert_eq!(restarts(&status, RestartReason::Died), 0);
}

#[tokio::test]
async fn workers_show_their_python_memory_and_processor_time() {
    let running = app("figures", "growing:app", &[]).start().await;
    let worker = running
        .wait_status("figures", |status| {
            status.pool.apps[0].workers.iter().find(|worker| worker.memory_bytes > 0 && worker.cpu_ms > 0).cloned()
        })
        .await;
    assert!(worker.python.starts_with("3."), "{worker:?}");
    eventually("figures in the metrics", async || {
        let memory = running.metric("tidegate_backend_memory_bytes", &[("app", "shop")]).await;
        let cpu = running.metric("tidegate_backend_cpu_seconds_total", &[("app", "shop")]).await;
        (memory > 1_000_000.0 && cpu > 0.0).then_some(())
    })
    .await;
    let shown = running.tidegate(&["status"]).await;
    assert!(shown.stdout.contains(&worker.python) && shown.stdout.contains(" MiB "), "{shown:?}");
}

// Wine keeps a job object's memory limit without enforcing it.
#[cfg(unix)]
#[tokio::test]
async fn a_worker_gets_no_more_memory_than_its_limit() {
    let running = app("limit", "growing:app", &[("memory_limit", "256MiB"), ("threads", "4")]).start().await;
    running.get("/much?32").await.assert_text(200, "32");
    running.get("/much?1024").await.assert_text(200, "refused");
    running.get("/much?32").await.assert_text(200, "32");
    assert_eq!(restarts(&running.status().await, RestartReason::Died), 0);
}

#[tokio::test]
async fn an_app_that_cannot_run_twice_is_replaced_without_a_lost_request() {
    let settings = [("replace", "stop_first"), ("recycle", "{ requests: 100 }")];
    let running = app("alone", "alone:app", &settings).start().await;
    serve_until_replaced(&running, "/", RestartReason::Requests, 2).await;
    let reload = async {
        let finished = running.tidegate(&["reload"]).await;
        assert_eq!(finished.code, 0, "{finished:?}");
        assert!(finished.stdout.contains("its workers stop before new ones start"), "{finished:?}");
    };
    tokio::join!(reload, serve_until_replaced(&running, "/", RestartReason::Requests, 8));
    // Nobody ever found the port taken.
    let status = running.status().await;
    assert_eq!(restarts(&status, RestartReason::ImportFailed), 0);
}

#[tokio::test]
async fn a_reload_that_fails_brings_an_app_that_was_stopped_back() {
    let mut running = app("back", "alone:app", &[("replace", "stop_first")]).start().await;
    running.site.add_app("shop", "alone:missing", &[&BEATS[..], &[("replace", "stop_first")]].concat());
    running.site.write();
    let finished = running.tidegate(&["reload"]).await;
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(finished.stderr.contains("has no attribute 'missing'"), "{finished:?}");
    assert_eq!(running.get("/").await.status, 200);
    assert_eq!(restarts(&running.status().await, RestartReason::ImportFailed), 0);
}

#[tokio::test]
async fn a_stop_during_a_reload_that_has_stopped_an_app_is_no_error() {
    let hanging = "import sys, time\nsys.stderr.write('imports for ever\\n')\ntime.sleep(600)\n";
    let site = app("halfway", "mirror:app", &[("replace", "stop_first")]).file("hanging.py", hanging);
    let mut running = site.set("limits", "{ drain_timeout: 2s }").start().await;
    running.site.add_app("shop", "hanging:app", &[&BEATS[..], &[("replace", "stop_first")]].concat());
    running.site.write();
    let arguments = ["--config".to_owned(), running.site.config().display().to_string(), "reload".to_owned()];
    let reload = tokio::spawn(tidegate(arguments));
    running.appserver().log.wait(&["imports for ever"]).await;
    running.stop().await;
    assert_eq!(reload.await.unwrap().code, 1);
    let errors = running.appserver().log.find(&[" ERROR "]);
    assert!(errors.is_empty(), "{errors:?}");
    // What was stopped is not started once more, only to be stopped again.
    assert_eq!(running.appserver().log.find(&["worker started"]).len(), 2);
}

#[tokio::test]
async fn a_worker_whose_warm_up_fails_never_serves_and_a_reload_keeps_the_old_one() {
    let site = app("warm", "growing:app", &[("warm_up", "[/pid, /health]")]).file("health", "204");
    let running = site.start().await;
    let before = running.get("/pid").await.text();
    for (health, says) in [("503", "GET /health was answered 503"), ("", "GET /health failed: app_error")] {
        running.site.put("health", health);
        let finished = running.tidegate(&["reload"]).await;
        assert_eq!(finished.code, 1, "{finished:?}");
        assert!(finished.stderr.contains(says), "{says}: {finished:?}");
        assert_eq!(running.get("/pid").await.text(), before);
    }
    running.site.put("health", "404");
    assert_eq!(running.tidegate(&["reload"]).await.code, 0);
    assert_ne!(running.get("/pid").await.text(), before);
}

#[tokio::test]
async fn a_worker_that_dies_is_replaced_and_warmed_up_before_it_serves() {
    let site =
        app("rewarm", "growing:app", &[("warm_up", "[/health]"), ("start_timeout", "30s")]).file("health", "200");
    let mut running = site.start().await;
    running.site.put("health", "500");
    let pid = running.workers("shop").await[0].pid;
    tidegate_tests::process::kill(pid);
    running.appserver().log.wait(&["failed its warm-up", "GET /health was answered 500"]).await;
    running.site.put("health", "200");
    running
        .wait_status("a worker that was warmed up", |status| {
            let worker = status.pool.apps[0].workers.first()?;
            (worker.phase == WorkerPhase::Ready && worker.pid != pid).then_some(())
        })
        .await;
    running.get("/pid").await;
}

fn code(version: &str) -> String {
    format!(
        "def app(environ, start_response):\n    if environ['PATH_INFO'] == '/fail':\n        \
         raise LookupError('shown')\n    start_response('200 OK', [])\n    return [b'{version}']\n"
    )
}

#[tokio::test]
async fn watching_reloads_changed_code_and_shows_tracebacks() {
    let site = Site::new("watch").file("changing.py", code("one")).app("shop", "changing:app", &[]);
    site.write();
    let source = site.directory().join("changing.py");
    let second = set_modified(&source, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let mut spawn = Spawn::new(executable("tidegate"));
    spawn.arguments = ["--config".into(), site.config().into(), "up".into(), "--watch".into()].to_vec();
    // Python keeps its bytecode, also where this machine has told it not to.
    spawn.environment = vec![("NO_COLOR".into(), "1".into()), ("PYTHONDONTWRITEBYTECODE".into(), "".into())];
    spawn.output = Output::Capture;
    let mut up = spawn.start().unwrap();
    // Taken all the time: programs whose log nobody reads wait, and with them the reload.
    let (said, errors) = (Log::of(up.take_stdout().unwrap()), Log::of(up.take_stderr().unwrap()));
    let mut running = Running::started_elsewhere(site).await;
    running.show_on_failure("tidegate up, standard output", &said);
    running.show_on_failure("tidegate up, standard error", &errors);
    running.get("/").await.assert_text(200, "one");

    // As long as before and of the same second: what Python has compiled of the old code passes for the new one's.
    let compiled = source.with_file_name("__pycache__");
    assert_eq!(std::fs::read_dir(&compiled).unwrap().count(), 1);
    running.site.put("changing.py", code("two"));
    set_modified(&source, second + Duration::from_millis(500));
    said.wait(&["changing.py changed: reloading"]).await;
    eventually("the new code", async || (running.get("/").await.text() == "two").then_some(())).await;
    said.wait(&["reloaded"]).await;

    running.site.put("changing.py", "def app(:\n");
    errors.wait(&["the code before the change serves on"]).await;
    errors.wait(&["SyntaxError"]).await;
    running.get("/").await.assert_text(200, "two");

    let failed = running.get("/fail").await;
    assert_eq!(failed.status, 500);
    assert!(failed.text().contains("Traceback") && failed.text().contains("LookupError: shown"), "{failed:?}");
    up.kill().unwrap();
    bounded("the end of tidegate up", up.wait()).await.unwrap();
}

fn set_modified(file: &Path, time: SystemTime) -> SystemTime {
    std::fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
    time
}

#[tokio::test]
async fn tracebacks_are_not_shown_otherwise() {
    let running = app("hidden", "growing:app", &[]).start().await;
    let failed = running.get("/fail").await;
    failed.assert_failure(500, "app_error");
    assert!(!failed.text().contains("LookupError"), "{failed:?}");
}
