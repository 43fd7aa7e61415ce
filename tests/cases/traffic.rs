//! Who goes first, who is limited, and who is turned away.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::{Connection, Running, Site};

const DEPTH: &str = "tidegate_app_queue_depth";

/// A site of one app of one thread whose paths `/high`, `/low` and everything else have those priorities.
async fn classes(name: &str, queue: &str) -> Running {
    Site::new(name)
        .app("shop", "slow:app", &[("threads", "1"), ("queue", queue)])
        .set(
            "hosts",
            "[{ routes: [{ path: /, app: shop }, { path: /high, app: shop, priority: high }, \
             { path: /low, app: shop, priority: low }] }]",
        )
        .start()
        .await
}

/// Starts a request that runs until `gate` is there, and waits until so many of its class wait.
async fn hold(running: &Running, target: &str, class: &str, waiting: f64) -> Connection {
    let mut connection = running.http().await;
    connection.request("GET", &format!("{target}?gate"), &[], b"").await;
    running.wait_metric(DEPTH, &[("app", "shop"), ("priority", class)], waiting).await;
    connection
}

/// A request that has the only thread.
async fn busy(running: &Running) -> Connection {
    let connection = hold(running, "/hold/first", "normal", 0.0).await;
    running.wait_metric("tidegate_backend_in_flight", &[("app", "shop")], 1.0).await;
    connection
}

#[tokio::test]
async fn a_higher_priority_goes_first() {
    let running = classes("priority", "{ size: 10, timeout: 60s }").await;
    let mut all = vec![busy(&running).await];
    all.push(hold(&running, "/low/hold/low", "low", 1.0).await);
    all.push(hold(&running, "/hold/second", "normal", 1.0).await);
    all.push(hold(&running, "/hold/third", "normal", 2.0).await);
    all.push(hold(&running, "/high/hold/high", "high", 1.0).await);
    running.site.put("gate", "");
    for connection in &mut all {
        assert_eq!(connection.response("GET").await.status, 200);
    }
    running.get("/started").await.assert_text(200, "first,high,second,third,low");
    assert_eq!(running.metric(DEPTH, &[("app", "shop")]).await, 0.0);
}

#[tokio::test]
async fn a_full_queue_has_room_for_a_higher_priority() {
    let running = classes("room", "{ size: 2, timeout: 60s }").await;
    let mut first = busy(&running).await;
    let mut second = hold(&running, "/hold/second", "normal", 1.0).await;
    let mut low = hold(&running, "/low/hold/low", "low", 1.0).await;
    running.get("/low/quick").await.assert_failure(503, "queue_full");
    let mut high = hold(&running, "/high/hold/high", "high", 1.0).await;
    low.response("GET").await.assert_failure(503, "queue_full");
    running.get("/low/quick").await.assert_failure(503, "queue_full");
    running.site.put("gate", "");
    for (connection, name) in [(&mut first, "first"), (&mut second, "second"), (&mut high, "high")] {
        connection.response("GET").await.assert_text(200, name);
    }
}
