//! Who goes first, who is limited, and who is turned away.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_contract::AppPhase;
use tidegate_tests::client::Response;
use tidegate_tests::wait::eventually;
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
    running.wait_metric(DEPTH, &[("app", "shop")], 0.0).await;
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

/// A site behind a trusted proxy, whose only host has these keys, and its route `/api` those.
fn limited(name: &str, host: &str, api: &str) -> Site {
    let hosts = format!(
        "[{{ names: [shop.example, '*'], {host} routes: [{{ path: /, app: shop }}, {{ path: /api, app: shop, {api} }}] }}]"
    );
    Site::new(name).app("shop", "slow:app", &[]).set("trusted_proxies", "[127.0.0.1]").set("hosts", &hosts)
}

/// A request from this client.
async fn from(running: &Running, client: &str, target: &str) -> Response {
    running.http().await.get_with(target, &[("X-Forwarded-For", client)]).await
}

#[track_caller]
fn assert_limited(response: &Response) {
    response.assert_failure(429, "rate_limited");
    let seconds: u32 = response.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&seconds), "{response:?}");
}

#[tokio::test]
async fn an_address_may_send_so_many_and_others_do_not_notice() {
    let mut running =
        limited("rates", "rate_limits: [{ rate: 1/h, burst: 2 }],", "rate_limits: [{ rate: 1/h }]").start().await;
    for client in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
        from(&running, client, "/quick").await.assert_text(200, "quick");
        from(&running, client, "/quick").await.assert_text(200, "quick");
        assert_limited(&from(&running, client, "/quick").await);
    }
    assert_limited(&from(&running, "2001:db8::ffff:1", "/quick").await);
    from(&running, "2001:db8:0:1::1", "/quick").await.assert_text(200, "quick");
    assert_limited(&running.http2().await.get_with("/quick", &[("x-forwarded-for", "192.0.2.1")]).await);
    // A route with limits of its own does not count for its host's.
    from(&running, "192.0.2.1", "/api/quick").await.assert_text(200, "quick");
    assert_limited(&from(&running, "192.0.2.1", "/api/quick").await);
    let page = running
        .http()
        .await
        .get_with("/quick", &[("X-Forwarded-For", "192.0.2.1"), ("Accept", "application/json")])
        .await
        .json();
    assert_eq!(page["cause"], "rate_limited");

    let refused = |place| [("place", place), ("limit", "address"), ("action", "refused")];
    let metric = "tidegate_limited_requests_total";
    running.wait_metric(metric, &refused("shop.example"), 6.0).await;
    running.wait_metric(metric, &refused("shop.example/api"), 1.0).await;
    running.wait_metric("tidegate_http_failures_total", &[("cause", "rate_limited")], 7.0).await;
    running.proxy().log.wait(&["over a limit: refused", "place=shop.example/api", "client=192.0.2.1"]).await;

    // What a reload leaves as it was goes on counting; what it changes begins anew.
    let other = limited("never started", "rate_limits: [{ rate: 1/h, burst: 2 }],", "rate_limits: [{ rate: 2/h }]");
    let hosts = other.yaml().lines().find_map(|line| line.strip_prefix("hosts: ")).unwrap().to_owned();
    running.site.change("hosts", &hosts);
    running.site.write();
    assert_eq!(running.tidegate(&["reload"]).await.code, 0);
    assert_limited(&from(&running, "192.0.2.1", "/quick").await);
    from(&running, "192.0.2.1", "/api/quick").await.assert_text(200, "quick");
}

#[tokio::test]
async fn a_limit_counts_by_field_or_route_or_only_counts() {
    let running = limited(
        "keys",
        "rate_limits: [{ key: route, rate: 1/h, burst: 4, dry_run: on }],",
        "rate_limits: [{ key: header X-Api-Key, rate: 1/h, burst: 1 }]",
    )
    .start()
    .await;
    let with_key = async |client: &str, key: &str| {
        let fields = [("X-Forwarded-For", client), ("X-Api-Key", key)];
        running.http().await.get_with("/api/quick", &fields).await
    };
    with_key("192.0.2.1", "one").await.assert_text(200, "quick");
    with_key("192.0.2.1", "two").await.assert_text(200, "quick");
    assert_limited(&with_key("192.0.2.2", "one").await);
    // Without the field an address counts, and does not get round the limit.
    from(&running, "192.0.2.1", "/api/quick").await.assert_text(200, "quick");
    assert_limited(&from(&running, "192.0.2.1", "/api/quick").await);
    from(&running, "192.0.2.2", "/api/quick").await.assert_text(200, "quick");

    for client in 1..=6 {
        from(&running, &format!("192.0.2.{client}"), "/quick").await.assert_text(200, "quick");
    }
    let counted = [("place", "shop.example"), ("limit", "route"), ("action", "counted")];
    running.wait_metric("tidegate_limited_requests_total", &counted, 2.0).await;
    running.wait_metric("tidegate_http_failures_total", &[("cause", "rate_limited")], 2.0).await;
}

#[tokio::test]
async fn so_many_requests_are_under_way_at_once() {
    let running = limited("gate", "concurrency: { limit: 1, per: address },", "concurrency: { limit: 2, wait: 60s }")
        .start()
        .await;
    let hold = async |client: &str, target: &str, under_way: f64| {
        let mut connection = running.http().await;
        connection.request("GET", &format!("{target}?gate"), &[("X-Forwarded-For", client)], b"").await;
        running.wait_metric("tidegate_backend_in_flight", &[("app", "shop")], under_way).await;
        connection
    };
    let mut first = hold("192.0.2.1", "/hold/first", 1.0).await;
    let refused = from(&running, "192.0.2.1", "/quick").await;
    refused.assert_failure(503, "concurrency_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    from(&running, "192.0.2.2", "/quick").await.assert_text(200, "quick");
    let mut api = [hold("192.0.2.1", "/api/hold/a", 2.0).await, hold("192.0.2.1", "/api/hold/b", 3.0).await];
    let mut waiting = hold("192.0.2.3", "/api/quick", 3.0).await;
    let refused = [("place", "shop.example"), ("action", "refused")];
    running.wait_metric("tidegate_limited_requests_total", &refused, 1.0).await;
    running.site.put("gate", "");
    first.response("GET").await.assert_text(200, "first");
    api[0].response("GET").await.assert_text(200, "a");
    api[1].response("GET").await.assert_text(200, "b");
    waiting.response("GET").await.assert_text(200, "quick");
    from(&running, "192.0.2.1", "/quick").await.assert_text(200, "quick");
}

/// Sends the header of an upload that waits to be told to go on, and one that does not wait.
async fn assert_refused_before_its_body(running: &Running, target: &str, cause: &str) {
    let mut waits = running.http().await;
    let fields = [("Content-Length", "1000000000"), ("Expect", "100-continue")];
    waits.request("PUT", target, &fields, b"").await;
    waits.response("PUT").await.assert_failure(503, cause);

    // Of one that is sent at once enough is read for the answer to arrive.
    let mut sends = running.http().await;
    sends.request("PUT", target, &[("Transfer-Encoding", "chunked")], b"").await;
    sends.send(b"200000\r\n").await;
    sends.send(vec![b'x'; 1 << 20]).await;
    sends.response("PUT").await.assert_failure(503, cause);

    // A short body is read, and the connection stays.
    let mut short = running.http().await;
    short.post(target, &[], b"short").await.assert_failure(503, cause);
    short.post(target, &[], b"short").await.assert_failure(503, cause);
}

#[tokio::test]
async fn an_upload_that_would_be_in_vain_is_answered_at_once() {
    let running = classes("vain", "{ size: 1, timeout: 60s }").await;
    let mut first = busy(&running).await;
    let mut second = hold(&running, "/hold/second", "normal", 1.0).await;
    assert_refused_before_its_body(&running, "/quick", "queue_full").await;
    // One that may have another's place is read first.
    let mut high = running.http().await;
    high.request("PUT", "/high/quick", &[("Content-Length", "100000"), ("Expect", "100-continue")], b"").await;
    assert_eq!(high.head("PUT").await.status, 100);
    running.site.put("gate", "");
    first.response("GET").await.assert_text(200, "first");
    second.response("GET").await.assert_text(200, "second");
    high.send(vec![b'x'; 100_000]).await;
    high.response("PUT").await.assert_text(200, "quick");
}

#[tokio::test]
async fn an_upload_to_an_app_that_failed_is_answered_at_once() {
    let site =
        Site::new("failed").file("broken.py", "raise LookupError('at the start')\n").app("shop", "broken:app", &[]);
    let running = site.launch().await;
    running
        .wait_status("the app has failed", |status| (status.pool.apps[0].phase == AppPhase::Failed).then_some(()))
        .await;
    eventually("the proxy knows", async || (running.get("/").await.status == 503).then_some(())).await;
    assert_refused_before_its_body(&running, "/upload", "no_backend").await;
}
