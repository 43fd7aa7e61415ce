//! Clients that send or take too slowly to be waited for, and those that get an answer before they have said all.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use tidegate_tests::client::frames::{flag, frame, kind, read};
use tidegate_tests::client::{Connection, End};
use tidegate_tests::wait::bounded;
use tidegate_tests::{Running, Site};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Between two things that a slow client does.
const PAUSE: Duration = Duration::from_millis(50);

async fn site(name: &str, limits: &str) -> Running {
    Site::new(name)
        .file("files/large", vec![b'x'; 64 << 20])
        .app("shop", "mirror:app", &[])
        .set("hosts", "[{ routes: [{ path: /files, files: files }, { path: /, app: shop }] }]")
        .set("limits", limits)
        .start()
        .await
}

const POST: &str = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65536\r\n\r\n";

/// Sends a body in pieces of this size, with a pause after each, until it is answered.
async fn drip(connection: &mut Connection, head: &str, size: usize) -> u16 {
    connection.send(head).await;
    let mut left = 65_536;
    while left > 0 && !connection.drip(&vec![b'x'; size.min(left)], PAUSE).await {
        left -= size.min(left);
    }
    connection.response("POST").await.status
}

#[tokio::test]
async fn a_body_that_drips_is_given_up_though_it_never_stops() {
    let running = site("dripping", "{ client_timeout: 1s, min_receive_rate: 8KiB }").await;
    for mut connection in [running.http().await, running.https().await] {
        assert_eq!(drip(&mut connection, POST, 1).await, 408);
        assert!(connection.is_closed_by_server().await);
    }
    // Two seconds and more of it, at twice the rate.
    assert_eq!(drip(&mut running.http().await, POST, 1500).await, 200);
    // What streams is held to the same.
    let running = Site::new("dripping-stream")
        .app("shop", "mirror:app", &[])
        .set("hosts", "[{ routes: [{ path: /, app: shop, buffering: off }] }]")
        .set("limits", "{ client_timeout: 1s, min_receive_rate: 8KiB }")
        .start()
        .await;
    assert_eq!(drip(&mut running.http().await, POST, 1).await, 408);
}

#[tokio::test]
async fn a_body_that_drips_over_http2_is_given_up() {
    let running = site("dripping2", "{ client_timeout: 1s, min_receive_rate: 8KiB }").await;
    let mut frames = running.frames().await;
    let post = [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", "/")];
    frames.headers(1, &post, false).await;
    let (mut writer, mut reader) = frames.split();
    let sender = tokio::spawn(async move {
        while writer.write_all(&frame(kind::DATA, 0, 1, b"x")).await.is_ok() && writer.flush().await.is_ok() {
            tokio::time::sleep(PAUSE).await;
        }
    });
    let answer = loop {
        let frame = read(&mut reader).await.expect("the connection ended without an answer");
        if frame.kind == kind::HEADERS {
            break frame;
        }
    };
    assert_eq!(answer.status(), 408);
    sender.abort();
}

/// Reads far too slowly, until that has shown.
async fn sip_until(reader: &mut (impl AsyncRead + Unpin), cut: impl Future<Output = ()>) {
    let sip = async {
        let mut bytes = [0; 512];
        while reader.read(&mut bytes).await.is_ok_and(|read| read > 0) {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = sip => panic!("the whole file"),
        () = cut => {}
    }
}

#[tokio::test]
async fn a_response_that_is_sipped_is_cut() {
    let running = site("sipping", "{ client_timeout: 1s, min_send_rate: 256KiB }").await;
    let mut stream = TcpStream::connect(running.http_address()).await.unwrap();
    stream.write_all(b"GET /files/large HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let cut = running.wait_metric("tidegate_http_failures_total", &[("cause", "client_timeout")], 1.0);
    sip_until(&mut stream, cut).await;
    // Who keeps up gets all of it.
    let response = running.get("/files/large").await;
    assert_eq!((response.status, response.end, response.body.len()), (200, End::Proper, 64 << 20));
}

#[tokio::test]
async fn a_connection_with_http2_that_is_sipped_from_is_cut() {
    let running = site("sipping2", "{ client_timeout: 1s, min_send_rate: 256KiB }").await;
    let mut frames = running.frames().await;
    frames.send(kind::SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]).await;
    frames.send(kind::WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]).await;
    let large = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/files/large")];
    frames.headers(1, &large, true).await;
    let (_writer, mut reader) = frames.split();
    let cut = running.wait_metric("tidegate_http2_ended_total", &[("reason", "stalled")], 1.0);
    sip_until(&mut reader, cut).await;
    let response = running.http2().await.get("/files/large").await;
    assert_eq!((response.status, response.end, response.body.len()), (200, End::Proper, 64 << 20));
}

/// Sends without end until there is an answer, and reads it.
async fn insist(mut connection: Connection, head: &str, piece: &[u8]) -> tidegate_tests::Response {
    connection.send(head).await;
    while !connection.drip(piece, Duration::from_millis(1)).await {}
    let response = connection.response("POST").await;
    assert_eq!(response.header("connection"), Some("close"), "{response:?}");
    response
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_keeps_sending() {
    let running = Site::new("early")
        .file(
            "dies.py",
            "import os\ndef app(environ, start_response):\n    environ['wsgi.input'].read(1)\n    os._exit(3)\n",
        )
        .app("shop", "mirror:app", &[])
        .app("dies", "dies:app", &[])
        .set("hosts", "[{ routes: [{ path: /, app: shop }, { path: /dies, app: dies, buffering: off }] }]")
        .set("limits", "{ body_size: 1GiB }")
        .start()
        .await;
    let piece = vec![b'x'; 64 << 10];
    let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
    let chunked = "POST /dies HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    insist(running.http().await, chunked, &chunk).await.assert_failure(502, "worker_died");
    let running = site("early-large", "{ body_size: 64KiB }").await;
    let chunked = chunked.replace("/dies", "/");
    for connection in [running.http().await, running.https().await] {
        insist(connection, &chunked, &chunk).await.assert_failure(413, "too_large");
    }
    let declared = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n";
    insist(running.http().await, declared, &piece).await.assert_failure(413, "too_large");
}

/// Answers with the query as its status, and no body.
const STATUS: &str = "def app(environ, start_response):\n    \
    start_response(environ['QUERY_STRING'].replace('+', ' '), [])\n    return []\n";

#[tokio::test]
async fn a_response_without_a_body_is_one_frame() {
    let running = Site::new("one-frame")
        .file("status.py", STATUS)
        .file("files/page", "page")
        .app("shop", "status:app", &[])
        .set("hosts", "[{ routes: [{ path: /files, files: files }, { path: /, app: shop }] }]")
        .start()
        .await;
    let mut frames = running.frames().await;
    for (stream, (method, path, status)) in (1..).step_by(2).zip([
        ("GET", "/?204+No+Content", 204),
        ("GET", "/?304+Not+Modified", 304),
        ("GET", "/?200+OK", 200),
        ("HEAD", "/?200+OK", 200),
        ("HEAD", "/files/page", 200),
        ("HEAD", "/files/missing", 404),
    ]) {
        let fields = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)];
        frames.headers(stream, &fields, true).await;
        let answer = loop {
            let frame = frames.next().await.unwrap();
            if frame.stream == stream {
                break frame;
            }
        };
        assert_eq!((answer.kind, answer.status()), (kind::HEADERS, status), "{method} {path}");
        assert_ne!(answer.flags & flag::END_STREAM, 0, "{method} {path}");
        // A frame after the end would be there before this is answered.
        frames.send(kind::PING, 0, 0, b"and then").await;
        loop {
            let frame = frames.next().await.unwrap();
            assert_ne!(frame.stream, stream, "{method} {path}: {frame:?}");
            if frame.kind == kind::PING && frame.payload == b"and then" {
                break;
            }
        }
    }
}

/// One piece at once, and no end.
const ENDLESS: &str = "import time\ndef app(environ, start_response):\n    start_response('200 OK', [])\n    \
    yield b'beginning'\n    time.sleep(600)\n";

#[tokio::test]
async fn a_response_that_ends_with_its_connection_is_reset_when_it_is_cut_off() {
    let mut running = Site::new("reset")
        .file("endless.py", ENDLESS)
        .app("shop", "endless:app", &[("drain_timeout", "500ms"), ("request_timeout", "300s")])
        .set("limits", "{ drain_timeout: 500ms }")
        .start()
        .await;
    let mut stream = TcpStream::connect(running.http_address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"beginning") {
        assert_ne!(bounded("the beginning", stream.read_buf(&mut read)).await.unwrap(), 0);
    }
    let stop = running.proxy().stop();
    let end = bounded("the end", stream.read_buf(&mut read));
    let (exit, end) = tokio::join!(stop, end);
    assert!(exit.success(), "{exit}");
    let end = end.expect_err("cut off, but the client takes it for complete");
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
}
