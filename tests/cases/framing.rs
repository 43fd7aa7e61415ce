//! Bytes that two programs could read differently, requests that are too large or too slow, and connections that go on.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::client::End;
use tidegate_tests::{Running, Site};

async fn site(name: &str, limits: &str) -> Running {
    Site::new(name).app("shop", "mirror:app", &[]).set("limits", limits).start().await
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused_and_never_reaches_the_app() {
    let running = site("malformed", "{ header_timeout: 20s }").await;
    let host = "Host: localhost\r\n";
    let hidden = "GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let table: Vec<(&str, String)> = vec![
        (
            "both framings",
            format!(
                "POST / HTTP/1.1\r\n{host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
            ),
        ),
        ("two lengths", format!("POST / HTTP/1.1\r\n{host}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde")),
        ("a list of lengths", format!("POST / HTTP/1.1\r\n{host}Content-Length: 4, 5\r\n\r\nabcde")),
        ("a signed length", format!("POST / HTTP/1.1\r\n{host}Content-Length: +4\r\n\r\nabcd")),
        ("a negative length", format!("POST / HTTP/1.1\r\n{host}Content-Length: -4\r\n\r\nabcd")),
        ("a length in hexadecimal", format!("POST / HTTP/1.1\r\n{host}Content-Length: 0x4\r\n\r\nabcd")),
        ("an endless length", format!("POST / HTTP/1.1\r\n{host}Content-Length: 99999999999999999999\r\n\r\n")),
        (
            "a coding that is not chunked last",
            format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        ),
        ("chunked twice", format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n")),
        ("a disguised coding", format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n")),
        ("a space before the colon", format!("POST / HTTP/1.1\r\n{host}Content-Length : 4\r\n\r\nabcd")),
        ("a folded line", format!("GET / HTTP/1.1\r\n{host}X-A: b\r\n c\r\n\r\n")),
        ("a bare line feed", "GET / HTTP/1.1\nHost: localhost\n\n".to_owned()),
        ("a bare line feed between fields", format!("GET / HTTP/1.1\r\n{host}X-A: b\nX-C: d\r\n\r\n")),
        ("a bare carriage return", format!("GET / HTTP/1.1\r\n{host}X-A: b\rX-C: d\r\n\r\n")),
        ("a NUL", format!("GET / HTTP/1.1\r\n{host}X-A: b\0c\r\n\r\n")),
        ("two hosts", format!("GET / HTTP/1.1\r\n{host}Host: other\r\n\r\n")),
        ("no host", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        ("a host with a path", "GET / HTTP/1.1\r\nHost: localhost/a\r\n\r\n".to_owned()),
        ("a host with a user", "GET / HTTP/1.1\r\nHost: user@localhost\r\n\r\n".to_owned()),
        ("a host unlike the target's", "GET http://localhost/ HTTP/1.1\r\nHost: other\r\n\r\n".to_owned()),
        ("a name with a space", format!("GET / HTTP/1.1\r\n{host}X A: b\r\n\r\n")),
        ("no name", format!("GET / HTTP/1.1\r\n{host}: b\r\n\r\n")),
        ("no colon", format!("GET / HTTP/1.1\r\n{host}nonsense\r\n\r\n")),
        ("two spaces", format!("GET  / HTTP/1.1\r\n{host}\r\n")),
        ("a fragment", format!("GET /a#b HTTP/1.1\r\n{host}\r\n")),
        ("a space in the target", format!("GET /a b HTTP/1.1\r\n{host}\r\n")),
        ("another protocol", format!("GET / HTTP/3.0\r\n{host}\r\n")),
        ("no protocol", "GET /\r\n\r\n".to_owned()),
        ("TLS on a plain port", "\u{16}\u{3}\u{1}\0\u{5}hello\r\n\r\n".to_owned()),
    ];
    for (what, bytes) in &table {
        let mut connection = running.http().await;
        connection.send(bytes).await;
        let response = connection.response("POST").await;
        assert!(matches!(response.status, 400 | 501), "{what}: {response:?}");
        assert_eq!(response.end, End::Proper, "{what}");
        assert_eq!(response.header("connection"), Some("close"), "{what}");
        assert!(connection.is_closed_by_server().await, "{what}: the connection goes on");
    }
    let count = f64::from(u32::try_from(table.len()).unwrap());
    running.wait_metric("tidegate_http_failures_total", &[("cause", "bad_request")], count).await;
    assert_eq!(running.metric("tidegate_backend_requests_total", &[("app", "shop")]).await, 0.0);
}

#[tokio::test]
async fn a_malformed_body_is_refused() {
    let running = site("chunks", "{}").await;
    for (what, body) in [
        ("no size", "x\r\nabc\r\n0\r\n\r\n"),
        ("a size that is too large", "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        ("a chunk longer than its size", "1\r\nabc\r\n0\r\n\r\n"),
    ] {
        let mut connection = running.http().await;
        connection.send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")).await;
        let response = connection.response("POST").await;
        assert_eq!(response.status, 400, "{what}: {response:?}");
        assert!(connection.is_closed_by_server().await, "{what}");
    }
    // A client that goes away in the middle of its body: the app never sees a whole one.
    let mut connection = running.http().await;
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").await;
    connection.finish_sending().await;
    let answer = connection.try_head("POST").await;
    assert!(answer.as_ref().is_none_or(|answer| answer.status == 400), "{answer:?}");
}

#[tokio::test]
async fn a_header_has_limits_of_size_and_of_fields() {
    let running = site("header", "{ header_size: 4KiB, header_fields: 20 }").await;
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "a".repeat(5000));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-A: b\r\n".repeat(30));
    let endless = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}", "a".repeat(50_000));
    for (what, bytes) in [("long", long), ("many", many), ("endless", endless)] {
        let mut connection = running.http().await;
        connection.send(bytes).await;
        let response = connection.response("GET").await;
        assert_eq!((response.status, response.cause().as_deref()), (431, Some("too_large")), "{what}: {response:?}");
        assert!(connection.is_closed_by_server().await, "{what}");
    }
    let target = format!("/{}", "a".repeat(20_000));
    let running = site("target", "{}").await;
    let response = running.get(&target).await;
    response.assert_failure(414, "too_large");
}

#[tokio::test]
async fn a_slow_header_is_given_up_and_an_idle_connection_is_closed() {
    let running = site("slow", "{ header_timeout: 300ms, keep_alive: 300ms }").await;
    let mut connection = running.http().await;
    connection.send("GET / HTTP/1.1\r\nHost: loc").await;
    let response = connection.response("GET").await;
    response.assert_failure(408, "client_timeout");
    assert!(connection.is_closed_by_server().await);

    let mut idle = running.http().await;
    assert_eq!(idle.get("/").await.status, 200);
    assert!(idle.is_closed_by_server().await, "an idle connection gets no answer");
    let mut never_used = running.http().await;
    assert!(never_used.is_closed_by_server().await);
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let running = site("slow-body", "{ client_timeout: 300ms }").await;
    let mut connection = running.http().await;
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").await;
    let response = connection.response("POST").await;
    response.assert_failure(408, "client_timeout");
    // The thread that waited for it is free again.
    assert_eq!(running.get("/").await.status, 200);
    running.wait_metric("tidegate_backend_in_flight", &[("app", "shop")], 0.0).await;
}

#[tokio::test]
async fn a_body_over_its_limit_is_refused_with_an_answer_that_arrives() {
    let running = site("body", "{ body_size: 64KiB }").await;
    let body = vec![b'x'; 4 * 1024 * 1024];
    let with_length = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    let chunked = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len());
    for head in [with_length, chunked] {
        let mut connection = running.http().await;
        connection.send(&head).await;
        // The server may close before all of it is sent, but its answer must not be lost to a reset.
        let _ = connection.try_send(&body).await;
        connection.response("POST").await.assert_failure(413, "too_large");
    }
    running.http2().await.post("/", &[], &body).await.assert_failure(413, "too_large");
    running.http().await.post("/", &[], &body[..64 * 1024]).await.json();
    let running = Site::new("route-body")
        .app("shop", "mirror:app", &[])
        .set("hosts", "[{ routes: [{ path: /, app: shop, max_body: 3B }] }]")
        .start()
        .await;
    running.http().await.post("/", &[], b"four").await.assert_failure(413, "too_large");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let running = site("pipeline", "{}").await;
    for mut connection in [running.http().await, running.https().await] {
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let post = "POST /2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody";
        connection.send(format!("{}{post}\r\n{}{}", get("/1"), get("/3"), get("/missing/4"))).await;
        for path in ["/1", "/2", "/3", "/missing/4"] {
            let response = connection.response("GET").await;
            assert_eq!(response.json()["PATH_INFO"], path);
        }
        // And the connection goes on.
        assert_eq!(connection.get("/5").await.json()["PATH_INFO"], "/5");
    }
}

#[tokio::test]
async fn a_connection_is_kept_as_the_client_wishes() {
    let running = site("keep", "{}").await;
    let mut connection = running.http().await;
    for number in 0..10 {
        assert_eq!(connection.get(&format!("/{number}")).await.status, 200);
    }
    running.wait_metric("tidegate_listener_accepted_total", &[], 1.0).await;
    let last = connection.get_with("/", &[("Connection", "close")]).await;
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    assert!(connection.is_closed_by_server().await);

    let mut old = running.http().await;
    old.send("GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").await;
    let response = old.response("GET").await;
    assert_eq!((response.status, response.json()["SERVER_PROTOCOL"].as_str()), (200, Some("HTTP/1.0")));
    assert!(old.is_closed_by_server().await);
}

#[tokio::test]
async fn a_client_that_asks_for_the_end_gets_it_however_often_it_says_so() {
    let running = Site::new("closing").app("shop", "slow:app", &[]).start().await;
    for fields in ["Connection: close", "Connection: keep-alive\r\nConnection: close", "Connection: x, CLOSE"] {
        for (method, length) in [("GET", ""), ("POST", "Content-Length: 0\r\n")] {
            let mut connection = running.http().await;
            connection.send(&format!("{method} /pid HTTP/1.1\r\nHost: localhost\r\n{length}{fields}\r\n\r\n")).await;
            let response = connection.response(method).await;
            assert_eq!((response.status, response.header("connection")), (200, Some("close")), "{method} {fields}");
            // Its end is the client's to close; the proxy's place is free meanwhile.
            running.wait_metric("tidegate_listener_connections", &[], 0.0).await;
        }
    }
}
