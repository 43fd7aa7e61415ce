//! Files with compressed neighbours: who gets which form, and what HTTP says about forms.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::{Duration, SystemTime};

use tidegate_tests::wait::eventually;
use tidegate_tests::{Response, Running, Site};

const STYLE: &str = "body { color: teal }\n";
/// Twenty times the style, as gzip packs it.
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\x4b\xca\x4f\xa9\x54\xa8\x56\x48\xce\xcf\xc9\x2f\xb2\x52\
    \x28\x49\x4d\xcc\x51\xa8\xe5\x4a\x1a\x15\x1c\x4c\x82\x00\x90\x31\x88\xcb\xa4\x01\x00\x00";
/// The same by zstd.
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x04\x68\xe5\x00\x00\xa8\x62\x6f\x64\x79\x20\x7b\x20\x63\x6f\x6c\x6f\x72\x3a\x20\
    \x74\x65\x61\x6c\x20\x7d\x0a\x01\x00\x19\x51\x9d\x4c\xc4\x97\x57\x57";

async fn site(name: &str) -> Running {
    let site = Site::new(name)
        .file("static/a.css", STYLE.repeat(20))
        .file("static/a.css.gz", GZIP)
        .file("static/a.css.zst", ZSTD)
        .file("static/b.css", STYLE.repeat(20))
        .file("static/b.css.br", "not brotli, but who knows")
        .file("static/b.css.gz", GZIP)
        .file("static/stale.css", STYLE)
        .file("static/stale.css.gz", GZIP)
        .file("static/only.css.gz", GZIP)
        .file("static/.hidden.css.gz", GZIP)
        .file("static/large.txt", "0123456789".repeat(100_000))
        .file("static/large.txt.gz", "abcdefghij".repeat(50_000))
        .set(
            "hosts",
            "[{ routes: [{ path: /static, files: static }, { path: /plain, files: static, precompressed: off }] }]",
        );
    let hour = Duration::from_secs(3600);
    set_time(&site, "static/stale.css", SystemTime::now());
    set_time(&site, "static/stale.css.gz", SystemTime::now() - hour);
    // Long enough ago that its time tells its state.
    for name in ["a.css", "a.css.gz", "a.css.zst", "large.txt", "large.txt.gz"] {
        set_time(&site, &format!("static/{name}"), SystemTime::now() - hour);
    }
    site.start().await
}

fn set_time(site: &Site, name: &str, time: SystemTime) {
    let file = std::fs::File::options().write(true).open(site.path(name)).unwrap();
    file.set_modified(time).unwrap();
}

async fn get(running: &Running, target: &str, headers: &[(&str, &str)]) -> Response {
    let one = running.https().await.get_with(target, headers).await;
    let two = running.http2().await.get_with(target, headers).await;
    assert_eq!(one.status, two.status, "{target} {headers:?}");
    // Pages of errors name their request.
    assert!(one.body == two.body || one.status >= 400, "{target} {headers:?}");
    for name in ["content-encoding", "etag", "vary", "content-type"] {
        assert_eq!(one.header(name), two.header(name), "{target} {headers:?}");
    }
    one
}

#[tokio::test]
async fn the_client_says_which_form_it_takes() {
    let running = site("coding").await;
    let plain = STYLE.repeat(20);
    for (target, accepted, coding) in [
        ("/static/a.css", "gzip, deflate, br, zstd", Some("zstd")),
        ("/static/a.css", "gzip, deflate, br", Some("gzip")),
        ("/static/a.css", "gzip;q=1, zstd;q=0.5", Some("gzip")),
        ("/static/a.css", "gzip;q=0, *", Some("zstd")),
        ("/static/a.css", "br", None),
        ("/static/a.css", "identity, gzip;q=0.5", None),
        ("/static/a.css", "", None),
        ("/static/b.css", "gzip, br", Some("br")),
        ("/static/b.css", "zstd", None),
    ] {
        let response = get(&running, target, &[("accept-encoding", accepted)]).await;
        assert_eq!((response.status, response.header("content-encoding")), (200, coding), "{accepted}");
        assert_eq!(response.header("content-type"), Some("text/css; charset=utf-8"), "{accepted}");
        // The plain form varies as well: a cache has to know.
        assert_eq!(response.header("vary"), Some("Accept-Encoding"), "{accepted}");
        let length = response.body.len().to_string();
        assert_eq!(response.header("content-length"), Some(length.as_str()), "{accepted}");
        match coding {
            None => assert_eq!(response.text(), plain),
            Some("gzip") => assert_eq!(response.body, GZIP),
            Some("zstd") => assert_eq!(response.body, ZSTD),
            Some(_) => assert_eq!(response.text(), "not brotli, but who knows"),
        }
    }
    // A neighbour is a file too, with a type of its own and nothing beside it.
    let itself = get(&running, "/static/a.css.gz", &[("accept-encoding", "gzip")]).await;
    assert_eq!((itself.header("content-encoding"), itself.header("vary")), (None, None));
    assert_eq!(itself.header("content-type"), Some("application/gzip"));
    // Without the file itself, or without the wish, there is nothing to replace.
    assert_eq!(get(&running, "/static/only.css", &[("accept-encoding", "gzip")]).await.status, 404);
    let off = get(&running, "/plain/a.css", &[("accept-encoding", "gzip")]).await;
    assert_eq!((off.header("content-encoding"), off.header("vary")), (None, None));
}

#[tokio::test]
async fn conditions_and_ranges_are_about_the_form_that_is_sent() {
    let running = site("coding-conditions").await;
    let ask = [("accept-encoding", "gzip")];
    let plain = get(&running, "/static/a.css", &[]).await;
    let coded = get(&running, "/static/a.css", &ask).await;
    let (plain_tag, coded_tag) = (plain.header("etag").unwrap(), coded.header("etag").unwrap());
    assert_ne!(plain_tag, coded_tag);

    let known = get(&running, "/static/a.css", &[ask[0], ("if-none-match", coded_tag)]).await;
    assert_eq!(
        (known.status, known.header("etag"), known.header("vary")),
        (304, Some(coded_tag), Some("Accept-Encoding"))
    );
    let both = format!("{plain_tag}, {coded_tag}");
    assert_eq!(get(&running, "/static/a.css", &[ask[0], ("if-none-match", &both)]).await.status, 304);
    let other = get(&running, "/static/a.css", &[ask[0], ("if-none-match", plain_tag)]).await;
    assert_eq!((other.status, other.body.as_slice()), (200, GZIP));
    assert_eq!(get(&running, "/static/a.css", &[ask[0], ("if-match", plain_tag)]).await.status, 412);
    assert_eq!(get(&running, "/static/a.css", &[ask[0], ("if-match", coded_tag)]).await.status, 200);
    // The tag decides, the date is not looked at (RFC 9110 section 13.2.2).
    let date = coded.header("last-modified").unwrap();
    let mixed = [ask[0], ("if-none-match", plain_tag), ("if-modified-since", date)];
    assert_eq!(get(&running, "/static/a.css", &mixed).await.status, 200);

    let part = get(&running, "/static/a.css", &[ask[0], ("range", "bytes=2-5"), ("if-range", coded_tag)]).await;
    assert_eq!((part.status, part.body.as_slice()), (206, &GZIP[2..6]));
    assert_eq!(part.header("content-range"), Some(format!("bytes 2-5/{}", GZIP.len()).as_str()));
    assert_eq!(part.header("content-encoding"), Some("gzip"));
    // Parts of one form never continue another, which a date could not tell apart.
    for condition in [plain_tag, date] {
        let whole = get(&running, "/static/a.css", &[ask[0], ("range", "bytes=2-5"), ("if-range", condition)]).await;
        assert_eq!((whole.status, whole.body.as_slice()), (200, GZIP), "{condition}");
    }
    let beyond = get(&running, "/static/a.css", &[ask[0], ("range", "bytes=400-")]).await;
    assert_eq!(beyond.header("content-range"), Some(format!("bytes */{}", GZIP.len()).as_str()));
    let inside = get(&running, "/static/a.css", &[("range", "bytes=400-")]).await;
    assert_eq!((inside.status, inside.body.len()), (206, 20));

    let large = get(&running, "/static/large.txt", &ask).await;
    assert_eq!((large.header("content-encoding"), large.body.len()), (Some("gzip"), 500_000));
    let tail = get(&running, "/static/large.txt", &[ask[0], ("range", "bytes=-3")]).await;
    assert_eq!((tail.status, tail.text().as_ref()), (206, "hij"));
    let mut head = running.https().await;
    head.request("HEAD", "/static/large.txt", &ask, b"").await;
    let head = head.response("HEAD").await;
    assert_eq!((head.header("content-length"), head.header("content-encoding")), (Some("500000"), Some("gzip")));
}

#[tokio::test]
async fn an_older_neighbour_is_left_alone_until_it_is_made_anew() {
    let running = site("coding-stale").await;
    let ask = [("accept-encoding", "gzip")];
    let response = get(&running, "/static/stale.css", &ask).await;
    assert_eq!((response.header("content-encoding"), response.header("vary")), (None, None));
    response.assert_text(200, STYLE);
    set_time(&running.site, "static/stale.css.gz", SystemTime::now() + Duration::from_secs(2));
    eventually("the new neighbour is seen", async || {
        let response = running.http().await.get_with("/static/stale.css", &ask).await;
        (response.header("content-encoding") == Some("gzip")).then_some(())
    })
    .await;
    std::fs::remove_file(running.site.path("static/stale.css.gz")).unwrap();
    eventually("the neighbour is gone", async || {
        let response = running.http().await.get_with("/static/stale.css", &ask).await;
        (response.header("content-encoding").is_none()).then_some(())
    })
    .await;
}

#[tokio::test]
#[cfg_attr(windows, ignore = "curl is no part of the Wine tree; the same requests are made above")]
async fn curl_unpacks_what_it_gets() {
    let running = site("coding-curl").await;
    std::fs::write(running.site.path("ca.pem"), running.certificate()).unwrap();
    for version in ["--http1.1", "--http2"] {
        let url = format!("https://localhost:{}/static/a.css", running.https_address().port());
        let authority = running.site.path("ca.pem");
        let arguments = ["-sS", "--compressed", version, "--cacert", authority.to_str().unwrap(), &url];
        let curl = tidegate_tests::program::run("curl", arguments, None, &[("HOME", "/")]).await;
        assert_eq!((curl.code, curl.stdout.as_str()), (0, STYLE.repeat(20).as_str()), "{version}: {}", curl.stderr);
    }
}
