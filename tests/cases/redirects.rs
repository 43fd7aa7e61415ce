//! Redirects, rewrites and aliases of hosts, and routes that redirect.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::{Running, Site};

const HOSTS: &str = r#"[{
    names: [localhost], aliases: [www.localhost],
    redirects: [
        { from: /old, to: /new, status: 301 },
        { from: /moved/*, to: "/new/{rest}" },
        { from: /root/*, to: "/{rest}" },
        { from: /away/*, to: "https://other.example/in/{rest}", status: 302, query: drop },
        { match: '^/item/(\d+)$', to: "/shop?id=$1" }
    ],
    rewrites: [
        { from: /v1/*, to: "/api/{rest}" },
        { match: '^/page/(?P<name>[a-z]+)$', to: "/mirror/show?page=${name}" },
        { from: /assets/*, to: "/static/{rest}" }
    ],
    routes: [
        { path: /, app: mirror },
        { path: /api, app: mirror },
        { path: /mirror, app: mirror, mount: off },
        { path: /inner, app: mirror, mount: strip },
        { path: /static, files: static, index: index.html },
        { path: /help, redirect: "https://help.example/{rest}" },
        { path: /gone, redirect: { to: /new, status: 303, query: drop } }
    ] }]"#;

async fn site(name: &str) -> Running {
    Site::new(name)
        .app("mirror", "mirror:app", &[])
        .file("static/a.txt", "a")
        .file("static/sub/index.html", "sub")
        .set("hosts", HOSTS)
        .start()
        .await
}

#[tokio::test]
async fn paths_that_moved_are_redirected_and_no_request_chooses_the_host() {
    let running = site("redirects").await;
    let mut one = running.https().await;
    let mut two = running.http2().await;
    for (target, status, location) in [
        ("/old", 301, "/new"),
        ("/old?a=1&b=%20", 301, "/new?a=1&b=%20"),
        ("/moved", 308, "/new/"),
        ("/moved/a/b%2Fc?q", 308, "/new/a/b%2Fc?q"),
        ("/away/x?secret=1", 302, "https://other.example/in/x"),
        ("/item/42", 308, "/shop?id=42"),
        ("/item/42?a=1", 308, "/shop?id=42&a=1"),
        ("/help", 308, "https://help.example/"),
        ("/help/a/b?c", 308, "https://help.example/a/b?c"),
        ("/gone/x?y", 303, "/new"),
        // Browsers take two slashes, and a backslash, for the beginning of a host.
        ("/root//evil.example/%2e%2e", 308, "/evil.example/%2e%2e"),
        ("/root///evil.example", 308, "/evil.example"),
        ("/root/%5Cevil.example", 308, "/%5Cevil.example"),
        ("/away/@evil.example", 302, "https://other.example/in/@evil.example"),
        ("/help//evil.example", 308, "https://help.example//evil.example"),
    ] {
        for response in [one.get(target).await, two.get_with(target, &[]).await] {
            assert_eq!((response.status, response.header("location")), (status, Some(location)), "{target}");
        }
    }
    // A backslash as it is: refused, or encoded.
    let response = running.http().await.get("/root/\\evil.example").await;
    match response.header("location") {
        Some(location) => assert_eq!(location, "/%5Cevil.example", "{response:?}"),
        None => assert_eq!(response.status, 400, "{response:?}"),
    }
    for target in ["/older", "/item/x", "/item/42/", "/Old"] {
        assert_eq!(one.get(target).await.status, 200, "{target}");
    }
    // With the method and without reading the body.
    let posted = running.http().await.post("/old", &[], b"a=1").await;
    assert_eq!((posted.status, posted.header("location")), (301, Some("/new")));
}

#[tokio::test]
async fn an_alias_leads_to_the_first_name() {
    let running = site("aliases").await;
    for (scheme, mut connection) in [("http", running.http().await), ("https", running.https().await)] {
        for (host, port) in [("www.localhost:8443", ":8443"), ("WWW.localhost.", "")] {
            let response = connection.get_with("/a%20b?c=d", &[("host", host)]).await;
            let expected = format!("{scheme}://localhost{port}/a%20b?c=d");
            assert_eq!((response.status, response.header("location")), (308, Some(expected.as_str())), "{host}");
        }
        assert_eq!(connection.get("/").await.status, 200);
    }
}

#[tokio::test]
async fn apps_see_the_path_that_a_rewrite_or_their_mount_leaves() {
    let running = site("rewrites").await;
    let mut one = running.http().await;
    for (target, script, path, query, asked) in [
        ("/plain?a=1", "", "/plain", "a=1", "/plain?a=1"),
        ("/v1/users/7?a=1", "/api", "/users/7", "a=1", "/v1/users/7?a=1"),
        ("/v1", "/api", "/", "", "/v1"),
        ("/page/about", "", "/mirror/show", "page=about", "/page/about"),
        ("/page/about?b=%C3%A9", "", "/mirror/show", "page=about&b=%C3%A9", "/page/about?b=%C3%A9"),
        ("/inner/a%20b?c", "", "/a b", "c", "/inner/a%20b?c"),
        ("/inner", "", "/", "", "/inner"),
    ] {
        let environ = one.get(target).await.json();
        let seen =
            ["SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_URI", "RAW_URI"].map(|key| environ[key].clone());
        assert_eq!(seen, [script, path, query, asked, asked], "{target}");
    }
    one.get("/assets/a.txt").await.assert_text(200, "a");
    // The client's own path gets the slash, not the one that it does not know of.
    let directory = one.get("/assets/sub").await;
    assert_eq!((directory.status, directory.header("location")), (308, Some("./sub/")));
    one.get("/assets/sub/").await.assert_text(200, "sub");
    assert_eq!(one.get("/assets/../a.txt").await.status, 404);
    assert_eq!(one.get("/assets//etc/passwd").await.status, 404);
}
