//! A real Django project: the admin with its static files, sessions, CSRF, a database, streams.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::client::{Browser, End};
use tidegate_tests::program::{python, require, run};
use tidegate_tests::site::apps;
use tidegate_tests::{Response, Running, Site};

const PASSWORD: &str = "tide & gate = 12";

async fn manage(site: &Site, arguments: &[&str]) {
    let environment = [("DJANGO_SUPERUSER_PASSWORD", PASSWORD), ("PYTHONDONTWRITEBYTECODE", "1")];
    let all = std::iter::once("manage.py").chain(arguments.iter().copied());
    let finished = run(python(), all, Some(site.directory()), &environment).await;
    assert_eq!(finished.code, 0, "manage.py {arguments:?}: {}{}", finished.stdout, finished.stderr);
}

async fn django(name: &str) -> Running {
    require("django").await;
    let site = Site::new(name).copy(&apps().join("djangosite"), "");
    manage(&site, &["migrate", "--verbosity=0"]).await;
    manage(&site, &["createsuperuser", "--noinput", "--username=ann", "--email=ann@example.com"]).await;
    manage(&site, &["collectstatic", "--noinput", "--verbosity=0"]).await;
    site.app("shop", "mysite.wsgi:application", &[("processes", "2")])
        .set("hosts", "[{ routes: [{ path: /, app: shop }, { path: /static, files: staticfiles }] }]")
        .start()
        .await
}

/// The CSRF token of a page's form.
#[track_caller]
fn token(page: &Response) -> String {
    assert_eq!(page.status, 200, "{page:?}");
    let text = page.text();
    let (_, after) = text.split_once("csrfmiddlewaretoken").expect("no CSRF token");
    let (_, value) = after.split_once("value=").unwrap();
    value.trim_start_matches('"').chars().take_while(char::is_ascii_alphanumeric).collect()
}

#[tokio::test]
async fn people_log_in_to_the_admin_and_change_the_database() {
    let running = django("admin").await;
    let mut browser = Browser::new(running.tls(), running.https_address());
    let first = browser.get("/admin/").await;
    assert_eq!((first.status, first.header("location")), (302, Some("/admin/login/?next=/admin/")));

    let page = browser.get("/admin/login/?next=/admin/").await;
    let csrf = token(&page);
    let wrong =
        [("csrfmiddlewaretoken", csrf.as_str()), ("username", "ann"), ("password", "wrong"), ("next", "/admin/")];
    let refused = browser.submit("/admin/login/?next=/admin/", &wrong).await;
    assert!(refused.status == 200 && refused.text().contains("correct username and password"), "{refused:?}");
    let right =
        [("csrfmiddlewaretoken", csrf.as_str()), ("username", "ann"), ("password", PASSWORD), ("next", "/admin/")];
    let entered = browser.submit("/admin/login/?next=/admin/", &right).await;
    assert_eq!((entered.status, entered.header("location")), (302, Some("/admin/")), "{entered:?}");
    let home = browser.get("/admin/").await;
    assert!(home.text().contains("Site administration"), "{home:?}");

    let csrf = token(&browser.get("/admin/auth/group/add/").await);
    let added = browser.submit("/admin/auth/group/add/", &[("csrfmiddlewaretoken", &csrf), ("name", "Pilots")]).await;
    assert_eq!(added.status, 302, "{added:?}");
    assert!(browser.get("/admin/auth/group/").await.text().contains("Pilots"));

    // Its style sheet comes from the proxy, under the name that the page gives it.
    let page = home.text();
    let (_, after) = page.split_once("href=\"/static/").unwrap();
    let style = format!("/static/{}", after.split('"').next().unwrap());
    let sheet = browser.get(&style).await;
    assert_eq!((sheet.status, sheet.header("content-type")), (200, Some("text/css; charset=utf-8")), "{style}");
    running.wait_metric_at_least("tidegate_files_requests_total", &[("status", "2xx")], 1.0).await;
}

#[tokio::test]
async fn forms_are_protected_and_sessions_kept() {
    let running = django("forms").await;
    let mut browser = Browser::new(running.tls(), running.https_address());
    let csrf = token(&browser.get("/guestbook/").await);
    for name in ["Zo\u{eb}", "Bo"] {
        let response = browser.submit("/guestbook/", &[("csrfmiddlewaretoken", &csrf), ("name", name)]).await;
        assert_eq!(response.status, 302, "{response:?}");
    }
    assert!(browser.get("/guestbook/").await.text().contains("<p>Zo\u{eb}, Bo</p>"));
    assert_eq!(browser.submit("/guestbook/", &[("name", "no token")]).await.status, 403);
}

#[tokio::test]
async fn streams_redirects_and_hosts_are_djangos_own() {
    let running = django("streams").await;
    let mut http2 = running.http2().await;
    let stream = http2.get("/stream/").await;
    assert_eq!((stream.text().lines().count(), stream.end), (5, End::Proper), "{stream:?}");
    // Django knows that the first listener is secure and the second is not.
    let insecure = running.get("/stream/?a=b").await;
    assert_eq!((insecure.status, insecure.header("location")), (301, Some("https://localhost/stream/?a=b")));
    let slashless = http2.get("/guestbook").await;
    assert_eq!((slashless.status, slashless.header("location")), (301, Some("/guestbook/")));
    http2.set_host("other.example");
    assert_eq!(http2.get("/stream/").await.status, 400);
}
