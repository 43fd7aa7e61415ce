//! More requests than threads: who waits, for how long, and in which order they are served.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::{Connection, Running, Site};

const DEPTH: &str = "tidegate_app_queue_depth";
const SHOP: [(&str, &str); 1] = [("app", "shop")];

/// One thread and this queue.
async fn one_thread(name: &str, queue: &str) -> Running {
    Site::new(name).app("shop", "slow:app", &[("threads", "1"), ("queue", queue)]).start().await
}

/// Starts a request that ends when `release` is called, and waits until it has a thread or a place in the queue.
async fn hold(running: &Running, name: &str, queued: f64) -> Connection {
    let mut connection = running.http().await;
    let target = format!("/hold/{name}?gate");
    connection.request("GET", &target, &[], b"").await;
    running.wait_metric(DEPTH, &SHOP, queued).await;
    if queued == 0.0 {
        running.wait_metric("tidegate_backend_in_flight", &SHOP, 1.0).await;
    }
    connection
}

fn release(running: &Running) {
    running.site.put("gate", "");
}

#[tokio::test]
async fn a_full_queue_is_answered_at_once() {
    let running = one_thread("full", "{ size: 1, timeout: 60s }").await;
    let mut first = hold(&running, "first", 0.0).await;
    let mut second = hold(&running, "second", 1.0).await;
    for _ in 0..3 {
        let refused = running.get("/quick").await;
        refused.assert_failure(503, "queue_full");
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
    }
    running.http2().await.get("/quick").await.assert_failure(503, "queue_full");
    release(&running);
    first.response("GET").await.assert_text(200, "first");
    second.response("GET").await.assert_text(200, "second");
    running.wait_metric("tidegate_app_failures_total", &[("app", "shop"), ("cause", "queue_full")], 4.0).await;
    running.get("/quick").await.assert_text(200, "quick");
}

#[tokio::test]
async fn waiting_has_a_limit_of_its_own() {
    let running = one_thread("timeout", "{ size: 10, timeout: 300ms }").await;
    let mut first = hold(&running, "first", 0.0).await;
    let late = running.get("/quick").await;
    late.assert_failure(503, "queue_timeout");
    assert!(late.header("retry-after").is_some(), "{late:?}");
    release(&running);
    first.response("GET").await.assert_text(200, "first");
    running.wait_metric(DEPTH, &SHOP, 0.0).await;
    running.get("/quick").await.assert_text(200, "quick");
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_is_not_run() {
    let mut running = one_thread("leaves", "{ size: 10, timeout: 60s }").await;
    let mut first = hold(&running, "first", 0.0).await;
    let second = hold(&running, "second", 1.0).await;
    let mut third = hold(&running, "third", 2.0).await;
    drop(second);
    running.wait_metric(DEPTH, &SHOP, 1.0).await;
    release(&running);
    first.response("GET").await.assert_text(200, "first");
    third.response("GET").await.assert_text(200, "third");
    running.get("/started").await.assert_text(200, "first,third");
    running.proxy().log.wait(&["/hold/second", "499", "cause=client_closed"]).await;
}

#[tokio::test]
async fn requests_are_served_in_the_order_in_which_they_came() {
    let running = one_thread("order", "{ size: 100, timeout: 60s }").await;
    let mut waiting = Vec::new();
    for number in 0..8_u8 {
        waiting.push(hold(&running, &number.to_string(), f64::from(number)).await);
    }
    release(&running);
    for (number, connection) in waiting.iter_mut().enumerate() {
        connection.response("GET").await.assert_text(200, &number.to_string());
    }
    running.get("/started").await.assert_text(200, "0,1,2,3,4,5,6,7");
    running.wait_metric_at_least("tidegate_app_queue_wait_seconds_count", &SHOP, 8.0).await;
}

#[tokio::test]
async fn requests_wait_while_a_worker_is_replaced() {
    let running = one_thread("replaced", "{ size: 10, timeout: 60s }").await;
    running.http().await.post("/exit", &[], b"").await.assert_failure(502, "worker_died");
    let (mut one, mut two) = (running.http().await, running.http().await);
    let (one, two) = tokio::join!(one.get("/quick"), two.get("/quick"));
    one.assert_text(200, "quick");
    two.assert_text(200, "quick");
}
