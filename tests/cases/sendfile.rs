//! Files that apps name in place of a body: X-Accel-Redirect and X-Sendfile, into routes with `internal: on` only.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::client::End;
use tidegate_tests::program::require;
use tidegate_tests::site::apps;
use tidegate_tests::{Response, Running, Site};

/// Answers with the fields that the query names, and with a body that nobody should see.
const APP: &str = r#"
import os
from urllib.parse import parse_qsl

def endless():
    while True:
        yield b"not to be seen" * 1000

def app(environ, start_response):
    fields = dict(parse_qsl(environ["QUERY_STRING"], encoding="latin-1"))
    status = fields.pop("status", "200 OK")
    headers = [(name, value.replace("ROOT", os.getcwd())) for name, value in fields.items()]
    start_response(status, headers)
    return endless() if environ["PATH_INFO"] == "/endless" else [b"not to be seen"]
"#;

const ROUTES: &str = "[{ routes: [{ path: /, app: shop }, { path: /protected, files: protected, internal: on }, \
     { path: /public, files: public }] }]";

fn report() -> String {
    (0..1000).map(|line| format!("line {line} of a report\n")).collect()
}

async fn start(name: &str) -> Running {
    Site::new(name)
        .file("naming.py", APP)
        .file("protected/report.txt", report())
        .file("protected/a b/\u{e9}t\u{e9}.txt", "summer")
        .file("public/open.txt", "open")
        .file("secret.txt", "secret")
        .app("shop", "naming:app", &[])
        .set("hosts", ROUTES)
        .start()
        .await
}

async fn get(running: &Running, target: &str, headers: &[(&str, &str)]) -> Response {
    running.http().await.get_with(target, headers).await
}

#[tokio::test]
async fn a_named_file_is_sent_with_the_apps_own_fields() {
    let running = start("named").await;
    let target = "/?X-Accel-Redirect=/protected/report.txt&Content-Type=application/x-report&\
        Content-Disposition=attachment&Set-Cookie=a%3D1&Cache-Control=private&ETag=%22app%22";
    let whole = get(&running, target, &[]).await;
    assert_eq!((whole.status, whole.text(), whole.end), (200, report(), End::Proper));
    for (name, value) in [
        ("content-type", Some("application/x-report")),
        ("content-disposition", Some("attachment")),
        ("set-cookie", Some("a=1")),
        ("cache-control", Some("private")),
        ("x-accel-redirect", None),
    ] {
        assert_eq!(whole.header(name), value, "{name}");
    }
    let tag = whole.header("etag").unwrap().to_owned();
    assert_ne!(tag, "\"app\"");

    let part = get(&running, target, &[("Range", "bytes=0-5")]).await;
    assert_eq!((part.status, part.text().as_str()), (206, "line 0"));
    assert_eq!(part.header("content-range"), Some(&*format!("bytes 0-5/{}", report().len())));
    let same = get(&running, target, &[("If-None-Match", &tag)]).await;
    assert_eq!((same.status, same.header("set-cookie")), (304, Some("a=1")));
    let mut connection = running.http().await;
    connection.request("HEAD", target, &[], b"").await;
    let head = connection.response("HEAD").await;
    assert_eq!(head.header("content-length"), Some(&*report().len().to_string()));
    let posted = connection.post(target, &[], b"a=1").await;
    assert_eq!((posted.status, posted.text()), (200, report()));
    assert_eq!(running.http2().await.get(target).await.text(), report());
    let coded = get(&running, "/?X-Accel-Redirect=/protected/report.txt", &[("Accept-Encoding", "gzip")]).await;
    assert_eq!(
        (coded.header("content-encoding"), coded.header("content-type")),
        (Some("gzip"), Some("text/plain; charset=utf-8"))
    );

    for target in [
        "/?X-Accel-Redirect=/protected/a%2520b/%25c3%25a9t%25c3%25a9.txt",
        "/?X-Sendfile=ROOT/protected/a%20b/%e9t%e9.txt",
    ] {
        assert_eq!(get(&running, target, &[]).await.text(), "summer", "{target}");
    }
}

#[tokio::test]
async fn nothing_outside_the_declared_roots_is_sent() {
    let mut running = start("outside").await;
    for value in [
        "X-Accel-Redirect=/public/open.txt",
        "X-Accel-Redirect=/secret.txt",
        "X-Accel-Redirect=/",
        "X-Accel-Redirect=report.txt",
        "X-Accel-Redirect=//protected/report.txt",
        "X-Accel-Redirect=http://localhost/protected/report.txt",
        "X-Sendfile=ROOT/secret.txt",
        "X-Sendfile=ROOT/protected/../secret.txt",
        "X-Sendfile=ROOT/protected",
        "X-Sendfile=/etc/passwd",
        "X-Sendfile=protected/report.txt",
    ] {
        let refused = get(&running, &format!("/?{value}"), &[]).await;
        refused.assert_failure(502, "worker_invalid");
        assert_eq!((refused.header("x-accel-redirect"), refused.header("x-sendfile")), (None, None));
    }
    running.proxy().log.wait(&["X-Sendfile", "/etc/passwd", "is not below a route with `internal: on`"]).await;
    for value in [
        "X-Accel-Redirect=/protected/../secret.txt",
        "X-Accel-Redirect=/protected/%252e%252e/secret.txt",
        "X-Accel-Redirect=/protected/..%255csecret.txt",
        "X-Accel-Redirect=/protected/missing.txt",
        "X-Sendfile=ROOT/protected/missing.txt",
    ] {
        assert_eq!(get(&running, &format!("/?{value}"), &[]).await.status, 404, "{value}");
    }
    running.proxy().log.wait(&["an app named a file that is not there", "missing.txt"]).await;
    // Clients come no further than the app.
    for path in ["/protected/report.txt", "/protected", "/protected/"] {
        assert_eq!(get(&running, path, &[]).await.status, 404, "{path}");
    }
    let failed = get(&running, "/?status=403%20Forbidden&X-Accel-Redirect=/protected/report.txt", &[]).await;
    assert_eq!((failed.status, failed.text().as_str()), (403, "not to be seen"));
    assert_eq!(failed.header("x-accel-redirect"), None);
}

#[tokio::test]
async fn the_apps_thread_is_free_while_the_file_is_sent() {
    let running = start("freed").await;
    let sent = get(&running, "/endless?X-Accel-Redirect=/protected/report.txt", &[]).await;
    assert_eq!((sent.status, sent.text()), (200, report()));
    running.wait_metric("tidegate_backend_in_flight", &[("app", "shop")], 0.0).await;
    running.wait_metric("tidegate_files_requests_total", &[("status", "2xx")], 1.0).await;
}

const FLASK: &str = r#"
from flask import Flask, send_file, send_from_directory

app = Flask(__name__)
app.config["USE_X_SENDFILE"] = True

@app.get("/file")
def file():
    return send_file("protected/report.txt", as_attachment=True, max_age=60)

@app.get("/directory/<path:name>")
def directory(name):
    return send_from_directory("protected", name)
"#;

#[tokio::test]
async fn flasks_own_helpers_hand_files_over() {
    require("flask").await;
    let mut running = Site::new("flask")
        .file("sending.py", FLASK)
        .file("protected/report.txt", report())
        .app("shop", "sending:app", &[])
        .set("hosts", ROUTES)
        .file("public/open.txt", "open")
        .start()
        .await;
    for path in ["/file", "/directory/report.txt"] {
        let whole = get(&running, path, &[]).await;
        assert_eq!((whole.status, whole.text(), whole.end), (200, report(), End::Proper), "{path}");
        assert_eq!(whole.header("x-sendfile"), None);
        let tag = whole.header("etag").unwrap().to_owned();
        assert_eq!(get(&running, path, &[("If-None-Match", &tag)]).await.status, 304);
        let part = get(&running, path, &[("Range", "bytes=0-5")]).await;
        assert_eq!((part.status, part.text().as_str()), (206, "line 0"));
    }
    let file = get(&running, "/file", &[]).await;
    assert_eq!(file.header("content-disposition"), Some("attachment; filename=report.txt"));
    assert_eq!(file.header("cache-control"), Some("public, max-age=60"));
    assert_eq!(get(&running, "/directory/missing.txt", &[]).await.status, 404);
    // Flask declares the file's length and sends no body; that is no fault of the app's.
    assert_eq!(running.appserver().log.find(&["shorter than its Content-Length"]), [""; 0]);
}

#[tokio::test]
async fn a_django_view_hands_files_over() {
    require("django").await;
    let urls = "from django.http import HttpResponse\nfrom django.urls import path\nfrom urllib.parse import quote\n\n\n\
        def file(request, name):\n    response = HttpResponse(content_type=\"text/x-report\")\n    \
        response[\"X-Accel-Redirect\"] = \"/protected/\" + quote(name)\n    return response\n\n\n\
        urlpatterns = [path(\"file/<path:name>\", file)]\n";
    let running = Site::new("django")
        .copy(&apps().join("djangosite"), "")
        .file("mysite/urls.py", urls)
        .file("protected/report.txt", report())
        .file("protected/a b/\u{e9}t\u{e9}.txt", "summer")
        .file("public/open.txt", "open")
        .app("shop", "mysite.wsgi:application", &[])
        .set("hosts", ROUTES)
        .start()
        .await;
    // The project sends everybody to https.
    let mut connection = running.https().await;
    let whole = connection.get("/file/report.txt").await;
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("text/x-report")), "{whole:?}");
    assert_eq!(whole.text(), report());
    assert_eq!(connection.get("/file/a%20b/%C3%A9t%C3%A9.txt").await.text(), "summer");
}
