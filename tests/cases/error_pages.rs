//! The operator's own pages: for what the proxy says, and in place of what apps say.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::client::Response;
use tidegate_tests::{Running, Site};

const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const PROGRAM: (&str, &str) = ("Accept", "application/json");

fn site(name: &str) -> Site {
    let hosts = "[{ names: ['*'], error_pages: { 404: errors/404.html, 5xx: errors/wrong.txt, 413: errors/413.json }, \
         routes: [{ path: /, app: shop, max_body: 10B }, { path: /files, files: files }, \
         { path: /own, app: shop, error_pages: { 500: errors/own.html } }, { path: /plain, app: shop, error_pages: {} }, \
         { path: /stand, app: shop, error_pages_for_app: on }] }]";
    Site::new(name)
        .app("shop", "statuses:app", &[])
        .file("files/a.txt", "a")
        .file("errors/404.html", "<p>{status} {reason}: {message} {{request_id}}{cause}</p>")
        .file("errors/wrong.txt", "Call 555 and say {cause} {request_id}.\n")
        .file("errors/413.json", "{\"problem\": \"{reason}\", \"because\": \"{cause}\"}")
        .file("errors/own.html", "<p>The shop is broken.</p>")
        .set("hosts", hosts)
}

async fn ask(running: &Running, target: &str, fields: &[(&str, &str)]) -> Response {
    let mut all = vec![("X-Request-ID", "id-1")];
    all.extend_from_slice(fields);
    running.http().await.get_with(target, &all).await
}

#[tokio::test]
async fn what_the_proxy_says_has_the_operators_page() {
    let running = site("pages").start().await;
    let expected = "<p>404 Not Found: There is nothing at this address. {id-1}</p>";
    for fields in [&[][..], &[BROWSER]] {
        let missing = ask(&running, "/files/none", fields).await;
        missing.assert_text(404, expected);
        assert_eq!(missing.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(missing.header("cache-control"), Some("no-store"));
    }
    // Programs that ask for JSON get JSON, the operator's where there is some.
    let json = ask(&running, "/files/none", &[PROGRAM]).await;
    assert_eq!((json.status, &json.json()["status"]), (404, &404.into()));
    let mut connection = running.http().await;
    let large = connection.post("/200", &[PROGRAM], &[b'x'; 11]).await;
    large.assert_text(413, "{\"problem\": \"Payload Too Large\", \"because\": \"too_large\"}");
    assert_eq!(large.header("content-type"), Some("application/json"));

    ask(&running, "/raise", &[]).await.assert_text(500, "Call 555 and say app_error id-1.\n");
    ask(&running, "/own/raise", &[]).await.assert_text(500, "<p>The shop is broken.</p>");
    ask(&running, "/plain/raise", &[]).await.assert_failure(500, "app_error");
    let over_http2 = running.http2().await.get_with("/files/none", &[("x-request-id", "id-1")]).await;
    over_http2.assert_text(404, expected);
    let mut connection = running.http().await;
    connection.request("HEAD", "/files/none", &[("X-Request-ID", "id-1")], b"").await;
    let head = connection.response("HEAD").await;
    assert_eq!((head.status, head.header("content-length"), head.text().as_str()), (404, Some("62"), ""), "{head:?}");

    // What apps say is theirs.
    ask(&running, "/404", &[BROWSER]).await.assert_text(404, "from the app");
    ask(&running, "/500", &[]).await.assert_text(500, "from the app");

    // A reload reads the files anew, and refuses what cannot be read.
    running.site.put("errors/404.html", "<p>new</p>");
    assert_eq!(running.tidegate(&["reload"]).await.code, 0);
    ask(&running, "/files/none", &[]).await.assert_text(404, "<p>new</p>");
    running.site.put("errors/404.html", b"\xff");
    let refused = running.tidegate(&["reload"]).await;
    assert_eq!(refused.code, 78, "{refused:?}");
    ask(&running, "/files/none", &[]).await.assert_text(404, "<p>new</p>");
    running.site.put("errors/404.html", "<p>good again</p>");
    assert_eq!(running.tidegate(&["maintenance", "on"]).await.code, 0);
    let closed = ask(&running, "/200", &[]).await;
    closed.assert_text(503, "Call 555 and say maintenance id-1.\n");
    assert_eq!(closed.header("retry-after"), Some("600"));
}

#[tokio::test]
async fn a_page_stands_in_for_an_apps_answer_where_that_is_wanted() {
    let running = site("stand-in").start().await;
    let page = ask(&running, "/stand/404", &[BROWSER]).await;
    page.assert_text(404, "<p>404 Not Found: There is nothing at this address. {id-1}</p>");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!((page.header("x-from"), page.header("set-cookie")), (Some("app"), Some("from=app")));
    assert_eq!(page.header("etag"), None);
    ask(&running, "/stand/502", &[]).await.assert_text(502, "Call 555 and say  id-1.\n");
    // Nothing stands in for what there is no page for, or for what a program asked for.
    ask(&running, "/stand/401", &[]).await.assert_text(401, "from the app");
    ask(&running, "/stand/404", &[PROGRAM]).await.assert_text(404, "from the app");
    ask(&running, "/stand/200", &[]).await.assert_text(200, "from the app");
    running
        .http2()
        .await
        .get_with("/stand/404", &[("x-request-id", "id-1")])
        .await
        .assert_text(404, "<p>404 Not Found: There is nothing at this address. {id-1}</p>");
    running.wait_metric("tidegate_backend_in_flight", &[("app", "shop")], 0.0).await;
}
