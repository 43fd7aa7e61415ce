//! Request ids and W3C trace context: taken over, begun, passed on, and found again in the logs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::{Connection, Response, Running, Site};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn mirror(name: &str, trace_context: &str) -> Running {
    Site::new(name)
        .app("shop", "mirror:app", &[])
        .set("trace_context", trace_context)
        .set("hosts", "[{ routes: [{ path: /, app: shop }, { path: /gone, app: shop, max_body: 1B }] }]")
        .start()
        .await
}

async fn ask(connection: &mut Connection, path: &str, headers: &[(&str, &str)]) -> Response {
    connection.request("GET", path, headers, b"").await;
    connection.response("GET").await
}

#[tokio::test]
async fn a_well_formed_request_id_is_kept_and_another_replaced() {
    let mut running = mirror("ids", "off").await;
    let mut connection = running.http().await;
    let kept = ask(&mut connection, "/kept", &[("X-Request-ID", "caller-1.a_B")]).await;
    assert_eq!(kept.header("x-request-id"), Some("caller-1.a_B"));
    assert_eq!(kept.json()["HTTP_X_REQUEST_ID"], "caller-1.a_B");
    running.proxy().log.wait(&["/kept", "request_id=caller-1.a_B"]).await;
    for wrong in ["a b", "a\"b", ""] {
        let made = ask(&mut connection, "/made", &[("X-Request-ID", wrong)]).await;
        let id = made.header("x-request-id").unwrap().to_owned();
        assert_eq!((id.len(), made.json()["HTTP_X_REQUEST_ID"].as_str()), (32, Some(&*id)), "{wrong}");
        running.proxy().log.wait(&["/made", &format!("request_id={id}")]).await;
    }
}

#[tokio::test]
async fn a_trace_is_taken_over_unchanged() {
    let mut running = mirror("taken", "on").await;
    let mut connection = running.http().await;
    let state = "vendor=1,other=2";
    let seen = ask(&mut connection, "/taken", &[("Traceparent", PARENT), ("Tracestate", state)]).await.json();
    assert_eq!((seen["HTTP_TRACEPARENT"].as_str(), seen["HTTP_TRACESTATE"].as_str()), (Some(PARENT), Some(state)));
    running.proxy().log.wait(&["/taken", &format!("trace_id={TRACE}")]).await;
}

#[tokio::test]
async fn a_trace_begins_where_there_is_none_or_a_malformed_one() {
    let mut running = mirror("begun", "on").await;
    let mut connection = running.http().await;
    for parent in [None, Some("00-0-0-01"), Some(&PARENT.to_uppercase()[..]), Some(&format!("ff{}", &PARENT[2..])[..])]
    {
        let headers: Vec<_> =
            parent.map(|parent| ("traceparent", parent)).into_iter().chain([("tracestate", "a=1")]).collect();
        let seen = ask(&mut connection, "/begun", &headers).await.json();
        let made = seen["HTTP_TRACEPARENT"].as_str().unwrap().to_owned();
        assert!(made.len() == 55 && made.starts_with("00-") && made.ends_with("-01"), "{made}");
        assert!(seen.get("HTTP_TRACESTATE").is_none(), "{seen}");
        running.proxy().log.wait(&["/begun", &format!("trace_id={}", &made[3..35])]).await;
    }
    // Another spelling of the field cannot stand beside it.
    let seen =
        ask(&mut connection, "/alias", &[("Traceparent", PARENT), ("trace_parent", "x"), ("tracestate", "a=1")]).await;
    assert_eq!(seen.json()["HTTP_TRACEPARENT"], PARENT);
}

#[tokio::test]
async fn a_failure_names_its_trace() {
    let mut running = mirror("failed", "on").await;
    let mut connection = running.http().await;
    connection.request("POST", "/gone", &[("traceparent", PARENT)], b"too long").await;
    assert_eq!(connection.response("POST").await.status, 413);
    running.proxy().log.wait(&["request failed", &format!("trace_id={TRACE}")]).await;
}

#[tokio::test]
async fn without_the_switch_both_fields_are_the_apps() {
    let mut running = mirror("off", "off").await;
    let mut connection = running.http().await;
    let seen = ask(&mut connection, "/off", &[("traceparent", "whatever"), ("tracestate", "a=1")]).await.json();
    assert_eq!((seen["HTTP_TRACEPARENT"].as_str(), seen["HTTP_TRACESTATE"].as_str()), (Some("whatever"), Some("a=1")));
    assert!(ask(&mut connection, "/none", &[]).await.json().get("HTTP_TRACEPARENT").is_none());
    let line = running.proxy().log.wait(&["/none", "200"]).await;
    assert!(!line.contains("trace_id"), "{line}");
}
