//! A real Flask site: forms, sessions, streams, uploads.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::client::{Browser, End};
use tidegate_tests::program::require;
use tidegate_tests::{Running, Site};

async fn flask(name: &str) -> Running {
    require("flask").await;
    Site::new(name).app("shop", "flasksite:create_app()", &[]).start().await
}

#[tokio::test]
async fn a_form_is_sent_and_the_session_remembers() {
    let running = flask("flask").await;
    let mut browser = Browser::new(running.tls(), running.https_address());
    assert!(browser.get("/").await.text().contains("<form"));
    for visit in 1..=2 {
        let response = browser.submit("/name", &[("name", "J\u{fc}rgen & Co")]).await;
        assert_eq!((response.status, response.header("location")), (302, Some("/")), "{response:?}");
        let home = browser.get("/").await.text();
        assert!(home.contains("Hello J\u{fc}rgen & Co") && home.contains(&format!("visit {visit}")), "{home}");
    }
    assert!(browser.cookie("session").is_some());
    // Somebody else is not known.
    let mut other = Browser::new(running.tls(), running.https_address());
    assert!(other.get("/").await.text().contains("<form"));
}

#[tokio::test]
async fn streams_uploads_and_errors_are_flasks_own() {
    let mut running = flask("flask more").await;
    let mut http2 = running.http2().await;
    let stream = http2.get("/stream").await;
    assert_eq!((stream.text().lines().count(), stream.end), (5, End::Proper));

    let file = "x".repeat(100_000);
    let body =
        format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n{file}\r\n--b--\r\n");
    let uploaded = http2.post("/upload", &[("content-type", "multipart/form-data; boundary=b")], body.as_bytes()).await;
    let seen = uploaded.json();
    assert_eq!(
        (seen["name"].as_str(), seen["size"].as_u64(), seen["secure"].as_bool()),
        (Some("a.txt"), Some(100_000), Some(true))
    );
    assert_eq!(seen["url"], "https://localhost/upload");

    // Flask answers for itself; its traceback goes to standard error.
    let broken = http2.get("/broken").await;
    assert_eq!((broken.status, broken.cause()), (500, None));
    running.appserver().log.wait(&["RuntimeError: inside Flask"]).await;
    assert_eq!(http2.get("/missing").await.status, 404);
}
