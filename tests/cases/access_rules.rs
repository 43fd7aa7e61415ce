//! Who is let in, and what browsers are told to be careful of: address lists, security headers, HSTS and CORS.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::{Response, Running, Site};

const HOSTS: &str = r#"[{
    names: [localhost],
    security_headers: on, hsts: { max_age: 1h },
    routes: [
        { path: /, app: shapes },
        { path: /static, files: static },
        { path: /plain, files: static, security_headers: off, hsts: off },
        { path: /inside, app: mirror, allow: [10.0.0.0/8, 127.0.0.1, "2001:db8::/32"], deny: [10.66.0.0/16] },
        { path: /files, files: static, deny: [127.0.0.0/8] },
        { path: /api, app: mirror, cors: { origins: [https://app.example, "http://localhost:3000"], methods: [GET, DELETE], headers: [X-Token], expose: [X-Total], credentials: on } },
        { path: /open, files: static, cors: { origins: "*", headers: "*" } }
    ] }]"#;

/// An app that says some of it itself.
const SHAPES: &str = "def app(environ, start_response):
    start_response('200 OK', [('X-Frame-Options', 'DENY'), ('Referrer-Policy', 'no-referrer'),
        ('Strict-Transport-Security', 'max-age=5'), ('Content-Length', '2')])
    return [b'ok']
";

async fn site(name: &str) -> Running {
    Site::new(name)
        .file("said.py", SHAPES)
        .app("shapes", "said:app", &[])
        .app("mirror", "mirror:app", &[])
        .file("static/a.txt", "a")
        .set("trusted_proxies", "[127.0.0.1]")
        .set("hosts", HOSTS)
        .start()
        .await
}

#[tokio::test]
async fn addresses_are_let_in_by_the_lists_of_the_route() {
    let running = site("addresses").await;
    let mut connection = running.https().await;
    for (client, status) in [
        ("127.0.0.1", 200),
        ("10.1.2.3", 200),
        ("::ffff:10.1.2.3", 200),
        ("2001:db8::9", 200),
        ("10.66.1.2", 403),
        ("203.0.113.9", 403),
        ("2001:db9::1", 403),
    ] {
        let response = connection.get_with("/inside/", &[("x-forwarded-for", client)]).await;
        assert_eq!(response.status, status, "{client}: {response:?}");
        if status == 403 {
            response.assert_failure(403, "forbidden");
            // What the proxy says itself is careful as well.
            assert_eq!(response.header("referrer-policy"), Some("strict-origin-when-cross-origin"), "{response:?}");
        }
    }
    connection.get("/files/a.txt").await.assert_failure(403, "forbidden");
    assert_eq!(connection.get_with("/files/a.txt", &[("x-forwarded-for", "203.0.113.9")]).await.status, 200);
    running.wait_metric("tidegate_http_failures_total", &[("cause", "forbidden")], 4.0).await;
}

#[tokio::test]
async fn no_spelling_of_a_path_gets_around_its_rules() {
    let running = Site::new("spelling")
        .app("mirror", "mirror:app", &[])
        .file("users", "joe:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n")
        .set(
            "hosts",
            "[{ routes: [{ path: /, app: mirror }, { path: /admin, app: mirror, mount: off, deny: [127.0.0.1] }, \
             { path: /staff, app: mirror, mount: off, basic_auth: { users_file: users } }] }]",
        )
        .start()
        .await;
    let mut one = running.http().await;
    let mut two = running.http2().await;
    for (path, status) in [
        ("/admin", 403),
        ("/admin/%78", 403),
        ("/staff/x", 401),
        ("/%61dmin", 404),
        ("/admin%2Fx", 404),
        ("//admin", 404),
        ("/./admin", 404),
        ("/x/../admin", 404),
        ("/x/%2E%2E/admin", 404),
        ("/%73taff", 404),
        ("/x%20y", 200),
        ("/a//b", 200),
    ] {
        assert_eq!(one.get(path).await.status, status, "{path}");
        assert_eq!(two.get_with(path, &[]).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_client_cannot_choose_its_address() {
    let running = Site::new("spoof")
        .file("static/a.txt", "a")
        .set("hosts", "[{ allow: [10.0.0.0/8], routes: [{ path: /, files: static }] }]")
        .start()
        .await;
    let sent = [("x-forwarded-for", "10.1.2.3"), ("forwarded", "for=10.1.2.3"), ("x-real-ip", "10.1.2.3")];
    running.http().await.get_with("/a.txt", &sent).await.assert_failure(403, "forbidden");
}

#[tokio::test]
async fn browsers_are_told_what_an_app_does_not_say() {
    let running = site("browsers").await;
    let mut secure = running.https().await;
    let said = secure.get("/").await;
    let is = |response: &Response, name: &str, value: Option<&str>| {
        assert_eq!(response.header(name), value, "{name}: {response:?}");
    };
    is(&said, "x-frame-options", Some("DENY"));
    is(&said, "content-security-policy", None);
    is(&said, "referrer-policy", Some("no-referrer"));
    is(&said, "x-content-type-options", Some("nosniff"));
    is(&said, "strict-transport-security", Some("max-age=5"));
    for response in [secure.get("/static/a.txt").await, secure.get("/static/absent").await] {
        is(&response, "x-frame-options", Some("SAMEORIGIN"));
        is(&response, "content-security-policy", Some("frame-ancestors 'self'"));
        is(&response, "x-content-type-options", Some("nosniff"));
        is(&response, "cross-origin-resource-policy", Some("same-site"));
        is(&response, "strict-transport-security", Some("max-age=3600"));
    }
    let plain = running.http().await.get("/static/a.txt").await;
    is(&plain, "strict-transport-security", None);
    is(&plain, "x-frame-options", Some("SAMEORIGIN"));
    // A trusted proxy that ended TLS.
    let behind = running.http().await.get_with("/static/a.txt", &[("x-forwarded-proto", "https")]).await;
    is(&behind, "strict-transport-security", Some("max-age=3600"));
    let redirect = tidegate_tests::Connection::plain(running.redirect_address()).await.get("/static/a.txt").await;
    is(&redirect, "strict-transport-security", None);
    let off = secure.get("/plain/a.txt").await;
    is(&off, "x-frame-options", None);
    is(&off, "strict-transport-security", None);
}

#[tokio::test]
async fn scripts_of_other_sites_may_do_what_the_route_says() {
    let running = site("cors").await;
    let mut connection = running.https().await;
    for (origin, allowed) in [
        ("https://app.example", true),
        ("http://localhost:3000", true),
        ("http://app.example", false),
        ("https://app.example.evil.example", false),
        ("https://evil.example", false),
        ("null", false),
    ] {
        let asks = [
            ("origin", origin),
            ("access-control-request-method", "DELETE"),
            ("access-control-request-headers", "x-token"),
        ];
        connection.request("OPTIONS", "/api/x", &asks, b"").await;
        let preflight = connection.response("OPTIONS").await;
        assert_eq!(preflight.status, 204, "{preflight:?}");
        assert_eq!(preflight.header("access-control-allow-origin"), allowed.then_some(origin), "{preflight:?}");
        assert_eq!(preflight.header("access-control-allow-methods"), allowed.then_some("GET, DELETE"));
        assert_eq!(preflight.header("access-control-allow-headers"), allowed.then_some("X-Token"));
        assert_eq!(preflight.header("access-control-allow-credentials"), allowed.then_some("true"));
        assert_eq!(preflight.header("access-control-max-age"), allowed.then_some("600"));
        assert!(preflight.header_values("vary").contains(&"Origin"), "{preflight:?}");

        let actual = connection.get_with("/api/x", &[("origin", origin)]).await;
        assert_eq!(actual.json()["PATH_INFO"], "/x");
        assert_eq!(actual.header("access-control-allow-origin"), allowed.then_some(origin), "{actual:?}");
        assert_eq!(actual.header("access-control-expose-headers"), allowed.then_some("X-Total"));
        assert_eq!(actual.header("access-control-allow-methods"), None);
        assert_eq!(actual.header("vary"), Some("Origin"), "{actual:?}");
    }
    let without = connection.get("/api/x").await;
    assert_eq!((without.header("access-control-allow-origin"), without.header("vary")), (None, Some("Origin")));
    // OPTIONS that are not a preflight are the app's.
    connection.request("OPTIONS", "/api/x", &[], b"").await;
    assert_eq!(connection.response("OPTIONS").await.json()["REQUEST_METHOD"], "OPTIONS");

    let open = connection.get_with("/open/a.txt", &[("origin", "https://any.example")]).await;
    assert_eq!((open.status, open.header("access-control-allow-origin")), (200, Some("*")), "{open:?}");
    assert_eq!((open.header("access-control-allow-credentials"), open.header("vary")), (None, None), "{open:?}");
    let asks = [
        ("origin", "https://any.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x-any, range"),
    ];
    connection.request("OPTIONS", "/open/a.txt", &asks, b"").await;
    let preflight = connection.response("OPTIONS").await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-headers")), (204, Some("x-any, range")));
}
