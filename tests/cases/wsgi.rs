//! PEP 3333 as a client sees it, through both programs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use sha2::{Digest as _, Sha256};
use tidegate_tests::client::End;
use tidegate_tests::site::apps;
use tidegate_tests::wait::eventually;
use tidegate_tests::{Response, Running, Site};

async fn shapes(name: &str) -> Running {
    Site::new(name).app("shop", "shapes:app", &[]).start().await
}

#[tokio::test]
async fn lists_generators_and_write_arrive_whole() {
    let running = shapes("whole").await;
    let mut connection = running.http().await;
    for (path, status, text) in [
        ("/list", 200, "hello"),
        ("/generator", 200, "one two"),
        ("/late-start", 201, "made"),
        ("/write", 200, "written twice, then returned"),
        ("/exc-info-before", 418, "replaced"),
        ("/empty", 204, ""),
    ] {
        let response = connection.get(path).await;
        assert_eq!((response.status, response.text().as_str(), response.end), (status, text, End::Proper), "{path}");
        let over_http2 = running.http2().await.get(path).await;
        assert_eq!((over_http2.status, over_http2.text().as_str()), (status, text), "{path}");
    }
    let list = connection.get("/list").await;
    assert_eq!((list.reason.as_str(), list.header("content-length")), ("Quite Fine", Some("5")));
    assert_eq!(connection.get("/generator").await.header("transfer-encoding"), Some("chunked"));
    assert_eq!(connection.get("/empty").await.header("content-length"), None);
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let running = shapes("head").await;
    let mut connection = running.http().await;
    for path in ["/list", "/generator", "/file"] {
        connection.request("HEAD", path, &[], b"").await;
        let head = connection.response("HEAD").await;
        assert_eq!((head.status, head.body.len(), head.end), (200, 0, End::Proper), "{path}");
        // The connection is still in step.
        let get = connection.get(path).await;
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
    }
}

#[tokio::test]
async fn an_app_that_raises_is_answered_with_a_page_and_its_traceback_stays_in_the_log() {
    let mut running = shapes("raises").await;
    let mut connection = running.http().await;
    for path in ["/raises", "/no-start", "/split", "/text", "/exit", "/interrupt"] {
        let response = connection.get(path).await;
        response.assert_failure(500, "app_error");
        assert!(!response.text().contains("Traceback") && !response.text().contains("sesame"), "{response:?}");
        assert_eq!(response.header("x-injected"), None, "{path}");
    }
    running.wait_metric("tidegate_app_failures_total", &[("app", "shop"), ("cause", "app_error")], 6.0).await;
    let log = &running.appserver().log;
    log.wait(&["in shape_raises"]).await;
    log.wait(&["RuntimeError: the app's own trouble with sesame"]).await;
    log.wait(&["SystemExit: 3"]).await;
    // Nobody left for that.
    connection.get("/list").await.assert_text(200, "hello");
    assert_eq!(running.workers("shop").await[0].generation, 1);
}

#[tokio::test]
async fn a_failure_after_the_head_cuts_the_response_visibly() {
    let mut running = shapes("cut").await;
    for (path, sent) in [("/raises-midway", "first half"), ("/exc-info-after", "sent"), ("/short", "short")] {
        let response = running.get(path).await;
        assert_eq!((response.status, response.text().as_str(), response.end), (200, sent, End::Cut), "{path}");
        // The reset may overtake the head.
        if let Some(over_http2) = running.http2().await.open("GET", path, &[], false).await.try_response().await {
            assert_eq!((over_http2.status, over_http2.end), (200, End::Cut), "{path}");
        }
    }
    running.appserver().log.wait(&["RuntimeError: trouble midway"]).await;
    running.appserver().log.wait(&["ValueError: too late to say"]).await;
}

#[tokio::test]
async fn a_body_never_passes_its_declared_length() {
    let running = shapes("long").await;
    let mut connection = running.http().await;
    let response = connection.get("/long").await;
    assert_eq!((response.status, response.text().as_str(), response.end), (200, "long", End::Proper));
    assert_eq!(running.http2().await.get("/long").await.text(), "long");
}

#[tokio::test]
async fn close_is_called_exactly_once_however_the_response_ends() {
    let running = shapes("close").await;
    running.get("/closing").await.assert_text(200, "ab");
    let mut connection = running.http().await;
    connection.request("HEAD", "/closing", &[], b"").await;
    assert_eq!(connection.response("HEAD").await.status, 200);
    assert_eq!(running.get("/closing-raises").await.end, End::Cut);
    let mut leaves = running.http().await;
    leaves.request("GET", "/closing-endless", &[], b"").await;
    assert_eq!(leaves.head("GET").await.status, 200);
    drop(leaves);
    let expected = r#"["endless", "raised", "whole", "whole"]"#;
    eventually("every close()", async || (running.get("/closed").await.text() == expected).then_some(())).await;
}

#[tokio::test]
async fn files_are_sent_from_where_they_stand() {
    let running = shapes("file").await;
    let file = running.get("/file").await;
    assert_eq!(file.body, std::fs::read(apps().join("shapes.py")).unwrap());
    running.get("/file-object").await.assert_text(200, "kept");
}

fn upload() -> Vec<u8> {
    (0..5 * 1024 * 1024_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn digest(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {hex}", body.len())
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in body.chunks(100_001) {
        out.extend_from_slice(format!("{:x};extension=1\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\nTrailer: dropped\r\n\r\n");
    out
}

#[tokio::test]
async fn uploads_arrive_unchanged_with_a_length_or_in_chunks() {
    let running = shapes("upload").await;
    let body = upload();
    let mut connection = running.http().await;
    connection.post("/digest", &[], &body).await.assert_text(200, &digest(&body));
    let encoding = [("Transfer-Encoding", "chunked")];
    connection.post("/digest", &encoding, &chunked(&body)).await.assert_text(200, &digest(&body));
    running.https().await.post("/digest", &encoding, &chunked(&body)).await.assert_text(200, &digest(&body));
    let mut http2 = running.http2().await;
    http2.post("/digest", &[], &body).await.assert_text(200, &digest(&body));
    let echoed = http2.post("/echo", &[], &body).await;
    assert_eq!(digest(&echoed.body), digest(&body));
}

#[tokio::test]
async fn the_input_reads_as_pep_3333_says() {
    let running = shapes("input").await;
    let expected = r"[b'first\n', b'se', b'con', [b'd\n', b'third'], b'', b'']";
    running.http().await.post("/lines", &[], b"first\nsecond\nthird").await.assert_text(200, expected);
}

#[tokio::test]
async fn a_body_that_is_not_read_does_not_put_the_connection_out_of_step() {
    let running = shapes("unread").await;
    let mut connection = running.http().await;
    connection.post("/unread", &[], &[b'x'; 100_000]).await.assert_text(200, "not read");
    connection.get("/list").await.assert_text(200, "hello");
}

#[tokio::test]
async fn a_client_is_told_to_continue_before_it_sends_its_body() {
    let running = shapes("continue").await;
    let mut connection = running.http().await;
    let head = "POST /digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    connection.send(head).await;
    let interim = connection.response("POST").await;
    assert_eq!(interim.status, 100);
    connection.send("hello").await;
    connection.response("POST").await.assert_text(200, &digest(b"hello"));
    connection.get("/list").await.assert_text(200, "hello");
}

#[tokio::test]
async fn a_client_whose_request_is_refused_is_not_told_to_continue() {
    let running = Site::new("refused").app("shop", "shapes:app", &[]).set("limits", "{ body_size: 10B }").start().await;
    let mut connection = running.http().await;
    let head = "POST /digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\nExpect: 100-continue\r\n\r\n";
    connection.send(head).await;
    connection.response("POST").await.assert_failure(413, "too_large");
}

#[tokio::test]
async fn headers_keep_their_order_and_their_bytes() {
    let running = shapes("headers").await;
    let cookies =
        |response: &Response| response.header_values("set-cookie").into_iter().map(str::to_owned).collect::<Vec<_>>();
    let mut connection = running.http().await;
    let response = connection.get_with("/cookies", &[("Cookie", "x=1"), ("Cookie", "y=2")]).await;
    assert_eq!(cookies(&response), ["a=1", "b=2", "a=3"]);
    response.assert_text(200, "x=1; y=2");
    let response = running.http2().await.get_with("/cookies", &[("cookie", "x=1"), ("cookie", "y=2")]).await;
    assert_eq!(cookies(&response), ["a=1", "b=2", "a=3"]);
    response.assert_text(200, "x=1; y=2");

    connection.send(b"GET /latin HTTP/1.1\r\nHost: localhost\r\nX-Latin: \xe9\xff\r\n\r\n").await;
    let response = connection.response("GET").await;
    assert_eq!((response.header("x-latin"), &response.body[..]), (Some("caf\u{e9}"), &b"\xe9\xff"[..]));
}

#[tokio::test]
async fn the_target_reaches_the_app_byte_for_byte() {
    let running = Site::new("target")
        .app("shop", "mirror:app", &[])
        .set("hosts", "[{ routes: [{ path: /, app: shop }, { path: /desk, app: shop }] }]")
        .start()
        .await;
    let mut connection = running.http().await;
    for (target, script_name, path_info, query) in [
        ("/caf%C3%A9/a%2Fb?x=%20y", "", "/caf\u{c3}\u{a9}/a/b", "x=%20y"),
        ("//a/../b", "", "//a/../b", ""),
        ("/?", "", "/", ""),
        ("/desk", "/desk", "", ""),
        ("/desk/", "/desk", "/", ""),
        ("/desk/a%20b", "/desk", "/a b", ""),
        ("/desks", "", "/desks", ""),
        ("/%64esk/a", "", "/desk/a", ""),
    ] {
        let seen = connection.get(target).await.json();
        assert_eq!(
            (seen["REQUEST_URI"].as_str(), seen["SCRIPT_NAME"].as_str(), seen["PATH_INFO"].as_str()),
            (Some(target), Some(script_name), Some(path_info)),
        );
        assert_eq!(seen["QUERY_STRING"], query);
    }
}

#[tokio::test]
async fn a_stream_arrives_as_the_app_yields_it() {
    let running = shapes("stream").await;
    let mut connection = running.http().await;
    connection.request("GET", "/stream", &[], b"").await;
    assert_eq!(connection.head("GET").await.status, 200);
    assert_eq!(connection.piece().await.as_deref(), Some(&b"before the gate"[..]));
    // Only now, with the first piece in hand, may the app go on.
    running.get("/open").await.assert_text(200, "opened");
    assert_eq!(connection.piece().await.as_deref(), Some(&b"after the gate"[..]));
    assert_eq!(connection.piece().await, None);
    assert_eq!(connection.end(), End::Proper);

    let mut http2 = running.http2().await;
    let (response, mut body) = http2.open("GET", "/stream", &[], false).await.head().await;
    assert_eq!(response.status, 200);
    assert_eq!(body.data().await.unwrap().unwrap(), "before the gate");
    http2.get("/open").await.assert_text(200, "opened");
    assert_eq!(body.data().await.unwrap().unwrap(), "after the gate");
    while let Some(piece) = body.data().await {
        assert_eq!(piece.unwrap(), "");
    }
}
