//! Header fields that the site file sets, adds and removes: towards apps, and in every response whoever makes it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::{Running, Site};

/// A host with rules of its own, and routes that inherit, replace and drop them.
const HOSTS: &str = "[{ \
    names: [localhost], \
    headers: { response: { set: { X-Site: shop, Server: ours }, add: { Vary: X-Mode }, remove: [X-Request-Id, X-App] } }, \
    routes: [ \
        { path: /app, app: mirror }, \
        { path: /static, files: static }, \
        { path: /own, app: mirror, headers: { request: { set: { X-User: operator }, add: { X-More: '1' }, remove: [Cookie] } } }, \
        { path: /plain, files: static, headers: {} } \
    ] }]";

async fn site(name: &str) -> Running {
    Site::new(name).app("mirror", "mirror:app", &[]).file("static/a.txt", "a").set("hosts", HOSTS).start().await
}

#[tokio::test]
async fn every_response_of_a_host_passes_its_rules() {
    let running = site("response").await;
    let mut one = running.https().await;
    let mut two = running.http2().await;
    // An app, a file, what the proxy says itself: in a route, and where there is none.
    for (path, status) in [("/app/environ", 200), ("/static/a.txt", 200), ("/static/absent", 404), ("/nowhere", 404)] {
        for response in [one.get(path).await, two.get_with(path, &[]).await] {
            assert_eq!(response.status, status, "{path}: {response:?}");
            assert_eq!(response.header("x-site"), Some("shop"), "{path}: {response:?}");
            assert_eq!(response.header("server"), Some("ours"), "{path}: {response:?}");
            assert!(response.header_values("vary").contains(&"X-Mode"), "{path}: {response:?}");
            assert_eq!(response.header("x-request-id"), None, "{path}: {response:?}");
        }
    }
    let redirected = tidegate_tests::Connection::plain(running.redirect_address()).await.get("/app").await;
    assert_eq!((redirected.status, redirected.header("x-site")), (308, Some("shop")));
    // A route's own value replaces the host's as a whole; an empty one leaves nothing.
    for path in ["/own/environ", "/plain/a.txt"] {
        let response = one.get(path).await;
        assert_eq!((response.status, response.header("x-site")), (200, None), "{path}: {response:?}");
        assert!(response.header("x-request-id").is_some(), "{path}: {response:?}");
    }
}

#[tokio::test]
async fn an_app_sees_the_requests_fields_as_the_rules_leave_them() {
    let running = site("request").await;
    let sent = [("cookie", "a=b"), ("x-user", "client"), ("x_user", "alias"), ("x-more", "0"), ("accept", "x/y")];
    let environ = running.http().await.get_with("/own/environ", &sent).await.json();
    assert_eq!(environ["HTTP_X_USER"], "operator", "{environ}");
    assert_eq!(environ["HTTP_X_MORE"], "0,1", "{environ}");
    assert_eq!(environ["HTTP_ACCEPT"], "x/y", "{environ}");
    assert!(environ.get("HTTP_COOKIE").is_none(), "{environ}");
    let untouched = running.http().await.get_with("/app/environ", &[("cookie", "a=b")]).await.json();
    assert_eq!(untouched["HTTP_COOKIE"], "a=b", "{untouched}");
}
