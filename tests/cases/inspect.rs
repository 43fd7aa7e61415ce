//! What an operator sees of requests while they run: `tidegate top`, the log of slow requests, breaches of WSGI, and
//! what becomes of a request whose client has gone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use serde_json::Value;
use tidegate_contract::RestartReason;
use tidegate_tests::{Connection, Running, Site};

/// A worker that says nothing is not replaced while the case runs.
#[cfg(unix)]
const PATIENT: (&str, &str) = ("heartbeat_timeout", "10m");

async fn diagnosed(name: &str, settings: &[(&str, &str)]) -> Running {
    Site::new(name).app("shop", "diagnosed:app", settings).start().await
}

/// Sends a request that will sit in its line, and returns when it is on its way there.
async fn send(running: &Running, path: &str, id: &str) -> Connection {
    let mut connection = running.http().await;
    connection.request("GET", path, &[("X-Request-Id", id)], b"").await;
    running.get("/arrived").await.assert_text(200, "arrived");
    connection
}

async fn top(running: &Running, arguments: &[&str]) -> String {
    let finished = running.tidegate(&[&["top"], arguments].concat()).await;
    assert_eq!(finished.code, 0, "{finished:?}");
    finished.stdout
}

/// The number of the line of the app that holds this text.
fn line(running: &Running, text: &str) -> usize {
    let source = std::fs::read_to_string(running.site.path("diagnosed.py")).unwrap();
    source.lines().position(|line| line.contains(text)).unwrap() + 1
}

/// Asks until the request is in this very line: it has said so a moment before.
async fn wait_top(running: &Running, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    tidegate_tests::wait::eventually(what, async || {
        let report: Value = serde_json::from_str(&top(running, &["--json", "--stacks"]).await).unwrap();
        let requests = report["workers"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|worker| worker["inspection"]["requests"].as_array().into_iter().flatten());
        requests.into_iter().find(|request| wanted(request)).cloned()
    })
    .await
}

#[tokio::test]
async fn top_names_the_line_that_each_request_sits_in() {
    let running = diagnosed("top", &[]).await;
    let mut held = send(&running, "/hold/a", "held-1").await;
    let mut waiting = send(&running, "/library", "held-2").await;
    let sits = line(&running, "the line that it sits in");
    let waits = line(&running, "the line that waits");

    let request = wait_top(&running, "a request in a line of the app", |request| {
        request["request_id"] == "held-1" && request["at"]["line"] == sits
    });
    let request = request.await;
    assert_eq!((&request["method"], &request["path"]), (&"GET".into(), &"/hold/a".into()), "{request}");
    assert_eq!(request["at"]["function"], "path_hold");
    assert!(request["at"]["file"].as_str().unwrap().ends_with("diagnosed.py"), "{request}");
    assert!(request["stack"].as_str().unwrap().contains("# the line that it sits in"), "{request}");
    assert_eq!(request["abandoned"], false);

    // In a library, the line of the app that called it is named too.
    let request = wait_top(&running, "a request in a library", |request| {
        request["request_id"] == "held-2" && request["app_at"]["line"] == waits
    });
    let request = request.await;
    assert!(request["at"]["file"].as_str().unwrap().ends_with("threading.py"), "{request}");

    // Into a pipe: once, as a plain table, the oldest first.
    let plain = top(&running, &[]).await;
    assert!(!plain.contains('\x1b'), "{plain:?}");
    let first = plain.find(&format!("diagnosed.py:{sits} path_hold")).unwrap_or_else(|| panic!("{plain}"));
    let second =
        plain.find(&format!("diagnosed.py:{waits} path_library > threading.py:")).unwrap_or_else(|| panic!("{plain}"));
    assert!(first < second, "{plain}");
    for text in ["2 requests in 1 worker\n", "GET /hold/a", "held-1", "held-2"] {
        assert!(plain.contains(text), "{text}: {plain}");
    }
    assert!(top(&running, &["--stacks"]).await.contains("while not released: time.sleep"));

    running.get("/release").await.assert_text(200, "released");
    held.response("GET").await.assert_text(200, "held");
    waiting.response("GET").await.assert_text(200, "released");
    assert!(top(&running, &[]).await.contains("no request runs"));
}

#[cfg(unix)]
#[tokio::test]
async fn top_says_which_worker_does_not_answer() {
    let running = diagnosed("silent", &[("processes", "2"), PATIENT]).await;
    let stopped: u32 = running.get("/pid").await.text().parse().unwrap();
    tidegate_tests::process::signal(stopped, "STOP");
    let report: Value = serde_json::from_str(&top(&running, &["--json"]).await).unwrap();
    let workers = report["workers"].as_array().unwrap();
    assert_eq!(workers.len(), 2, "{report}");
    let silent = workers.iter().find(|worker| worker["worker"]["pid"] == stopped).unwrap();
    assert!(silent["inspection"].is_null(), "{silent}");
    assert!(silent["silence"].as_str().unwrap().starts_with("no answer within 2 s"), "{silent}");
    let plain = top(&running, &[]).await;
    tidegate_tests::process::signal(stopped, "CONT");
    assert!(plain.contains("no answer within 2 s: its process is stopped"), "{plain}");
}

/// Nobody can read a stack then, and nobody pretends to.
#[cfg(unix)]
#[tokio::test]
async fn a_held_interpreter_lock_is_named() {
    let mut running = diagnosed("gil", &[("slow_request", "100ms"), PATIENT]).await;
    let mut holds = running.http().await;
    holds.request("GET", "/gil", &[("X-Request-Id", "gil-1")], b"").await;
    let report = tidegate_tests::wait::eventually("the lock is held", async || {
        let report: Value = serde_json::from_str(&top(&running, &["--json"]).await).unwrap();
        let said = &report["workers"][0]["inspection"];
        (said["gil_wait_ms"].is_null() && said["requests"][0]["request_id"] == "gil-1").then_some(report)
    });
    let request = report.await["workers"][0]["inspection"]["requests"][0].clone();
    assert!(request["at"].is_null() && request["stack"].is_null(), "{request}");
    let log = running.appserver().log.clone();
    let record = log.wait(&["WARN", "request is slow", "request_id=gil-1"]).await;
    assert!(record.contains("something holds the GIL"), "{record}");
    assert!(top(&running, &[]).await.contains("something holds the interpreter lock (GIL)"));
    running.site.put("pipe", "x");
    holds.response("GET").await.assert_text(200, "let go");
}

#[tokio::test]
async fn top_without_a_site_says_so() {
    let site = Site::new("top nothing").app("shop", "diagnosed:app", &[]);
    site.write();
    let finished = site.tidegate(&["top"]).await;
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(finished.stderr.contains("no Tidegate runs this site"), "{finished:?}");
}

#[tokio::test]
async fn a_slow_request_is_logged_once_with_its_line_and_goes_on() {
    let mut running = diagnosed("slow", &[("slow_request", "200ms")]).await;
    let mut slow = send(&running, "/hold/slow", "slow-1").await;
    let log = running.appserver().log.clone();
    let record = log.wait(&["WARN", "request is slow", "request_id=slow-1"]).await;
    for text in ["app=shop", "worker=0", "method=GET", "path=/hold/slow", "age_ms="] {
        assert!(record.contains(text), "{text}: {record}");
    }
    log.wait(&["# the line that it sits in"]).await;
    // Another one that becomes slow after it shows that there was time for a second record of the first.
    let mut next = send(&running, "/hold/next", "slow-2").await;
    log.wait(&["request is slow", "request_id=slow-2"]).await;
    running.get("/release").await.assert_text(200, "released");
    slow.response("GET").await.assert_text(200, "held");
    next.response("GET").await.assert_text(200, "held");
    assert_eq!(log.find(&["request is slow", "request_id=slow-1"]).len(), 1);
    let status = running.status().await;
    assert!(status.pool.apps[0].restarts.iter().all(|(_, count)| *count == 0), "{status:?}");
}

#[tokio::test]
async fn validate_logs_breaches_with_the_request_id_and_the_response_is_unbroken() {
    let mut running = diagnosed("validate", &[("validate", "on")]).await;
    let log = running.appserver().log.clone();
    for (path, status, body, violation) in [
        ("/subclass", 200, "kept as it is", "returned a chunk of type Bytes, not bytes itself"),
        ("/reason", 200, "no reason", "without a reason phrase"),
        ("/late", 200, "late", "yielded a chunk before it called start_response"),
        ("/write", 200, "one two three", "called write() from within its iterable"),
        ("/hop", 200, "hop", "gave the header keep-alive, which only a server may"),
        ("/nothing", 204, "", "gave a 204 response a body"),
    ] {
        let id = format!("broken-{}", &path[1..]);
        let mut connection = running.http().await;
        connection.request("GET", path, &[("X-Request-Id", &id)], b"").await;
        let response = connection.response("GET").await;
        assert_eq!((response.status, response.text().as_str()), (status, body), "{path}: {response:?}");
        let request = format!("request_id={id}");
        let record = log.wait(&["WARN", "breaks a rule of WSGI", &request]).await;
        assert!(record.contains(violation), "{path}: {record}");
    }
    // What is right is not reported: the next breach comes after it.
    running.get("/good").await.assert_text(200, "all right");
    assert_eq!(log.find(&["breaks a rule of WSGI", "path=/good"]), Vec::<String>::new());
}

#[tokio::test]
async fn a_request_whose_client_has_gone_is_interrupted_if_the_app_asks_for_it() {
    let mut running = diagnosed("gone", &[("cancel_when_client_gone", "on")]).await;
    let pid = running.get("/pid").await.text();
    let gone = send(&running, "/endless", "gone-1").await;
    drop(gone);
    tidegate_tests::wait::eventually("the request is interrupted", async || {
        running.status().await.pool.apps[0]
            .restarts
            .iter()
            .any(|&(reason, count)| reason == RestartReason::ClientGone && count == 1)
            .then_some(())
    })
    .await;
    running.appserver().log.wait(&["WARN", "a request's client has gone and its thread was interrupted"]).await;
    // Its worker is replaced while the site goes on.
    tidegate_tests::wait::eventually("the worker is replaced", async || {
        let response = running.get("/pid").await;
        assert_eq!(response.status, 200, "{response:?}");
        (response.text() != pid).then_some(())
    })
    .await;
    running.wait_metric("tidegate_backend_in_flight", &[("app", "shop")], 0.0).await;
}

#[tokio::test]
async fn a_request_whose_client_has_gone_is_left_alone_otherwise() {
    let running = diagnosed("gone off", &[]).await;
    let gone = send(&running, "/hold", "gone-2").await;
    drop(gone);
    wait_top(&running, "the request nobody waits for", |request| {
        request["request_id"] == "gone-2" && request["abandoned"] == true
    })
    .await;
    running.get("/release").await.assert_text(200, "released");
    running.wait_metric("tidegate_backend_in_flight", &[("app", "shop")], 0.0).await;
    let status = running.status().await;
    assert!(status.pool.apps[0].restarts.iter().all(|(_, count)| *count == 0), "{status:?}");
}

/// Nobody waits for it, but its thread is as lost as any other.
#[tokio::test]
async fn a_request_whose_client_has_gone_has_a_deadline_all_the_same() {
    let mut running = diagnosed("gone late", &[("request_timeout", "6s")]).await;
    let gone = send(&running, "/endless", "gone-3").await;
    drop(gone);
    running.proxy().log.wait(&["cause=client_closed", "request_id=gone-3"]).await;
    running.appserver().log.wait(&["WARN", "request timed out", "request_id=gone-3"]).await;
    running.wait_metric("tidegate_backend_restarts_total", &[("app", "shop"), ("reason", "timeout")], 1.0).await;
    running.wait_metric("tidegate_backend_in_flight", &[("app", "shop")], 0.0).await;
}
