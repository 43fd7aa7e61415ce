//! Slow clients, reading or writing: none of them holds a Python thread, and what waits for them has its limits.
//! Every app here has one thread, so whoever holds it holds up everybody.

use sha2::{Digest as _, Sha256};
use tidegate_tests::client::End;
#[cfg(unix)]
use tidegate_tests::process;
use tidegate_tests::wait::eventually;
use tidegate_tests::{Connection, Response, Running, Site};

const MEMORY: &str = "tidegate_buffer_memory_bytes";
const DISK: &str = "tidegate_buffer_disk_bytes";
const FILES: &str = "tidegate_buffer_files_total";
/// More than the sockets between the programs and the client hold.
const LARGE: usize = 32 << 20;

/// One thread, a patient proxy, and these limits of buffers.
fn site(name: &str, limits: &str) -> Site {
    let limits = format!("{{ client_timeout: 10m, {limits} }}");
    Site::new(name)
        .app("shop", "bodies:app", &[("threads", "1"), ("request_timeout", "10m"), ("stream_idle_timeout", "10m")])
        .set("limits", &limits)
}

async fn one_thread(name: &str) -> Running {
    site(name, "buffer_memory: 64KiB").start().await
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// What `/digest` says of a body, as the app should have seen it.
fn seen(body: &[u8]) -> String {
    let hex: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{0} {0} {hex}", body.len())
}

fn assert_large(response: &Response, length: usize) {
    assert_eq!((response.status, response.body.len(), response.end), (200, length, End::Proper));
    assert_in_order(response);
}

fn assert_in_order(response: &Response) {
    let right = response.body.chunks(65_536).enumerate().all(|(at, piece)| piece.iter().all(|&b| b == at as u8));
    assert!(right, "bytes are in another order");
}

/// Asks for a response and reads its head alone: it runs, and its body waits.
async fn unread(running: &Running, target: &str) -> (Connection, Response) {
    let mut connection = running.http().await;
    connection.request("GET", target, &[], b"").await;
    let head = connection.head("GET").await;
    (connection, head)
}

/// Reads what is left of a response.
async fn read((mut connection, mut response): (Connection, Response)) -> Response {
    while let Some(piece) = connection.piece().await {
        response.body.extend_from_slice(&piece);
    }
    response.end = connection.end();
    response
}

/// Nothing waits and nothing is left behind.
async fn assert_empty(running: &Running) {
    running.wait_metric(DISK, &[], 0.0).await;
    running.wait_metric(MEMORY, &[], 0.0).await;
    eventually("no file is left", async || files(running).is_empty().then_some(())).await;
}

fn files(running: &Running) -> Vec<String> {
    let entries = std::fs::read_dir(running.site.path(".tidegate/buffers")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn a_slow_upload_does_not_hold_a_python_thread() {
    let running = one_thread("upload").await;
    let body = bytes(40);
    let mut slow = running.http().await;
    slow.send("POST /digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\n\r\n").await;
    for (sent, byte) in body[..30].iter().enumerate() {
        slow.send([*byte]).await;
        running.wait_metric(MEMORY, &[], (sent + 1) as f64).await;
    }
    let mut over_http2 = running.http2().await;
    let mut stream = over_http2.open("POST", "/digest", &[], true).await;
    stream.send(&body[..20], false).await;
    running.wait_metric(MEMORY, &[], 50.0).await;

    running.get("/quick").await.assert_text(200, "quick");
    running.wait_metric("tidegate_backend_in_flight", &[], 0.0).await;
    running.wait_metric("tidegate_app_queue_depth", &[], 0.0).await;

    slow.send(&body[30..]).await;
    slow.response("POST").await.assert_text(200, &seen(&body));
    stream.send(&body[20..], true).await;
    stream.response().await.assert_text(200, &seen(&body));
    assert_eq!(running.metric(FILES, &[]).await, 0.0, "what fits memory takes no file");
    assert_empty(&running).await;
}

#[tokio::test]
async fn a_large_upload_waits_on_the_disk_and_leaves_nothing_there() {
    let running = one_thread("disk").await;
    let body = bytes(1_000_000);
    let mut slow = running.http().await;
    slow.send("POST /digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n").await;
    slow.send(&body[..900_000]).await;
    running.wait_metric_at_least(DISK, &[], 700_000.0).await;
    running.get("/quick").await.assert_text(200, "quick");
    slow.send(&body[900_000..]).await;
    slow.response("POST").await.assert_text(200, &seen(&body));
    running.wait_metric(FILES, &[], 1.0).await;
    assert_empty(&running).await;

    // A client that gives up half-way takes its bytes with it.
    let mut gone = running.http().await;
    gone.send("POST /digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n").await;
    gone.send(&body[..500_000]).await;
    running.wait_metric_at_least(DISK, &[], 300_000.0).await;
    drop(gone);
    assert_empty(&running).await;
}

#[tokio::test]
async fn a_slow_reader_does_not_hold_a_python_thread() {
    let running = one_thread("reader").await;
    let slow = unread(&running, &format!("/large?{LARGE}")).await;
    running.get("/quick").await.assert_text(200, "quick");
    assert!(running.metric(DISK, &[]).await > 0.0);
    assert_large(&read(slow).await, LARGE);
    assert_empty(&running).await;

    let mut over_http2 = running.http2().await;
    // Its window is 64 KiB, and nobody opens it further.
    let stopped = over_http2.open("GET", "/large?1000000", &[], false).await.head().await;
    assert_eq!(stopped.0.status, 200);
    running.get("/quick").await.assert_text(200, "quick");
    assert!(running.metric(DISK, &[]).await > 0.0);
    drop(stopped);
    assert_empty(&running).await;

    // A client that gives up takes what waited for it with it.
    let gone = unread(&running, &format!("/large?{LARGE}")).await;
    running.get("/quick").await.assert_text(200, "quick");
    assert!(running.metric(DISK, &[]).await > 0.0);
    drop(gone);
    assert_empty(&running).await;
}

#[tokio::test]
async fn a_response_over_its_limit_waits_in_the_app_and_arrives_whole() {
    let running = site("limit", "buffer_response: 1MB").start().await;
    let mut slow = running.http().await;
    slow.request("GET", &format!("/large?{LARGE}"), &[], b"").await;
    running.wait_metric_at_least(DISK, &[], 800_000.0).await;
    assert!(running.metric(DISK, &[]).await <= 1_000_000.0);
    running.wait_metric("tidegate_backend_in_flight", &[], 1.0).await;
    assert_large(&slow.response("GET").await, LARGE);
    assert_eq!(running.metric("tidegate_buffer_rejected_total", &[]).await, 0.0);
    assert_empty(&running).await;
}

#[tokio::test]
async fn a_response_that_breaks_is_cut_for_a_slow_reader_too() {
    let running = one_thread("breaks").await;
    let slow = unread(&running, &format!("/breaks?{LARGE}")).await;
    running.get("/quick").await.assert_text(200, "quick");
    let broken = read(slow).await;
    assert_eq!((broken.status, broken.end), (200, End::Cut));
    assert!(running.metric(FILES, &[]).await > 0.0 && !broken.body.is_empty());
    assert_in_order(&broken);
    assert_empty(&running).await;
}

#[tokio::test]
async fn a_chunked_upload_reaches_the_app_with_its_length() {
    let running = one_thread("chunked").await;
    let mut connection = running.http().await;
    let encoding = [("Transfer-Encoding", "chunked")];
    let chunked = b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
    connection.post("/digest", &encoding, chunked).await.assert_text(200, &seen(b"abcd"));
    connection.post("/digest", &encoding, b"0\r\n\r\n").await.assert_text(200, &seen(b""));
    connection.request("GET", "/digest", &encoding, chunked).await;
    connection.response("GET").await.assert_text(200, &seen(b"abcd"));
    running.http2().await.post("/digest", &[], b"over h2").await.assert_text(200, &seen(b"over h2"));
}

#[tokio::test]
async fn an_app_that_does_not_read_a_large_upload_is_heard() {
    let running = one_thread("unheard").await;
    let mut connection = running.http().await;
    for _ in 0..20 {
        connection.post("/quick", &[], &bytes(1_000_000)).await.assert_text(200, "quick");
    }
    assert_eq!(running.metric("tidegate_backend_failures_total", &[]).await, 0.0);
    assert_empty(&running).await;
}

#[tokio::test]
async fn a_client_that_asks_first_is_answered_by_the_proxy() {
    let running = site("expect", "body_size: 100B").start().await;
    let ask = |length: u32| {
        format!("POST /digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n")
    };
    let mut slow = running.http().await;
    slow.send(ask(5)).await;
    assert_eq!(slow.head("POST").await.status, 100);
    // The answer came from no thread.
    assert_eq!(running.metric("tidegate_app_queue_wait_seconds_count", &[]).await, 0.0);
    slow.send("hello").await;
    slow.response("POST").await.assert_text(200, &seen(b"hello"));
    let mut refused = running.http().await;
    refused.send(ask(101)).await;
    refused.response("POST").await.assert_failure(413, "too_large");
}

#[tokio::test]
async fn an_upload_without_room_is_refused_so_that_the_client_reads_it() {
    let mut running = site("quota", "buffer_memory: 4KiB, buffer_disk: 100KB").start().await;
    let body = bytes(1_000_000);
    let refused = running.http().await.post("/digest", &[], &body).await;
    refused.assert_failure(503, "buffer_full");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(refused.header("connection"), Some("close"), "{refused:?}");
    running.https().await.post("/digest", &[], &body).await.assert_failure(503, "buffer_full");
    running.http2().await.post("/digest", &[], &body).await.assert_failure(503, "buffer_full");
    running.proxy().log.wait(&["ERROR", "limits.buffer_disk is used up", "buffers"]).await;
    assert_eq!(running.proxy().log.find(&["ERROR"]).len(), 1, "once a minute is enough");
    running.wait_metric("tidegate_buffer_rejected_total", &[], 3.0).await;
    running.wait_metric("tidegate_app_failures_total", &[("cause", "buffer_full")], 3.0).await;
    assert_empty(&running).await;
    running.http().await.post("/digest", &[], &body[..80_000]).await.assert_text(200, &seen(&body[..80_000]));

    // An app is not refused: it waits for its client, and there is more room for nobody.
    let mut slow = running.http().await;
    slow.request("GET", &format!("/large?{LARGE}"), &[], b"").await;
    assert_large(&slow.response("GET").await, LARGE);
    assert_empty(&running).await;
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_told_with_its_reason() {
    let mut running = one_thread("broken").await;
    let _ = std::fs::remove_dir_all(running.site.path(".tidegate/buffers"));
    running.site.put(".tidegate/buffers", "not a directory");
    running.http().await.post("/digest", &[], &bytes(100_000)).await.assert_failure(503, "buffer_full");
    running.proxy().log.wait(&["ERROR", "no room to buffer", "os error"]).await;
    running.http().await.post("/digest", &[], b"small").await.assert_text(200, &seen(b"small"));
    assert_large(&running.get(&format!("/large?{LARGE}")).await, LARGE);
    running.wait_metric(MEMORY, &[], 0.0).await;
}

#[tokio::test]
async fn without_a_disk_memory_is_all_there_is() {
    let running = site("memory", "buffer_memory: 8KiB, buffer_disk: 0").start().await;
    let body = bytes(1_000_000);
    running.http().await.post("/digest", &[], &body).await.assert_text(200, &seen(&body));
    let mut slow = running.http().await;
    slow.send("POST /digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000\r\n\r\n").await;
    slow.send(&body[..7_000]).await;
    running.wait_metric(MEMORY, &[], 7_000.0).await;
    running.get("/quick").await.assert_text(200, "quick");
    slow.send(&body[7_000..8_000]).await;
    slow.response("POST").await.assert_text(200, &seen(&body[..8_000]));
    assert_large(&running.get(&format!("/large?{LARGE}")).await, LARGE);
    assert_eq!(running.metric(FILES, &[]).await, 0.0);
    assert_eq!(running.metric("tidegate_buffer_rejected_total", &[]).await, 0.0);
}

#[tokio::test]
async fn what_may_be_repeated_is_repeated_with_its_body() {
    let running = one_thread("repeat").await;
    for (name, length) in [("small", 5), ("large", 300_000)] {
        let body = bytes(length);
        let mut connection = running.http().await;
        connection.request("PUT", &format!("/exit_once?{name}"), &[], &body).await;
        connection.response("PUT").await.assert_text(200, &seen(&body));
    }
    running.http().await.post("/exit_once?post", &[], b"pay once").await.assert_failure(502, "worker_died");
    assert_empty(&running).await;
}

/// The app server is stopped so that it cannot tell the proxy of the worker's end first.
#[cfg(unix)]
#[tokio::test]
async fn a_request_that_reached_nobody_is_sent_again_with_its_body() {
    let mut running = one_thread("again").await;
    let worker = running.workers("shop").await.remove(0).pid;
    let supervisor = running.appserver().id();
    process::signal(supervisor, "STOP");
    process::kill(worker);
    eventually("the worker is gone", async || (!process::is_alive(worker)).then_some(())).await;
    let body = bytes(300_000);
    let mut connection = running.http().await;
    connection.request("POST", "/digest", &[], &body).await;
    let unreachable = async || {
        let failures = running.metric("tidegate_backend_failures_total", &[("cause", "worker_unreachable")]).await;
        (failures > 0.0).then_some(())
    };
    eventually("the request found nobody", unreachable).await;
    process::signal(supervisor, "CONT");
    connection.response("POST").await.assert_text(200, &seen(&body));
    assert_empty(&running).await;
}

#[tokio::test]
async fn a_route_without_buffering_streams_both_ways() {
    let routes = "[{ routes: [{ path: /, app: shop, buffering: off }] }]";
    let running = site("off", "buffer_memory: 64KiB").set("hosts", routes).start().await;
    let mut slow = running.http().await;
    // Chunked, because a worker keeps a small body of known length until it is whole.
    let head = "POST /first?note HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    slow.send(format!("{head}5\r\nfirst\r\n")).await;
    let note = running.site.path("note");
    eventually("the app saw the beginning", async || {
        std::fs::read(&note).is_ok_and(|text| text == b"first").then_some(())
    })
    .await;
    slow.send("5\r\nlater\r\n0\r\n\r\n").await;
    slow.response("POST").await.assert_text(200, "first later");

    let reader = unread(&running, &format!("/large?{LARGE}")).await;
    running.wait_metric("tidegate_backend_in_flight", &[], 1.0).await;
    assert_large(&read(reader).await, LARGE);
    assert_eq!(running.metric(FILES, &[]).await, 0.0);
}

#[tokio::test]
async fn what_an_earlier_life_left_is_removed() {
    let site = site("leftovers", "buffer_dir: spool")
        .file("spool/tidegate-body-0123456789abcdef.tmp", "left")
        .file("spool/keep.txt", "not ours");
    let running = site.start().await;
    assert!(!running.site.path("spool/tidegate-body-0123456789abcdef.tmp").exists());
    assert!(running.site.path("spool/keep.txt").exists());
    let body = bytes(100_000);
    Connection::plain(running.http_address()).await.post("/digest", &[], &body).await.assert_text(200, &seen(&body));
}
