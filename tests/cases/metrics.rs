//! The metrics listener, read as Prometheus reads it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::{Connection, Running, Site};

async fn slow(name: &str) -> Running {
    Site::new(name).app("shop", "slow:app", &[("processes", "2"), ("request_timeout", "300ms")]).start().await
}

#[tokio::test]
async fn requests_are_counted_by_app_worker_and_status() {
    let running = slow("counted").await;
    let mut connection = running.http().await;
    for _ in 0..5 {
        connection.get("/quick").await.assert_text(200, "quick");
    }
    running.http2().await.get("/quick").await.assert_text(200, "quick");
    connection.get("/no-such-shape").await.assert_failure(500, "app_error");
    connection.get("/spin").await.assert_failure(502, "worker_timeout");

    let shop = ("app", "shop");
    running.wait_metric("tidegate_backend_requests_total", &[shop, ("status", "2xx")], 6.0).await;
    running.wait_metric("tidegate_app_failures_total", &[shop, ("cause", "app_error")], 1.0).await;
    running.wait_metric("tidegate_app_failures_total", &[shop, ("cause", "worker_timeout")], 1.0).await;
    running.wait_metric("tidegate_app_failures_total", &[shop], 2.0).await;
    let (one, two) = (("protocol", "http/1.1"), ("protocol", "http/2"));
    running.wait_metric("tidegate_http_requests_total", &[one, ("status", "2xx")], 5.0).await;
    running.wait_metric("tidegate_http_requests_total", &[one, ("status", "5xx")], 2.0).await;
    running.wait_metric("tidegate_http_requests_total", &[two, ("status", "2xx")], 1.0).await;
    running.wait_metric("tidegate_app_request_seconds_count", &[shop], 8.0).await;
    running.wait_metric("tidegate_supervisor_connected", &[], 1.0).await;
    running.wait_metric("tidegate_tls_handshakes_total", &[("result", "ok")], 1.0).await;
    // Series exist before their first event.
    assert_eq!(running.metric("tidegate_app_failures_total", &[shop, ("cause", "queue_full")]).await, 0.0);
}

#[tokio::test]
async fn health_and_readiness_are_told_apart() {
    let mut running = slow("health").await;
    let address = running.metrics_address();
    let get = async |path: &str| Connection::plain(address).await.get(path).await;
    assert_eq!(get("/healthz").await.status, 200);
    let ready = get("/readyz").await;
    assert!(ready.status == 200 && ready.text().contains("shop"), "{ready:?}");
    assert_eq!(get("/other").await.status, 404);

    running.appserver().kill().await;
    running.wait_metric("tidegate_app_up", &[("app", "shop")], 0.0).await;
    let gone = get("/readyz").await;
    assert!(gone.status == 503 && gone.text().contains("shop"), "{gone:?}");
    assert_eq!(get("/healthz").await.status, 200);
}

#[tokio::test]
async fn an_app_that_cannot_start_is_not_ready_and_says_no_backend() {
    let running = Site::new("broken")
        .file("broken.py", "import no_such_module\n")
        .app("broken", "broken:app", &[])
        .app("shop", "slow:app", &[])
        .set("hosts", "[{ routes: [{ path: /, app: shop }, { path: /broken, app: broken }] }]")
        .launch()
        .await;
    running.wait_metric("tidegate_app_up", &[("app", "shop")], 1.0).await;
    running.get("/quick").await.assert_text(200, "quick");
    running.get("/broken").await.assert_failure(503, "no_backend");
    let ready = Connection::plain(running.metrics_address()).await.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(
        running.metric("tidegate_backend_restarts_total", &[("app", "broken"), ("reason", "import_failed")]).await
            >= 1.0
    );
}

#[cfg(target_os = "linux")]
mod prometheus {
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use tidegate_tests::Connection;
    use tidegate_tests::site::quoted;
    use tidegate_tests::wait::eventually;
    use tokio::net::TcpListener;

    /// A tool that `cargo xtask test` installs where it may. Continuous integration never goes without.
    fn tool(name: &str) -> Option<PathBuf> {
        let found = tidegate_host::find_program(name);
        assert!(found.is_some() || std::env::var_os("CI").is_none(), "{name} is missing");
        if found.is_none() {
            eprintln!("{name} is not installed: not tested");
        }
        found
    }

    #[tokio::test]
    async fn promtool_finds_nothing_to_complain_about() {
        let Some(promtool) = tool("promtool") else { return };
        let running = super::slow("promtool").await;
        running.get("/quick").await.assert_text(200, "quick");
        let scrape = Connection::plain(running.metrics_address()).await.get("/metrics").await;
        assert!(scrape.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"), "{scrape:?}");
        let mut child = Command::new(promtool)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&scrape.body).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    #[tokio::test]
    async fn a_real_prometheus_answers_for_each_backend() {
        let Some(program) = tool("prometheus") else { return };
        let running = super::slow("prometheus").await;
        for _ in 0..4 {
            running.get("/quick").await.assert_text(200, "quick");
        }
        let config = format!(
            "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms }}\nscrape_configs:\n  - job_name: tidegate\n    \
             static_configs: [{{ targets: [{}] }}]\n",
            quoted(&running.metrics_address().to_string())
        );
        running.site.put("prometheus.yml", config);
        // Free a moment ago; Prometheus does not say which port it took if it is given 0.
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut spawn = tidegate_host::Spawn::new(program);
        spawn.arguments = vec![
            format!("--config.file={}", running.site.path("prometheus.yml").display()).into(),
            format!("--storage.tsdb.path={}", running.site.path("prometheus").display()).into(),
            format!("--web.listen-address={address}").into(),
            "--log.level=error".into(),
        ];
        let _prometheus = spawn.start().unwrap();
        let query =
            "/api/v1/query?query=sum%20by%20(app,worker)%20(tidegate_backend_requests_total%7Bapp=%22shop%22%7D)";
        let result = eventually("Prometheus has scraped both backends", async || {
            tokio::net::TcpStream::connect(address).await.ok()?;
            let answer = Connection::plain(address).await.get(query).await;
            // It listens before it can answer.
            if answer.status != 200 {
                return None;
            }
            let result = answer.json()["data"]["result"].clone();
            (result.as_array()?.len() == 2).then_some(result)
        })
        .await;
        let backends = result.as_array().unwrap().iter();
        let total: f64 =
            backends.clone().map(|backend| backend["value"][1].as_str().unwrap().parse::<f64>().unwrap()).sum();
        assert_eq!(total, 4.0, "{result}");
        let mut workers: Vec<_> = backends.map(|backend| backend["metric"]["worker"].as_str().unwrap()).collect();
        workers.sort_unstable();
        assert_eq!(workers, ["0", "1"]);
    }
}
