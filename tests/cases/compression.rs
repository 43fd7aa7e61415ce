//! Compression on the way: what is compressed for whom, what the header says of it, and that streams still flow.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Read as _;

use tidegate_tests::client::End;
use tidegate_tests::{Response, Running, Site};

/// What a browser sends.
const BROWSER: (&str, &str) = ("Accept-Encoding", "gzip, deflate, br, zstd");

fn page() -> String {
    (0..2000).map(|line| format!("<p>line {line} of a page</p>\n")).collect()
}

const APP: &str = r#"
import os, time
PAGE = "".join(f"<p>line {line} of a page</p>\n" for line in range(2000)).encode()
HTML = ("Content-Type", "text/html; charset=utf-8")

def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    if name == "whole":
        start_response("200 OK", [HTML, ("Content-Length", str(len(PAGE))), ("ETag", '"tag"'), ("Content-MD5", "x")])
        return [PAGE]
    if name == "pieces":
        start_response("200 OK", [HTML])
        return (PAGE[at:at + 7000] for at in range(0, len(PAGE), 7000))
    if name == "large":
        start_response("200 OK", [HTML])
        return (PAGE for _ in range(40))
    if name == "coded":
        start_response("200 OK", [HTML, ("Content-Encoding", "br"), ("Content-Length", str(len(PAGE)))])
        return [PAGE]
    if name == "as-is":
        start_response("200 OK", [HTML, ("Cache-Control", "no-transform")])
        return [PAGE]
    if name == "picture":
        start_response("200 OK", [("Content-Type", "image/png")])
        return [PAGE]
    if name == "small":
        start_response("200 OK", [HTML])
        return [b"small"]
    if name == "broken":
        def broken():
            yield PAGE
            raise RuntimeError("half-way")
        start_response("200 OK", [HTML])
        return broken()
    if name == "events":
        def events():
            for number in range(3):
                yield f"data: {number}\n\n".encode()
                while not os.path.exists(f"gate{number}"):
                    time.sleep(0.005)
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return events()
    start_response("404 Not Found", [HTML])
    return [PAGE]
"#;

async fn start(name: &str, compress: &str) -> Running {
    Site::new(name)
        .file("packed.py", APP)
        .app("shop", "packed:app", &[])
        .file("static/page.html", page())
        .file("static/large.css", page().repeat(40))
        .file("static/picture.png", page())
        .set(
            "hosts",
            &format!("[{{ routes: [{{ path: /, app: shop, {compress} }}, {{ path: /static, files: static }}] }}]"),
        )
        .start()
        .await
}

async fn get(running: &Running, path: &str, headers: &[(&str, &str)]) -> Response {
    running.http().await.get_with(path, headers).await
}

fn plain(response: &Response) -> Vec<u8> {
    let mut out = Vec::new();
    match response.header("content-encoding") {
        Some("zstd") => zstd::stream::read::Decoder::new(&*response.body).unwrap().read_to_end(&mut out),
        Some("gzip") => flate2::read::GzDecoder::new(&*response.body).read_to_end(&mut out),
        Some("br") => brotli::Decompressor::new(&*response.body, 4096).read_to_end(&mut out),
        Some(other) => panic!("{other}"),
        None => return response.body.clone(),
    }
    .unwrap();
    out
}

#[track_caller]
fn assert_page(response: &Response, coding: Option<&str>) {
    assert_eq!((response.status, response.end), (200, End::Proper));
    assert_eq!(response.header("content-encoding"), coding);
    assert!(plain(response) == page().into_bytes(), "another body");
    assert_eq!(response.header("vary"), Some("Accept-Encoding"));
}

#[tokio::test]
async fn an_apps_responses_are_compressed_where_the_route_wants_it() {
    let running = start("compressed", "compress: on").await;
    for path in ["/whole", "/pieces"] {
        assert_page(&get(&running, path, &[BROWSER]).await, Some("zstd"));
        assert_page(&get(&running, path, &[("Accept-Encoding", "br, gzip;q=0.5")]).await, Some("br"));
        assert_page(&get(&running, path, &[("Accept-Encoding", "gzip")]).await, Some("gzip"));
        assert_page(&get(&running, path, &[]).await, None);
        assert_page(&running.http2().await.get_with(path, &[("accept-encoding", "gzip")]).await, Some("gzip"));
    }
    let whole = get(&running, "/whole", &[BROWSER]).await;
    assert_eq!((whole.header("etag"), whole.header("content-md5")), (Some("W/\"tag\""), None));
    assert_eq!(whole.header("content-length"), Some(&*whole.body.len().to_string()));
    assert!(whole.body.len() < page().len() / 5);
    let untouched = get(&running, "/whole", &[]).await;
    assert_eq!((untouched.header("etag"), untouched.header("content-md5")), (Some("\"tag\""), Some("x")));
    let large = get(&running, "/large", &[BROWSER]).await;
    assert!(plain(&large) == page().repeat(40).into_bytes() && large.end == End::Proper);

    running.wait_metric_at_least("tidegate_compression_read_bytes_total", &[], 1_000_000.0).await;
    let read = running.metric("tidegate_compression_read_bytes_total", &[]).await;
    let written = running.metric("tidegate_compression_written_bytes_total", &[]).await;
    assert!(written > 0.0 && written < read / 5.0, "{read} {written}");
}

#[tokio::test]
async fn what_is_small_coded_marked_or_of_another_type_stays_as_it_is() {
    let running = start("untouched", "compress: on").await;
    for (path, coding) in [("/coded", Some("br")), ("/as-is", None), ("/picture", None)] {
        let response = get(&running, path, &[BROWSER]).await;
        assert_eq!((response.header("content-encoding"), response.header("vary")), (coding, None), "{path}");
        assert!(response.body == page().into_bytes(), "{path}");
    }
    let small = get(&running, "/small", &[BROWSER]).await;
    assert_eq!((small.text().as_str(), small.header("content-encoding")), ("small", None));
    let missing = get(&running, "/missing", &[BROWSER]).await;
    assert_eq!((missing.status, missing.header("content-encoding")), (404, Some("zstd")));
}

#[tokio::test]
async fn a_head_has_the_fields_of_its_get() {
    let running = start("head", "compress: on").await;
    for path in ["/whole", "/static/page.html", "/static/large.css"] {
        let mut connection = running.http().await;
        connection.request("HEAD", path, &[BROWSER], b"").await;
        let head = connection.response("HEAD").await;
        assert_eq!((head.header("content-encoding"), head.header("content-length")), (Some("zstd"), None), "{path}");
        assert_eq!((head.header("vary"), head.body.len()), (Some("Accept-Encoding"), 0));
        // The connection is in step.
        assert_eq!(connection.get_with(path, &[BROWSER]).await.header("content-encoding"), Some("zstd"));
        connection.request("HEAD", path, &[], b"").await;
        let plain = connection.response("HEAD").await;
        assert!(plain.header("content-length").is_some_and(|length| length.parse::<usize>().unwrap() >= page().len()));
    }
}

#[tokio::test]
async fn events_arrive_as_they_are_yielded() {
    let running = start("events", "compress: { codings: [gzip], min_size: 0 }").await;
    let mut connection = running.http().await;
    connection.request("GET", "/events", &[("Accept-Encoding", "gzip")], b"").await;
    let head = connection.head("GET").await;
    assert_eq!(head.header("content-encoding"), Some("gzip"));
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    for number in 0..3 {
        let expected: String = (0..=number).map(|number| format!("data: {number}\n\n")).collect();
        while decoder.get_ref().len() < expected.len() {
            let piece = connection.piece().await.expect("the stream ended");
            std::io::Write::write_all(&mut decoder, &piece).unwrap();
            std::io::Write::flush(&mut decoder).unwrap();
        }
        assert_eq!(String::from_utf8_lossy(decoder.get_ref()), expected);
        // Only now may the app go on.
        running.site.put(&format!("gate{number}"), "");
    }
    while let Some(piece) = connection.piece().await {
        std::io::Write::write_all(&mut decoder, &piece).unwrap();
    }
    assert_eq!(connection.end(), End::Proper);
    decoder.finish().unwrap();
}

#[tokio::test]
async fn a_response_that_breaks_off_is_not_finished_politely() {
    let running = start("broken", "compress: on").await;
    let broken = get(&running, "/broken", &[BROWSER]).await;
    assert_eq!((broken.status, broken.end), (200, End::Cut));
}

#[tokio::test]
async fn files_are_compressed_without_being_asked_and_apps_are_not() {
    let running = start("usual", "").await;
    assert_page(&get(&running, "/static/page.html", &[BROWSER]).await, Some("zstd"));
    let page = get(&running, "/static/page.html", &[]).await;
    assert_page(&page, None);
    assert_eq!(page.header("accept-ranges"), Some("bytes"));
    let large = get(&running, "/static/large.css", &[("Accept-Encoding", "gzip")]).await;
    assert_eq!((large.header("content-encoding"), large.header("accept-ranges")), (Some("gzip"), None));
    assert!(plain(&large) == self::page().repeat(40).into_bytes() && large.end == End::Proper);
    let picture = get(&running, "/static/picture.png", &[BROWSER]).await;
    assert_eq!((picture.header("content-encoding"), picture.header("vary")), (None, None));

    // A part is a part of the plain file, and what a client has compressed is recognised.
    let part = get(&running, "/static/page.html", &[BROWSER, ("Range", "bytes=3-8")]).await;
    assert_eq!((part.status, part.text().as_str(), part.header("content-encoding")), (206, "line 0", None));
    let weak = get(&running, "/static/page.html", &[BROWSER]).await.header("etag").unwrap().to_owned();
    assert!(weak.starts_with("W/\""), "{weak}");
    let same = get(&running, "/static/page.html", &[BROWSER, ("If-None-Match", &weak)]).await;
    assert_eq!((same.status, same.header("vary")), (304, Some("Accept-Encoding")));

    let app = get(&running, "/whole", &[BROWSER]).await;
    assert_eq!((app.header("content-encoding"), app.header("vary")), (None, None));
}

#[tokio::test]
async fn a_reload_switches_it() {
    let mut running = start("switched", "compress: off").await;
    assert_eq!(get(&running, "/whole", &[BROWSER]).await.header("content-encoding"), None);
    running.site.change(
        "hosts",
        "[{ compress: { codings: [br], level: fast, types: [\"text/*\"] }, routes: [{ path: /, app: shop }, \
         { path: /static, files: static, compress: off }] }]",
    );
    running.site.write();
    let finished = running.tidegate(&["reload"]).await;
    assert_eq!(finished.code, 0, "{finished:?}");
    assert_page(&get(&running, "/whole", &[BROWSER]).await, Some("br"));
    assert_eq!(get(&running, "/static/page.html", &[BROWSER]).await.header("content-encoding"), None);
}

// Wine has no curl.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn curl_reads_what_it_asked_for() {
    let curl = tidegate_host::find_program("curl").expect("curl is missing");
    let running = start("curl", "compress: on").await;
    for path in ["/whole", "/pieces", "/static/page.html", "/static/large.css"] {
        let url = format!("http://{}{path}", running.http_address());
        let finished =
            tidegate_tests::program::run(&curl, ["--silent", "--show-error", "--compressed", &url], None, &[]).await;
        assert_eq!(finished.code, 0, "{finished:?}");
        assert!(finished.stdout.starts_with(&page()), "{path}");
    }
}
