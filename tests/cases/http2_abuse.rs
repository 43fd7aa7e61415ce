//! HTTP/2 frame by frame: requests that are malformed or could be read in two ways, and floods.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use serde_json::Value;
use tidegate_tests::client::frames::Fate;
use tidegate_tests::{Running, Site};

#[path = "http2_abuse/corpus.rs"]
mod corpus;
#[path = "http2_abuse/floods.rs"]
mod floods;

use corpus::{Entry, Verdict};

async fn site(name: &str) -> Running {
    Site::new(name).app("shop", "witness:app", &[]).start().await
}

async fn run(name: &str, entries: Vec<Entry>) {
    let running = site(name).await;
    let mut failures = Vec::new();
    for Entry { what, bytes, verdict } in &entries {
        let mut frames = running.frames().await;
        let _ = frames.send_raw(bytes).await;
        let fate = frames.fate(1).await;
        // Whatever was refused, another connection is served; and by then the app has seen what it will see.
        let seen: Vec<Value> = running.get("/seen").await.json().as_array().unwrap().clone();
        let text = |request: &Value, key: &str| request[key].as_str().unwrap().to_owned();
        let seen: Vec<_> = seen.iter().map(|it| (text(it, "method"), text(it, "target"), text(it, "body"))).collect();
        let right = match verdict {
            Verdict::Refused(fates) => fates.contains(&fate) && seen.is_empty(),
            Verdict::Once(method, target, body) => {
                let expected = (*method, *target, *body);
                let found: Vec<_> = seen.iter().map(|(one, two, three)| (&**one, &**two, &**three)).collect();
                fate == Fate::Answered(200) && found == [expected]
            }
        };
        if !right {
            failures.push(format!("{what}: {fate:?}; the app saw {seen:?}"));
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), entries.len(), failures.join("\n"));
}

#[tokio::test]
async fn fields_are_read_in_one_way_or_refused() {
    run("h2-fields", corpus::fields()).await;
}

#[tokio::test]
async fn bodies_are_read_in_one_way_or_refused() {
    run("h2-bodies", corpus::bodies()).await;
}

#[tokio::test]
async fn frames_out_of_place_are_refused() {
    run("h2-frames", corpus::frames()).await;
}
