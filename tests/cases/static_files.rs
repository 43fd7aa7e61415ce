//! Files below a route, through real HTTP: what is served, what is not, and which part of it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::client::{End, Http2};
use tidegate_tests::wait::eventually;
use tidegate_tests::{Connection, Response, Running, Site};

const STYLE: &str = "body { color: teal }\n";

async fn files(name: &str) -> Running {
    Site::new(name)
        .file("static/style.css", STYLE)
        .file("static/large.bin", large())
        .file("static/digits.txt", "0123456789".repeat(1000))
        .file("static/index.html", "<h1>root</h1>")
        .file("static/sub dir/index.html", "<h1>sub</h1>")
        .file("static/empty/nothing.txt", "")
        .file("static/caf\u{e9}.txt", "coffee")
        .file("static/.hidden", "hidden")
        .file("static/.well-known/security.txt", "public")
        .file("secret.txt", "secret")
        .file("static-other/a.txt", "other")
        .set(
            "hosts",
            "[{ routes: [{ path: /static, files: static, index: index.html, cache_control: max-age=60 }, \
             { path: /plain, files: static }] }]",
        )
        .start()
        .await
}

fn large() -> Vec<u8> {
    (0..300_000_u32).map(|number| (number % 251) as u8).collect()
}

/// The same request over both versions; they have to agree.
struct Both {
    one: Connection,
    two: Http2,
}

impl Both {
    async fn to(running: &Running) -> Self {
        Self { one: running.https().await, two: running.http2().await }
    }

    async fn get(&mut self, target: &str, headers: &[(&str, &str)]) -> Response {
        let one = self.one.get_with(target, headers).await;
        let two = self.two.get_with(target, headers).await;
        assert_eq!((one.status, one.end), (two.status, two.end), "{target}");
        let is_multipart = one.header("content-type").is_some_and(|media| media.starts_with("multipart"));
        if !is_multipart && one.status < 400 {
            assert_eq!(one.body, two.body, "{target}");
        }
        one
    }
}

#[tokio::test]
async fn a_file_is_served_whole_with_what_caches_need() {
    let running = files("whole").await;
    let mut both = Both::to(&running).await;
    let response = both.get("/static/style.css", &[]).await;
    response.assert_text(200, STYLE);
    assert!(response.header("content-type").unwrap().starts_with("text/css"), "{response:?}");
    assert_eq!(response.header("cache-control"), Some("max-age=60"));
    assert_eq!(response.header("accept-ranges"), Some("bytes"));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    assert!(response.header("etag").is_some() && response.header("last-modified").is_some(), "{response:?}");
    assert!(response.header("x-request-id").is_some(), "{response:?}");

    let large_file = both.get("/static/large.bin", &[]).await;
    assert_eq!((large_file.body == large(), large_file.end), (true, End::Proper));
    both.get("/static/caf%C3%A9.txt", &[]).await.assert_text(200, "coffee");
    both.get("/static/empty/nothing.txt", &[]).await.assert_text(200, "");
    both.get("/static/.well-known/security.txt", &[]).await.assert_text(200, "public");
    assert_eq!(both.get("/plain/style.css", &[]).await.header("cache-control"), None);
    running.wait_metric_at_least("tidegate_files_requests_total", &[("status", "2xx")], 10.0).await;
}

#[tokio::test]
async fn what_a_client_has_already_is_not_sent_again() {
    let running = files("conditional").await;
    let mut both = Both::to(&running).await;
    let first = both.get("/static/style.css", &[]).await;
    let (tag, date) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    for headers in [
        vec![("if-none-match", tag)],
        vec![("if-none-match", "*")],
        vec![("if-modified-since", date)],
        // The tag decides.
        vec![("if-none-match", tag), ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT")],
    ] {
        let response = both.get("/static/style.css", &headers).await;
        assert_eq!((response.status, response.body.len(), response.header("etag")), (304, 0, Some(tag)), "{headers:?}");
        assert_eq!(response.header("cache-control"), Some("max-age=60"));
    }
    for headers in [[("if-none-match", "\"other\"")], [("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT")]] {
        both.get("/static/style.css", &headers).await.assert_text(200, STYLE);
    }
    assert_eq!(both.get("/static/style.css", &[("if-match", "\"other\"")]).await.status, 412);
}

#[tokio::test]
async fn parts_of_a_file_are_sent_as_asked() {
    let running = files("ranges").await;
    let mut both = Both::to(&running).await;
    let whole = large();
    for (range, start, end) in
        [("bytes=0-0", 0, 1), ("bytes=100000-299998", 100_000, 299_999), ("bytes=-5", 299_995, 300_000)]
    {
        let response = both.get("/static/large.bin", &[("range", range)]).await;
        assert_eq!(response.status, 206, "{range}");
        assert_eq!(response.header("content-range"), Some(format!("bytes {start}-{}/300000", end - 1).as_str()));
        assert!(response.body == whole[start..end], "{range}");
    }
    let beyond = both.get("/static/large.bin", &[("range", "bytes=300000-")]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */300000")));
    // Not a range of bytes, and a file that has changed: the whole of it.
    let other_unit = both.get("/static/large.bin", &[("range", "lines=1-2")]).await;
    assert_eq!((other_unit.status, other_unit.body.len()), (200, 300_000));
    let changed = both.get("/static/large.bin", &[("range", "bytes=0-0"), ("if-range", "\"other\"")]).await;
    assert_eq!((changed.status, changed.body.len()), (200, 300_000));

    // Far enough apart that sending what lies between would cost more than the parts' heads.
    let many = both.get("/static/digits.txt", &[("range", "bytes=0-3,5005-5009")]).await;
    assert_eq!(many.status, 206);
    let media = many.header("content-type").unwrap();
    let boundary = media.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let text = many.text();
    let parts: Vec<&str> = text.split(&format!("--{boundary}")).collect();
    assert_eq!(parts.len(), 4, "{text}");
    for (part, range, body) in [(parts[1], "bytes 0-3/10000", "0123"), (parts[2], "bytes 5005-5009/10000", "56789")] {
        let (head, rest) = part.split_once("\r\n\r\n").unwrap();
        assert!(head.to_ascii_lowercase().contains(&format!("content-range: {range}")), "{head}");
        assert_eq!(rest, format!("{body}\r\n"));
    }
    assert_eq!(parts[3].trim_end(), "--");
}

#[tokio::test]
async fn head_and_other_methods() {
    let running = files("methods").await;
    let mut connection = running.http().await;
    connection.request("HEAD", "/static/large.bin", &[], b"").await;
    let head = connection.response("HEAD").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("300000"), 0));
    for method in ["POST", "DELETE"] {
        connection.request(method, "/static/style.css", &[], b"").await;
        let response = connection.response(method).await;
        assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

#[tokio::test]
async fn a_directory_is_its_index_or_nothing() {
    let running = files("index").await;
    let mut both = Both::to(&running).await;
    both.get("/static/", &[]).await.assert_text(200, "<h1>root</h1>");
    both.get("/static/sub%20dir/", &[]).await.assert_text(200, "<h1>sub</h1>");
    for (target, location) in [("/static/sub%20dir", "./sub%20dir/"), ("/static/sub%20dir?a=b", "./sub%20dir/?a=b")] {
        let response = both.get(target, &[]).await;
        assert_eq!((response.status, response.header("location")), (308, Some(location)), "{target}");
    }
    for target in ["/static/empty", "/static/empty/", "/plain/", "/plain/sub%20dir", "/plain/sub%20dir/"] {
        assert_eq!(both.get(target, &[]).await.status, 404, "{target}");
    }
}

#[tokio::test]
async fn nothing_outside_the_directory_is_reached() {
    let running = files("hostile").await;
    let mut both = Both::to(&running).await;
    for target in [
        "/static/../secret.txt",
        "/static/%2e%2e/secret.txt",
        "/static/..%2fsecret.txt",
        "/static/..%5csecret.txt",
        "/static/%2e%2e%2fsecret.txt",
        "/static/%252e%252e/secret.txt",
        "/static/sub%20dir/../../secret.txt",
        "/static/.hidden",
        "/static/%2ehidden",
        "/static/style.css/",
        "/static/style.css%00.txt",
        "/static/style.css::$DATA",
        "/static/style.css.",
        "/static/style.css%20",
        "/static/con",
        "/static/NUL.txt",
        "/static/C:%5cwindows%5cwin.ini",
        "/static/%5c%5chost%5cshare%5cx",
        "/static//etc/passwd",
        "/static/%ff",
        "/static/%zz",
        "/static-other/a.txt",
        "/staticstyle.css",
        "/secret.txt",
    ] {
        let response = both.get(target, &[]).await;
        assert_eq!(response.status, 404, "{target}: {response:?}");
        assert!(!response.text().contains("secret") && !response.text().contains("static"), "{response:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn links_lead_to_files_inside_only() {
    use std::os::unix::fs::symlink;

    let running = files("links").await;
    symlink(running.site.path("secret.txt"), running.site.path("static/out.txt")).unwrap();
    symlink(running.site.directory(), running.site.path("static/up")).unwrap();
    symlink("style.css", running.site.path("static/same.css")).unwrap();
    let mut connection = running.http().await;
    for target in ["/static/out.txt", "/static/up/secret.txt"] {
        assert_eq!(connection.get(target).await.status, 404, "{target}");
    }
    connection.get("/static/same.css").await.assert_text(200, STYLE);
}

/// Puts a file in the place of another in one step, as a deployment does.
async fn replace(running: &Running, name: &str, contents: &[u8]) {
    running.site.put("next", contents);
    // Windows refuses while somebody has the old one open without sharing.
    eventually("the file is replaced", async || {
        std::fs::rename(running.site.path("next"), running.site.path(name)).ok()
    })
    .await;
}

#[tokio::test]
async fn a_changed_file_is_seen_and_never_mixed_with_what_it_was() {
    let running = files("changes").await;
    // One that is kept in memory, one that is read each time.
    let versions = [vec![b'a'; 20_000], vec![b'b'; 90_000], vec![b'c'; 700_000]];
    let mut both = Both::to(&running).await;
    let mut tags: Vec<(String, u8)> = Vec::new();
    for version in versions.iter().chain(&versions) {
        replace(&running, "static/style.css", version).await;
        eventually("the change is seen", async || {
            let mut seen = None;
            for response in [both.one.get("/static/style.css").await, both.two.get("/static/style.css").await] {
                let letter = if response.body.starts_with(b"body") { b'-' } else { response.body[0] };
                let is_one_version = letter == b'-' || versions.contains(&response.body);
                assert!(is_one_version && response.end == End::Proper, "{} bytes", response.body.len());
                let tag = response.header("etag").unwrap().to_owned();
                // A tag names one version for ever.
                assert!(tags.iter().all(|(known, version)| *known != tag || *version == letter), "{tag}");
                tags.push((tag, letter));
                seen = Some(letter);
            }
            (seen == Some(version[0])).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn known_files_are_answered_from_memory_and_a_reload_forgets_them() {
    let mut running = files("memory").await;
    let mut both = Both::to(&running).await;
    for _ in 0..50 {
        both.get("/static/style.css", &[]).await.assert_text(200, STYLE);
    }
    let looks = running.metric("tidegate_files_looks_total", &[]).await;
    assert!((1.0..100.0).contains(&looks), "{looks}");
    assert!(running.metric("tidegate_files_cache_bytes", &[]).await > 0.0);

    running.site.change("limits", "{ static_cache: 0 }");
    running.site.put("static/style.css", "changed");
    running.site.write();
    let reloaded = running.tidegate(&["reload"]).await;
    assert_eq!(reloaded.code, 0, "{reloaded:?}");
    let looks = running.metric("tidegate_files_looks_total", &[]).await;
    for _ in 0..5 {
        both.get("/static/style.css", &[]).await.assert_text(200, "changed");
    }
    running.wait_metric_at_least("tidegate_files_looks_total", &[], looks + 10.0).await;
}
