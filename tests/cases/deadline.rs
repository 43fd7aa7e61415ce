//! Requests that take too long: what their clients get, what the log says, and what it costs the others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_contract::RestartReason;
#[cfg(unix)]
use tidegate_tests::process;
use tidegate_tests::{Running, Site};

const SHORT: [(&str, &str); 3] = [("request_timeout", "500ms"), ("timeout_grace", "300ms"), ("processes", "2")];

async fn slow(name: &str, settings: &[(&str, &str)]) -> Running {
    Site::new(name).app("shop", "slow:app", settings).start().await
}

async fn restarts(running: &Running, reason: RestartReason) -> u64 {
    let status = running.status().await;
    let counted = status.pool.apps[0].restarts.iter().find(|(counted, _)| *counted == reason);
    counted.map_or(0, |(_, count)| *count)
}

/// Waits until `count` workers were replaced and none is on its way out.
async fn wait_replaced(running: &Running, count: u64) {
    running
        .wait_status("the workers are replaced", |status| {
            let app = &status.pool.apps[0];
            let replaced: u64 = app.restarts.iter().map(|(_, count)| count).sum();
            let ready = app.workers.iter().filter(|worker| worker.phase == tidegate_contract::WorkerPhase::Ready);
            (replaced == count && ready.count() == 2 && app.workers.len() == 2).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_request_past_its_deadline_gets_502_and_the_log_has_its_stack() {
    let mut running = slow("deadline", &SHORT).await;
    let mut late = running.http().await;
    late.request("GET", "/spin", &[("X-Request-Id", "late-1")], b"").await;
    // The others are served all the while.
    let mut others = running.http().await;
    for _ in 0..20 {
        others.get("/quick").await.assert_text(200, "quick");
    }
    let response = late.response("GET").await;
    response.assert_failure(502, "worker_timeout");
    assert_eq!(response.header("x-request-id"), Some("late-1"));
    // The connection goes on.
    late.get("/quick").await.assert_text(200, "quick");

    let log = &running.appserver().log;
    log.wait(&["late-1"]).await;
    log.wait(&["# the line that the log has to name"]).await;
    log.wait(&["in path_spin"]).await;
    running.proxy().log.wait(&["WARN", "cause=worker_timeout", "request_id=late-1"]).await;
    let failures = [("app", "shop"), ("cause", "worker_timeout")];
    running.wait_metric("tidegate_app_failures_total", &failures, 1.0).await;
    running.wait_metric("tidegate_backend_failures_total", &failures, 1.0).await;

    wait_replaced(&running, 1).await;
    assert_eq!(restarts(&running, RestartReason::Timeout).await, 1);
    running.wait_metric("tidegate_backend_restarts_total", &[("app", "shop"), ("reason", "timeout")], 1.0).await;
    // Every thread is back.
    running.wait_metric("tidegate_backend_in_flight", &[("app", "shop")], 0.0).await;
}

#[tokio::test]
async fn the_deadline_holds_over_http2() {
    let running = slow("deadline2", &SHORT).await;
    let mut http2 = running.http2().await;
    let late = http2.open("GET", "/spin", &[], false).await;
    http2.get("/quick").await.assert_text(200, "quick");
    late.response().await.assert_failure(502, "worker_timeout");
    http2.get("/quick").await.assert_text(200, "quick");
}

#[tokio::test]
async fn a_thread_that_is_stuck_for_good_costs_one_worker_and_nothing_else() {
    let running = slow("stuck", &[SHORT[0], SHORT[1], SHORT[2], ("drain_timeout", "1s")]).await;
    let mut stuck = running.http().await;
    stuck.request("GET", "/stuck", &[], b"").await;
    stuck.response("GET").await.assert_failure(502, "worker_timeout");
    // From here to the end of the replacement nobody else notices.
    let mut others = running.http().await;
    let replaced = async {
        wait_replaced(&running, 1).await;
    };
    let serving = async {
        loop {
            others.get("/quick").await.assert_text(200, "quick");
        }
    };
    tokio::select! {
        () = replaced => {}
        () = serving => {}
    }
    assert_eq!(restarts(&running, RestartReason::Timeout).await, 1);
    let failures = running.metric("tidegate_http_failures_total", &[]).await;
    assert_eq!(failures, 1.0);
}

#[tokio::test]
async fn the_status_of_a_timeout_may_be_504() {
    let running = slow("gateway", &[("request_timeout", "300ms"), ("timeout_status", "504")]).await;
    running.get("/spin").await.assert_failure(504, "worker_timeout");
}

#[tokio::test]
async fn a_route_may_have_a_deadline_of_its_own() {
    let running = Site::new("route")
        .app("shop", "slow:app", &[])
        .set(
            "hosts",
            "[{ routes: [{ path: /, app: shop }, { path: /spin, app: shop, request_timeout: 300ms, mount: off }] }]",
        )
        .start()
        .await;
    running.get("/spin").await.assert_failure(502, "worker_timeout");
}

#[tokio::test]
async fn what_an_app_prints_is_in_the_log() {
    let mut running = slow("prints", &[]).await;
    running.get("/stderr").await.assert_text(200, "told");
    running.appserver().log.wait(&["from the app, to stderr", "app=shop", "worker=0"]).await;
    running.appserver().log.wait(&["from the app, to wsgi.errors"]).await;
}

/// The worker cannot answer for itself: the proxy's own timer does, and the heartbeat tells the supervisor.
#[cfg(unix)]
#[tokio::test]
async fn a_stopped_worker_is_noticed_by_the_proxy_and_replaced_by_the_supervisor() {
    let settings = [
        ("request_timeout", "500ms"),
        ("heartbeat", "100ms"),
        ("heartbeat_timeout", "2s"),
        ("drain_timeout", "1s"),
        ("timeout_grace", "300ms"),
    ];
    let mut running = slow("frozen", &settings).await;
    let pid: u32 = running.get("/pid").await.text().parse().unwrap();
    process::signal(pid, "STOP");
    running.get("/pid").await.assert_failure(502, "worker_timeout");
    running
        .wait_status("the frozen worker is replaced", |status| {
            let app = &status.pool.apps[0];
            let frozen = app.restarts.iter().any(|&(reason, count)| reason == RestartReason::Frozen && count == 1);
            frozen.then_some(())
        })
        .await;
    let next = running.get("/pid").await;
    assert_eq!(next.status, 200, "{next:?}");
    assert_ne!(next.text(), pid.to_string());
    assert!(!process::is_alive(pid));
    running.appserver().log.wait(&["WARN", "app=shop"]).await;
}
