//! What a route to files does beside serving them: pages of single-page applications, an app for what is no
//! file, lists of directories, rules for caches, types.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::{Connection, Response, Running, Site};

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

async fn get(running: &Running, target: &str, headers: &[(&str, &str)]) -> Response {
    let one = running.https().await.get_with(target, headers).await;
    let two = running.http2().await.get_with(target, headers).await;
    assert_eq!(
        (one.status, one.header("content-type")),
        (two.status, two.header("content-type")),
        "{target} {headers:?}"
    );
    one
}

#[tokio::test]
async fn a_browser_gets_the_application_in_place_of_a_page_that_is_none() {
    let running = Site::new("fallback")
        .file("dist/index.html", "<div id=app></div>")
        .file("dist/assets/app.js", "start()")
        .set(
            "hosts",
            "[{ routes: [{ path: /, files: dist, index: index.html, fallback: index.html, \
             cache_control: [{ match: '*.html', value: no-cache }, { match: '**', value: max-age=60 }] }] }]",
        )
        .start()
        .await;
    for target in ["/", "/users/42", "/users/jo.doe", "/a/b/c/", "/users/a:b?tab=1"] {
        let page = get(&running, target, &[BROWSER]).await;
        page.assert_text(200, "<div id=app></div>");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{target}");
        assert_eq!(page.header("cache-control"), Some("no-cache"), "{target}");
        assert!(page.header("etag").is_some(), "{target}");
    }
    assert_eq!(get(&running, "/users/42", &[BROWSER]).await.header("vary"), Some("Accept"));
    // A script's request for data or for a part of the application that is missing: the truth.
    for accept in ["*/*", "application/json", "text/html;q=0.5, application/json", "image/avif,image/webp"] {
        assert_eq!(get(&running, "/users/42", &[("accept", accept)]).await.status, 404, "{accept}");
    }
    assert_eq!(running.get("/users/42").await.status, 404);
    // What hunts for secrets gets nothing either.
    for target in ["/.env", "/.git/config", "/%2e%2e/secret", "/a%00b", "/%ff"] {
        assert_eq!(get(&running, target, &[BROWSER]).await.status, 404, "{target}");
    }
    assert_eq!(get(&running, "/assets/app.js", &[]).await.header("cache-control"), Some("max-age=60"));
    let mut connection = running.http().await;
    connection.request("POST", "/users/42", &[BROWSER], b"").await;
    assert_eq!(connection.response("POST").await.status, 405);
    let tag = get(&running, "/users/42", &[BROWSER]).await.header("etag").unwrap().to_owned();
    assert_eq!(get(&running, "/users/43", &[BROWSER, ("if-none-match", &tag)]).await.status, 304);
}

#[tokio::test]
async fn an_app_answers_what_is_no_file() {
    let running = Site::new("files-app")
        .app("mirror", "mirror:app", &[])
        .file("public/robots.txt", "User-agent: *")
        .file("public/docs/index.html", "<p>docs")
        .file("public/empty/note.txt", "note")
        .set(
            "hosts",
            "[{ routes: [{ path: /, files: public, index: index.html, app: mirror }, \
                       { path: /mounted, files: public, app: mirror }] }]",
        )
        .start()
        .await;
    get(&running, "/robots.txt", &[]).await.assert_text(200, "User-agent: *");
    get(&running, "/docs/", &[]).await.assert_text(200, "<p>docs");
    assert_eq!(get(&running, "/docs", &[]).await.header("location"), Some("./docs/"));
    for (target, script, path) in [
        ("/", "", "/"),
        ("/api/items?x=1", "", "/api/items"),
        ("/empty/", "", "/empty/"),
        ("/robots.txt/", "", "/robots.txt/"),
        ("/a:b", "", "/a:b"),
        ("/.env", "", "/.env"),
        ("/mounted/x", "/mounted", "/x"),
    ] {
        let response = get(&running, target, &[]).await;
        let seen: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!((&seen["SCRIPT_NAME"], &seen["PATH_INFO"]), (&script.into(), &path.into()), "{target}");
    }
    let mut connection = running.http().await;
    let posted = connection.post("/robots.txt", &[], b"hello").await;
    let seen: serde_json::Value = serde_json::from_slice(&posted.body).unwrap();
    assert_eq!((&seen["REQUEST_METHOD"], &seen["body"]), (&"POST".into(), &"hello".into()));
    running.wait_metric("tidegate_files_requests_total", &[], 6.0).await;
}

#[tokio::test]
async fn a_directory_is_shown_where_that_is_wanted() {
    let running = Site::new("listing")
        .file("share/b.txt", "b")
        .file("share/a & b's #1.txt", "0123456789".repeat(200))
        .file("share/caf\u{e9}.txt", "")
        .file("share/sub/inner.txt", "x")
        .file("share/.secret", "x")
        .file("share/site/index.html", "<p>index")
        .set(
            "hosts",
            "[{ routes: [{ path: /share, files: share, index: index.html, listing: on }, { path: /closed, files: share }] }]",
        );
    let running = running.start().await;
    let page = get(&running, "/share/", &[BROWSER]).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    // Compression may add its own.
    assert!(page.header_values("vary").contains(&"Accept"), "{page:?}");
    let text = page.text();
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in {text}"));
    // Directories first, then by name; links are relative and escaped.
    assert!(place("href=\"./site/\"") < place("href=\"./sub/\""));
    assert!(place("href=\"./sub/\"") < place("href=\"./b.txt\""));
    assert!(place("href=\"./b.txt\"") < place("href=\"./caf%C3%A9.txt\""));
    assert!(!text.contains(".secret") && !text.contains("<script") && !text.contains("href=\"../\""), "{text}");
    assert!(get(&running, "/share/sub/", &[BROWSER]).await.text().contains("href=\"../\""));

    let json = get(&running, "/share/", &[("accept", "application/json")]).await;
    let json: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
    assert_eq!((&json["path"], &json["complete"]), (&"/share/".into(), &true.into()));
    let names: Vec<_> =
        json["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["site", "sub"]);
    let sub = get(&running, "/share/sub/", &[]).await;
    sub.assert_text(200, "inner.txt\n");
    assert_eq!(sub.header("content-type"), Some("text/plain; charset=utf-8"));
    let mut head = running.http().await;
    head.request("HEAD", "/share/sub/", &[], b"").await;
    assert_eq!(head.response("HEAD").await.header("content-length"), Some("10"));

    assert_eq!(get(&running, "/share/sub", &[]).await.header("location"), Some("./sub/"));
    get(&running, "/share/site/", &[]).await.assert_text(200, "<p>index");
    for target in ["/closed/", "/closed/sub", "/share/missing/", "/share/b.txt/", "/share/../", "/share/%2e%2e/"] {
        assert_eq!(get(&running, target, &[BROWSER]).await.status, 404, "{target}");
    }
    let json = get(&running, "/share/", &[("accept", "application/json")]).await;
    let json: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
    for entry in json["entries"].as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        let link: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let status = get(&running, &format!("/share/{link}"), &[]).await.status;
        assert_eq!(status, if entry["type"] == "directory" { 308 } else { 200 }, "{name}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_list_shows_no_link_that_leads_out() {
    use std::os::unix::fs::symlink;

    let site =
        Site::new("listing-links").file("share/a.txt", "a").file("secret.txt", "secret").file("other/x.txt", "x");
    symlink(site.path("secret.txt"), site.path("share/out.txt")).unwrap();
    symlink(site.path("other"), site.path("share/out")).unwrap();
    symlink("a.txt", site.path("share/same.txt")).unwrap();
    let running = site.set("hosts", "[{ routes: [{ path: /, files: share, listing: on }] }]").start().await;
    get(&running, "/", &[]).await.assert_text(200, "a.txt\nsame.txt\n");
    for target in ["/out/", "/out", "/out/x.txt", "/out.txt"] {
        assert_eq!(get(&running, target, &[]).await.status, 404, "{target}");
    }
}

#[tokio::test]
async fn caches_and_types_follow_the_files_names() {
    let running = Site::new("rules")
        .file("static/base.55e7cbb9ba48.css", "a")
        .file("static/base.css", "a")
        .file("static/robots.txt", "a")
        .file("static/assets/deep/x.bin", "a")
        .file("static/a.foo", "a")
        .file("static/a.html", "a")
        .file("static/about.html", "about")
        .file("static/.hidden/x.txt", "hidden")
        .set(
            "hosts",
            "[{ routes: [{ path: /static, files: static, suffixes: [.html], hidden: on, charset: iso-8859-1, \
             types: { .foo: application/x-foo }, cache_control: [\
             { match: fingerprinted, value: 'public, max-age=31536000, immutable' }, \
             { match: '*.css', value: max-age=60 }, { match: /robots.txt, value: no-store }, \
             { match: 'assets/**', value: max-age=7 }] }] }]",
        )
        .start()
        .await;
    for (target, cache, media) in [
        ("/static/base.55e7cbb9ba48.css", Some("public, max-age=31536000, immutable"), "text/css; charset=iso-8859-1"),
        ("/static/base.css", Some("max-age=60"), "text/css; charset=iso-8859-1"),
        ("/static/robots.txt", Some("no-store"), "text/plain; charset=iso-8859-1"),
        ("/static/assets/deep/x.bin", Some("max-age=7"), "application/octet-stream"),
        ("/static/a.foo", None, "application/x-foo"),
        ("/static/a", None, "text/html; charset=iso-8859-1"),
        ("/static/about", None, "text/html; charset=iso-8859-1"),
        ("/static/.hidden/x.txt", None, "text/plain; charset=iso-8859-1"),
    ] {
        let response = get(&running, target, &[]).await;
        assert_eq!((response.status, response.header("cache-control")), (200, cache), "{target}");
        assert_eq!(response.header("content-type"), Some(media), "{target}");
    }
    let mut connection: Connection = running.http().await;
    for target in ["/static/../tidegate.yaml", "/static/.hidden/../../tidegate.yaml", "/static/about/"] {
        assert_eq!(connection.get(target).await.status, 404, "{target}");
    }
}
