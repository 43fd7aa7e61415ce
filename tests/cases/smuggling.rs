//! Requests that two programs could read differently, over HTTP/1.1: each is refused, or reaches the app as exactly one
//! request, and what follows it on the connection is read as what it is.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use serde_json::Value;
use tidegate_tests::client::{Connection, End};
use tidegate_tests::{Running, Site};

#[path = "smuggling/corpus.rs"]
mod corpus;
#[path = "smuggling/lines.rs"]
mod lines;

use corpus::{Entry, TAIL, Verdict};

/// What the app saw since it was asked last.
async fn seen(running: &Running) -> Vec<Value> {
    running.get("/seen").await.json().as_array().unwrap().clone()
}

async fn run(name: &str, entries: &[Entry]) {
    let running = Site::new(name).app("shop", "witness:app", &[]).start().await;
    let mut failures = Vec::new();
    for (what, bytes, verdict) in entries {
        for tls in [false, true] {
            let connection = if tls { running.https().await } else { running.http().await };
            let told = answers(connection, bytes, *verdict).await;
            let seen = seen(&running).await;
            if let Err(wrong) = told.and_then(|()| check(&seen, *verdict)) {
                failures.push(format!("{what} (tls: {tls}): {wrong}; the app saw {seen:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), entries.len(), failures.join("\n"));
}

/// Sends an entry and its tail, and looks at what comes back.
async fn answers(mut connection: Connection, bytes: &str, verdict: Verdict) -> Result<(), String> {
    // A server that has refused may close before it has read the tail.
    let _ = connection.try_send(format!("{bytes}{TAIL}")).await;
    let mut response = connection.try_head("GET").await.ok_or("no answer")?;
    if response.status == 100 {
        response = connection.head("GET").await;
    }
    while let Some(piece) = connection.piece().await {
        response.body.extend_from_slice(&piece);
    }
    if connection.end() != End::Proper {
        return Err(format!("unfinished: {response:?}"));
    }
    let (status, stays) = match verdict {
        Verdict::Refused(status) => (status, false),
        Verdict::Once(..) => (200, true),
        Verdict::Last(..) => (200, false),
    };
    if response.status != status {
        return Err(format!("{} {:?}", response.status, response.cause()));
    }
    if stays {
        let tail = connection.try_head("GET").await.ok_or("the tail was not answered")?;
        if tail.status != 200 {
            return Err(format!("the tail: {tail:?}"));
        }
    } else if !connection.is_closed_by_server().await {
        return Err("the connection goes on".to_owned());
    }
    Ok(())
}

/// Compares what the app saw with what it had to see.
fn check(seen: &[Value], verdict: Verdict) -> Result<(), String> {
    let mut expected = Vec::new();
    match verdict {
        Verdict::Refused(_) => {}
        Verdict::Once(method, target, body) => expected = vec![(method, target, body), ("GET", "/tail", "")],
        Verdict::Last(method, target, body) => expected = vec![(method, target, body)],
    }
    let found: Vec<_> = seen
        .iter()
        .map(|request| {
            let text = |key: &str| request[key].as_str().unwrap();
            (text("method"), text("target"), text("body"))
        })
        .collect();
    if found != expected {
        return Err(format!("expected {expected:?}"));
    }
    let doubt = seen.iter().any(|request| request["doubt"] != serde_json::json!([]));
    if doubt { Err("what only concerns the connection was passed on".to_owned()) } else { Ok(()) }
}

#[tokio::test]
async fn framing_is_read_in_one_way_or_refused() {
    run("framing", corpus::FRAMING).await;
}

#[tokio::test]
async fn chunks_are_read_in_one_way_or_refused() {
    run("chunks", corpus::CHUNKS).await;
}

#[tokio::test]
async fn lines_and_fields_are_read_in_one_way_or_refused() {
    run("fields", lines::FIELDS).await;
}

#[tokio::test]
async fn the_host_is_read_in_one_way_or_refused() {
    run("hosts", lines::HOSTS).await;
}

#[tokio::test]
async fn the_target_is_read_in_one_way_or_refused() {
    run("targets", lines::TARGETS).await;
}

#[tokio::test]
async fn what_concerns_the_connection_is_not_passed_on() {
    run("connections", lines::CONNECTIONS).await;
}
