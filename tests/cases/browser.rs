//! The demonstration site in a real browser. Chromium is Debian's, so this is for Linux.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::program::run;
use tidegate_tests::{Site, site};

#[tokio::test]
async fn the_demonstration_site_is_shown_by_a_browser() {
    let Some(chromium) = tidegate_host::find_program("chromium") else {
        assert!(std::env::var_os("CI").is_none(), "chromium is missing");
        eprintln!("chromium is not installed: not tested");
        return;
    };
    let demo = site::package().join("../deploy/examples/demo");
    let running = Site::new("browser")
        .copy(&demo, "")
        .app("demo", "demo:application", &[("processes", "2")])
        .set("hosts", "[{ routes: [{ path: /static, files: static }, { path: /, app: demo }] }]")
        .start()
        .await;
    let url = format!("https://localhost:{}/", running.https_address().port());
    let profile = format!("--user-data-dir={}", running.site.path("profile").display());
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        // The certificate is self-signed.
        "--ignore-certificate-errors",
        &profile,
        "--dump-dom",
        &url,
    ];
    let finished = run(chromium, arguments, None, &[]).await;
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(finished.stdout.contains("<h1>The flood stays outside</h1>"), "{}", finished.stdout);
    // The page came with its style sheet and script, over HTTP/2.
    running.wait_metric_at_least("tidegate_files_requests_total", &[("status", "2xx")], 2.0).await;
    running
        .wait_metric_at_least("tidegate_http_requests_total", &[("protocol", "http/2"), ("status", "2xx")], 3.0)
        .await;
}
