//! A host that is closed: by the command, by the site file, over restarts and reloads, and for whom not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::client::Response;
use tidegate_tests::{Connection, Running, Site};

const METRIC: &str = "tidegate_maintenance";

/// Two hosts, of which `shop.example` lets clients in whose trusted proxy says 192.0.2.7.
async fn site(name: &str) -> Running {
    two_hosts(name, "").start().await
}

fn two_hosts(name: &str, blog: &str) -> Site {
    let hosts = format!(
        "[{{ names: [shop.example, www.shop.example], maintenance_allow: [192.0.2.7], \
         routes: [{{ path: /, app: shop }}, {{ path: /static, files: static }}] }}, \
         {{ names: ['*'], {blog} routes: [{{ path: /, app: shop }}] }}]"
    );
    Site::new(name)
        .app("shop", "slow:app", &[])
        .file("static/a.txt", "a file")
        .set("trusted_proxies", "[127.0.0.1]")
        .set("hosts", &hosts)
}

async fn ask(running: &Running, host: &str, target: &str, fields: &[(&str, &str)]) -> Response {
    let mut all = vec![("Host", host)];
    all.extend_from_slice(fields);
    running.http().await.get_with(target, &all).await
}

async fn maintenance(running: &Running, arguments: &[&str]) -> String {
    let done = running.tidegate(&[&["maintenance"], arguments].concat()).await;
    assert_eq!(done.code, 0, "{done:?}");
    done.stdout
}

#[tokio::test]
async fn a_host_is_closed_and_opened_at_run_time() {
    let running = site("switch").await;
    let said = maintenance(
        &running,
        &["on", "--host", "WWW.shop.example", "--message", "Back at <nine>.", "--retry-after", "90s"],
    )
    .await;
    assert!(said.starts_with("www.shop.example is closed for maintenance since 2"), "{said}");
    for (host, target) in [("shop.example", "/quick"), ("www.shop.example", "/static/a.txt"), ("shop.example:80", "/x")]
    {
        let closed = ask(&running, host, target, &[]).await;
        closed.assert_failure(503, "maintenance");
        assert_eq!(closed.header("retry-after"), Some("90"));
        assert!(closed.text().contains("Back at <nine>."), "{closed:?}");
    }
    let page = ask(&running, "shop.example", "/", &[("Accept", "text/html")]).await;
    assert!(page.text().contains("<p>Back at &lt;nine&gt;.</p>"), "{page:?}");
    let json = ask(&running, "shop.example", "/", &[("Accept", "application/json")]).await.json();
    assert_eq!((&json["message"], &json["cause"]), (&"Back at <nine>.".into(), &"maintenance".into()));

    // Others, and those who may, are served.
    ask(&running, "blog.example", "/quick", &[]).await.assert_text(200, "quick");
    let allowed = [("X-Forwarded-For", "192.0.2.7")];
    ask(&running, "shop.example", "/quick", &allowed).await.assert_text(200, "quick");
    ask(&running, "shop.example", "/quick", &[("X-Forwarded-For", "192.0.2.8")])
        .await
        .assert_failure(503, "maintenance");

    // It is to be seen.
    let metrics = running.scrape().await;
    assert_eq!(tidegate_tests::metrics::sum(&metrics, METRIC, &[("host", "shop.example")]), 1.0);
    assert_eq!(tidegate_tests::metrics::sum(&metrics, METRIC, &[("host", "*")]), 0.0);
    let ready = Connection::plain(running.metrics_address()).await.get("/readyz").await;
    ready.assert_text(200, "ready\nshop: ready\nclosed for maintenance: shop.example\n");
    let status = running.tidegate(&["status"]).await.stdout;
    assert!(status.contains("www.shop.example is closed for maintenance since 2"), "{status}");

    let refused = running.tidegate(&["maintenance", "on", "--host", "wiki.example"]).await;
    assert!(refused.code != 0, "{refused:?}");
    assert!(refused.stderr.contains("expected one of shop.example, www.shop.example, *"), "{refused:?}");
    let said = maintenance(&running, &["off", "--host", "shop.example"]).await;
    assert_eq!(said, "nothing is closed for maintenance\n");
    ask(&running, "shop.example", "/quick", &[]).await.assert_text(200, "quick");
    running.wait_metric(METRIC, &[], 0.0).await;
}

#[tokio::test]
async fn closed_stays_closed_over_reloads_and_restarts() {
    let mut running = site("restart").await;
    maintenance(&running, &["on"]).await;
    assert!(running.tidegate(&["reload"]).await.code == 0);
    running.get("/quick").await.assert_failure(503, "maintenance");
    running.stop().await;
    // The proxy alone: nobody tells it, and it is closed from its first request.
    running.start_appserver();
    running.start_proxy().await;
    ask(&running, "shop.example", "/static/a.txt", &[]).await.assert_failure(503, "maintenance");
    running.wait_until_ready().await;
    running.get("/quick").await.assert_failure(503, "maintenance");
    let said = maintenance(&running, &["status"]).await;
    assert!(said.starts_with("every host is closed for maintenance since 2"), "{said}");
    maintenance(&running, &["off"]).await;
    running.get("/quick").await.assert_text(200, "quick");
    running.stop().await;
    running.start_appserver();
    running.start_proxy().await;
    running.wait_until_ready().await;
    running.get("/quick").await.assert_text(200, "quick");
}

#[tokio::test]
async fn the_site_file_closes_a_host() {
    let mut running = two_hosts("file", "maintenance: on,").start().await;
    let closed = running.get("/quick").await;
    closed.assert_failure(503, "maintenance");
    assert_eq!(closed.header("retry-after"), Some("600"));
    ask(&running, "shop.example", "/quick", &[]).await.assert_text(200, "quick");
    running.wait_metric(METRIC, &[("host", "*")], 1.0).await;
    let refused = running.tidegate(&["maintenance", "off"]).await;
    assert!(refused.stderr.contains("the site file closes * (maintenance: on)"), "{refused:?}");
    let open = two_hosts("never started", "").yaml();
    let hosts = open.lines().find_map(|line| line.strip_prefix("hosts: ")).unwrap().to_owned();
    running.site.change("hosts", &hosts);
    running.site.write();
    assert!(running.tidegate(&["reload"]).await.code == 0);
    running.get("/quick").await.assert_text(200, "quick");
    running.wait_metric(METRIC, &[], 0.0).await;
}

#[tokio::test]
async fn an_upload_to_a_closed_host_is_answered_before_its_body() {
    let running = site("upload").await;
    maintenance(&running, &["on"]).await;
    for expect in [&[("Expect", "100-continue")][..], &[]] {
        let mut connection = running.http().await;
        let mut fields = vec![("Content-Length", "1000000")];
        fields.extend_from_slice(expect);
        connection.request("PUT", "/quick", &fields, b"").await;
        connection.response("PUT").await.assert_failure(503, "maintenance");
        connection.finish_sending().await;
        assert!(connection.is_closed_by_server().await);
    }
}
