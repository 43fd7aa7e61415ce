//! Floods: the connection ends, and the proxy is as it was before.

use std::time::Duration;

use tidegate_tests::client::frames::{Frame, GET, flag, frame, kind, literal, read, string};
use tidegate_tests::wait::eventually;
use tidegate_tests::{Running, Site};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep};

const CANCEL: &[u8] = &[0, 0, 0, 8];
/// What the allocator keeps, however many attacks: up to four megabytes for each of the 64 threads that read files. (On
/// Linux those threads go after a second, and it is much less.)
const KEPT: f64 = (256 << 20) as f64;

async fn memory(running: &Running) -> f64 {
    running.metric("tidegate_process_resident_memory_bytes", &[]).await
}

async fn ended(running: &Running, reason: &str) -> f64 {
    running.metric("tidegate_http2_ended_total", &[("reason", reason)]).await
}

/// Waits until no client is connected, memory is below this limit and the processor rests.
async fn wait_until_calm(running: &Running, limit: f64) {
    running.wait_metric("tidegate_listener_connections", &[], 0.0).await;
    eventually("memory is back to normal", async || (memory(running).await < limit).then_some(())).await;
    eventually("the processor rests", async || {
        let (from, used) = (Instant::now(), running.metric("tidegate_process_cpu_seconds_total", &[]).await);
        sleep(Duration::from_millis(100)).await;
        let used = running.metric("tidegate_process_cpu_seconds_total", &[]).await - used;
        (used < from.elapsed().as_secs_f64() / 4.0).then_some(())
    })
    .await;
}

/// Sends `begin` and then pieces without end, and reads meanwhile: the frames that came until the connection ended.
async fn flood(running: &Running, begin: &[u8], mut next: impl FnMut(u32) -> Vec<u8> + Send + 'static) -> Vec<Frame> {
    let mut frames = running.frames().await;
    let _ = frames.send_raw(begin).await;
    let (mut writer, mut reader) = frames.split();
    let sender = tokio::spawn(async move {
        let mut number = 0;
        loop {
            let mut bytes = Vec::new();
            for _ in 0..100 {
                bytes.extend(next(number));
                number += 1;
            }
            if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
    });
    let mut seen = Vec::new();
    while let Some(frame) = read(&mut reader).await {
        // Answers to the flood are as many as its frames.
        if frame.kind != kind::PING && frame.kind != kind::SETTINGS {
            seen.push(frame);
        }
    }
    drop(reader);
    sender.abort();
    seen
}

/// Odd numbers.
fn stream(number: u32) -> u32 {
    2 * number + 1
}

#[tokio::test]
async fn a_flood_of_frames_that_are_no_requests_ends_the_connection() {
    let running = super::site("h2-floods").await;
    assert_eq!(running.get("/warm").await.status, 200);
    let limit = memory(&running).await + KEPT;
    type Next = Box<dyn FnMut(u32) -> Vec<u8> + Send>;
    let floods: Vec<(&str, Next)> = vec![
        ("ping", Box::new(|_| frame(kind::PING, 0, 0, b"12345678"))),
        ("settings", Box::new(|_| frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]))),
        ("priority", Box::new(|number| frame(kind::PRIORITY, 0, stream(number % 1000), &[0, 0, 0, 0, 1]))),
        ("window", Box::new(|_| frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))),
        ("unknown frames", Box::new(|_| frame(0xfa, 0, 0, b"what"))),
        (
            "rapid reset",
            Box::new(|number| {
                let flags = flag::END_HEADERS | flag::END_STREAM;
                let mut both = frame(kind::HEADERS, flags, stream(number), &literal(GET));
                both.extend(frame(kind::RST_STREAM, 0, stream(number), CANCEL));
                both
            }),
        ),
        (
            "streams that never end",
            Box::new(|number| frame(kind::HEADERS, flag::END_HEADERS, stream(number), &literal(GET))),
        ),
    ];
    for (what, next) in floods {
        let floods = ended(&running, "flood").await + ended(&running, "protocol").await;
        flood(&running, b"", next).await;
        let counted = ended(&running, "flood").await + ended(&running, "protocol").await;
        assert_eq!(counted, floods + 1.0, "{what}");
        wait_until_calm(&running, limit).await;
    }
    // Everyone else is served.
    assert_eq!(running.http2().await.get("/after").await.status, 200);
}

#[tokio::test]
async fn a_header_without_end_ends_the_connection() {
    let running = super::site("h2-headers").await;
    assert_eq!(running.get("/warm").await.status, 200);
    let limit = memory(&running).await + KEPT;
    let begin = || frame(kind::HEADERS, flag::END_STREAM, 1, &literal(GET));
    let open = frame(kind::HEADERS, flag::END_HEADERS, 1, &literal(&[&[(":method", "POST")], &GET[1..]].concat()));
    type Next = Box<dyn FnMut(u32) -> Vec<u8> + Send>;
    let floods: Vec<(&str, Vec<u8>, Next)> = vec![
        ("continuation", begin(), Box::new(|_| frame(kind::CONTINUATION, 0, 1, &literal(&[("x", &"y".repeat(1000))])))),
        ("empty continuation", begin(), Box::new(|_| frame(kind::CONTINUATION, 0, 1, b""))),
        ("empty data", open.clone(), Box::new(|_| frame(kind::DATA, 0, 1, b""))),
        ("data of a byte", open, Box::new(|_| frame(kind::DATA, 0, 1, b"x"))),
    ];
    for (what, begin, next) in floods {
        flood(&running, &begin, next).await;
        wait_until_calm(&running, limit).await;
        let seen = running.get("/seen").await.json();
        let seen: Vec<_> = seen.as_array().unwrap().iter().filter(|request| request["target"] != "/warm").collect();
        assert!(seen.is_empty(), "{what}: {seen:?}");
    }
    assert!(ended(&running, "flood").await + ended(&running, "protocol").await >= 3.0);
}

#[tokio::test]
async fn a_header_that_unfolds_to_megabytes_is_refused() {
    let running = super::site("h2-bomb").await;
    assert_eq!(running.get("/warm").await.status, 200);
    let limit = memory(&running).await + KEPT;
    let mut frames = running.frames().await;
    // One entry of the dynamic table, then a reference to it in each byte.
    let mut block = literal(GET);
    block.push(0x40);
    string(&mut block, "x");
    string(&mut block, &"y".repeat(3900));
    block.resize(16_000, 0xbe);
    for number in 0..50 {
        frames.send(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream(number), &block).await;
    }
    let fate = frames.fate(1).await;
    assert!(!matches!(fate, super::Fate::Answered(200)), "{fate:?}");
    drop(frames);
    wait_until_calm(&running, limit).await;
    let seen = running.get("/seen").await.json();
    assert_eq!(seen.as_array().unwrap().len(), 1, "{seen}");
}

/// A site with a large file, whose patience is short.
async fn impatient(name: &str) -> Running {
    Site::new(name)
        .file("files/large", vec![b'x'; 16 << 20])
        .app("shop", "witness:app", &[])
        .set("hosts", "[{ routes: [{ path: /files, files: files }, { path: /, app: shop }] }]")
        .set("limits", "{ client_timeout: 500ms, keep_alive: 500ms }")
        .start()
        .await
}

const LARGE: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/files/large")];

#[tokio::test]
async fn streams_without_a_body_or_without_a_window_are_given_up() {
    let running = impatient("h2-stalled").await;
    // An attack whose memory stayed, 32 MiB, would pass it by the eighth.
    let limit = memory(&running).await + KEPT;
    let post: Vec<_> = [&[(":method", "POST")], &GET[1..]].concat();
    for _ in 0..12 {
        // Bodies that never come.
        let mut frames = running.frames().await;
        for number in 0..100 {
            frames.headers(stream(number), &post, false).await;
        }
        assert_eq!(frames.fate(stream(99)).await, super::Fate::Answered(408));
        frames.end().await;
        // Responses that nobody lets in.
        let mut frames = running.frames().await;
        frames.send(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
        for number in 0..100 {
            frames.headers(stream(number), LARGE, true).await;
        }
        assert!(matches!(frames.fate(stream(99)).await, super::Fate::Reset(_)));
        frames.end().await;
        wait_until_calm(&running, limit).await;
    }
}

#[tokio::test]
async fn a_connection_that_nobody_reads_is_given_up() {
    let running = impatient("h2-unread").await;
    // What is kept varies with the threads that took part, so the bound is one for all: an attack whose memory stayed, 70
    // MiB, would pass it by the fourth.
    let limit = memory(&running).await + KEPT;
    for attack in 1..=6 {
        let mut frames = running.frames().await;
        frames.send(kind::SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]).await;
        frames.send(kind::WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]).await;
        for number in 0..10 {
            frames.headers(stream(number), LARGE, true).await;
        }
        let count = f64::from(attack);
        eventually("the connection is given up", async || (ended(&running, "stalled").await == count).then_some(()))
            .await;
        wait_until_calm(&running, limit).await;
        drop(frames);
    }
}
