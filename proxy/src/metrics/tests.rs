//! What is shown, and that documentation, dashboard and alerts speak of the same.

use std::collections::BTreeSet;
use std::time::Duration;

use tidegate_contract::{Cause, RestartReason};

use tidegate_site::Priority;

use super::*;

/// Metrics in which every family has a series.
fn full() -> Arc<Metrics> {
    let metrics = Metrics::new("0.1.0");
    metrics.app("shop").worker(0);
    metrics.listener("[::]:8443");
    metrics.limit("shop/login", "address").limited(true);
    metrics.passwords();
    metrics.set_maintenance(&[HostMaintenance { host: "blog.example".to_owned(), is_closed: true }]);
    metrics.set_certificates(&[CertificateExpiry {
        source: r"C:\certs\a.pem".to_owned(),
        name: "shop.example".to_owned(),
        not_after: 1_900_000_000,
    }]);
    metrics
}

fn encoded(metrics: &Metrics) -> String {
    String::from_utf8(metrics.encode().unwrap()).unwrap()
}

fn value(metrics: &Metrics, series: &str) -> Option<String> {
    let text = encoded(metrics);
    let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
    Some(line[series.len() + 1..].to_owned())
}

/// Names of families, from the `# TYPE` lines.
fn families(metrics: &Metrics) -> BTreeSet<String> {
    let text = encoded(metrics);
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    names.map(|rest| rest.split(' ').next().unwrap_or_default().to_owned()).collect()
}

/// Every word in `text` that looks like the name of a family or of one of its series.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    // A package's name has its version in capital letters; no metric has one.
    let is_metric = |word: &&str| word.starts_with("tidegate_") && !word.contains(char::is_uppercase);
    words.filter(is_metric).map(str::to_owned).collect()
}

#[test]
fn series_have_the_documented_names_labels_and_values() {
    let metrics = full();
    let app = metrics.app("shop");
    let worker = app.worker(0);
    let slot = worker.dispatched();
    let connection = worker.connected();
    let waiting = app.queued(Priority::Normal);
    worker.finished(200, Duration::from_millis(20));
    worker.failed(Cause::WorkerTimeout);
    worker.failed(Cause::QueueFull);
    worker.set_up(true);
    worker.set_threads(3, 4, 64);
    worker.set_memory(5_000);
    worker.set_cpu(&[(1, 2_500)]);
    app.waited(Duration::ZERO);
    app.failed(Cause::QueueTimeout);
    app.finished(Duration::from_millis(30));
    app.set_up(true);
    app.set_restarts(&[(RestartReason::Died, 2)]);
    let listener = metrics.listener("[::]:8443");
    let client = listener.accepted();
    listener.handshake(Handshake::Timeout);
    listener.refused();
    listener.idle_closed(3);
    metrics.http.finished(Version::Http2, 499);
    metrics.http.failed(Cause::ClientClosed);
    metrics.http.http2_ended(proxy::Ended::Flood);
    metrics.http.sent(10);
    metrics.http.received(20);
    metrics.files.finished(304);
    metrics.files.sent(30);
    metrics.reloaded(false);
    metrics.certificates_reloaded(false);
    metrics.set_supervisor_connected(true);
    metrics.log_dropped().inc();

    let worker_labels = r#"{app="shop",worker="0"}"#;
    for (series, expected) in [
        (r#"tidegate_backend_requests_total{app="shop",status="2xx",worker="0"}"#, "1"),
        (r#"tidegate_backend_requests_total{app="shop",status="5xx",worker="0"}"#, "0"),
        (r#"tidegate_backend_failures_total{app="shop",cause="worker_timeout",worker="0"}"#, "1"),
        (r#"tidegate_backend_failures_total{app="shop",cause="app_error",worker="0"}"#, "0"),
        (&format!("tidegate_backend_in_flight{worker_labels}"), "1"),
        (&format!("tidegate_backend_connections{worker_labels}"), "1"),
        (&format!("tidegate_backend_threads_busy{worker_labels}"), "3"),
        (&format!("tidegate_backend_threads{worker_labels}"), "4"),
        (&format!("tidegate_backend_threads_max{worker_labels}"), "64"),
        (&format!("tidegate_backend_up{worker_labels}"), "1"),
        (&format!("tidegate_backend_memory_bytes{worker_labels}"), "5000"),
        (&format!("tidegate_backend_cpu_seconds_total{worker_labels}"), "2.5"),
        (r#"tidegate_backend_response_seconds_bucket{app="shop",worker="0",le="0.01"}"#, "0"),
        (r#"tidegate_backend_response_seconds_bucket{app="shop",worker="0",le="0.025"}"#, "1"),
        (r#"tidegate_backend_restarts_total{app="shop",reason="died"}"#, "2"),
        (r#"tidegate_backend_restarts_total{app="shop",reason="frozen"}"#, "0"),
        (r#"tidegate_app_failures_total{app="shop",cause="queue_timeout"}"#, "1"),
        (r#"tidegate_app_failures_total{app="shop",cause="no_backend"}"#, "0"),
        (r#"tidegate_app_queue_depth{app="shop",priority="normal"}"#, "1"),
        (r#"tidegate_app_queue_wait_seconds_count{app="shop"}"#, "1"),
        (r#"tidegate_app_request_seconds_sum{app="shop"}"#, "0.03"),
        (r#"tidegate_app_up{app="shop"}"#, "1"),
        (r#"tidegate_listener_connections{listener="[::]:8443"}"#, "1"),
        (r#"tidegate_listener_accepted_total{listener="[::]:8443"}"#, "1"),
        (r#"tidegate_tls_handshakes_total{listener="[::]:8443",result="timeout"}"#, "1"),
        (r#"tidegate_tls_handshakes_total{listener="[::]:8443",result="ok"}"#, "0"),
        (r#"tidegate_listener_refused_total{limit="address",listener="[::]:8443"}"#, "1"),
        (r#"tidegate_listener_idle_closed_total{listener="[::]:8443"}"#, "3"),
        (r#"tidegate_certificate_reloads_total{result="failed"}"#, "1"),
        ("tidegate_certificate_reload_failed", "1"),
        (r#"tidegate_http_requests_total{protocol="http/2",status="4xx"}"#, "1"),
        (r#"tidegate_http_failures_total{cause="client_closed"}"#, "1"),
        (r#"tidegate_http2_ended_total{reason="flood"}"#, "1"),
        (r#"tidegate_http2_ended_total{reason="stalled"}"#, "0"),
        ("tidegate_http_sent_bytes_total", "10"),
        ("tidegate_http_received_bytes_total", "20"),
        (r#"tidegate_files_requests_total{status="3xx"}"#, "1"),
        ("tidegate_files_sent_bytes_total", "30"),
        (
            r#"tidegate_certificate_expiry_timestamp_seconds{name="shop.example",source="C:\\certs\\a.pem"}"#,
            "1900000000",
        ),
        (r#"tidegate_limited_requests_total{action="counted",limit="address",place="shop/login"}"#, "1"),
        (r#"tidegate_limited_requests_total{action="refused",limit="address",place="shop/login"}"#, "0"),
        (r#"tidegate_maintenance{host="blog.example"}"#, "1"),
        (r#"tidegate_build_info{version="0.1.0"}"#, "1"),
        (r#"tidegate_config_reloads_total{result="failed"}"#, "1"),
        (r#"tidegate_config_reloads_total{result="ok"}"#, "0"),
        ("tidegate_supervisor_connected", "1"),
        ("tidegate_log_dropped_total", "1"),
    ] {
        assert_eq!(value(&metrics, series).as_deref(), Some(expected), "{series}");
    }

    drop((slot, connection, waiting, client));
    for series in [
        &format!("tidegate_backend_in_flight{worker_labels}"),
        &format!("tidegate_backend_connections{worker_labels}"),
        r#"tidegate_app_queue_depth{app="shop",priority="normal"}"#,
        r#"tidegate_listener_connections{listener="[::]:8443"}"#,
    ] {
        assert_eq!(value(&metrics, series).as_deref(), Some("0"), "{series}");
    }
}

#[test]
fn handles_are_the_same_until_they_are_forgotten() {
    let metrics = full();
    let app = metrics.app("shop");
    assert!(Arc::ptr_eq(&app, &metrics.app("shop")));
    assert!(Arc::ptr_eq(&app.worker(0), &app.worker(0)));
    assert!(Arc::ptr_eq(&metrics.listener("a"), &metrics.listener("a")));

    metrics.app("blog");
    metrics.forget_app("shop");
    let text = encoded(&metrics);
    assert!(!text.contains(r#"app="shop""#), "{text}");
    assert!(text.contains(r#"app="blog""#));

    assert!(!Arc::ptr_eq(&app, &metrics.app("shop")));
    assert!(encoded(&metrics).contains(r#"app="shop""#));
}

#[test]
fn restarts_follow_the_app_server_through_its_own_restart() {
    let metrics = full();
    let app = metrics.app("shop");
    for (count, shown) in [(1, "1"), (4, "4"), (4, "4"), (1, "1"), (0, "0"), (2, "2")] {
        app.set_restarts(&[(RestartReason::Frozen, count)]);
        let series = r#"tidegate_backend_restarts_total{app="shop",reason="frozen"}"#;
        assert_eq!(value(&metrics, series).as_deref(), Some(shown));
    }
}

#[test]
fn processor_time_adds_up_over_replacements_and_never_goes_back() {
    let metrics = full();
    let worker = metrics.app("shop").worker(0);
    let steps: [(&[(u64, u64)], &str); 7] = [
        (&[(1, 1000)], "1"),
        (&[(1, 3000)], "3"),
        (&[(1, 3500), (2, 500)], "4"),
        (&[(2, 1000)], "4.5"),
        (&[], "4.5"),
        (&[(3, 1500)], "6"),
        // The app server was started again.
        (&[(3, 500)], "6.5"),
    ];
    for (processes, shown) in steps {
        worker.set_cpu(processes);
        let series = r#"tidegate_backend_cpu_seconds_total{app="shop",worker="0"}"#;
        assert_eq!(value(&metrics, series).as_deref(), Some(shown), "{processes:?}");
    }
}

#[test]
fn a_slot_without_a_worker_is_down_until_a_reload_takes_it_away() {
    let metrics = full();
    let app = metrics.app("shop");
    let up = |slot| value(&metrics, &format!("tidegate_backend_up{{app=\"shop\",worker=\"{slot}\"}}"));
    app.set_processes(2);
    assert_eq!([up(0), up(1)].map(Option::unwrap), ["0", "0"]);
    for slot in 0..2 {
        app.worker(slot).set_up(true);
    }
    app.set_down_unless(|slot| slot == 0);
    assert_eq!([up(0), up(1)].map(Option::unwrap), ["1", "0"]);

    app.set_processes(1);
    app.worker(1).set_up(true);
    app.set_down_unless(|slot| slot <= 1);
    assert_eq!(up(1).as_deref(), Some("1"), "a draining worker is still shown");
    app.set_down_unless(|slot| slot == 0);
    assert_eq!([up(0).as_deref(), up(1).as_deref()], [Some("1"), None]);
}

#[test]
fn a_listener_that_is_gone_leaves_no_series() {
    let metrics = full();
    let held = metrics.listener("[::]:8443").accepted();
    metrics.forget_listener("[::]:8443");
    metrics.forget_listener("never");
    assert!(!encoded(&metrics).contains("[::]:8443"));
    drop(held);
}

#[test]
fn certificates_replace_each_other() {
    let metrics = full();
    metrics.set_certificates(&[]);
    assert!(!encoded(&metrics).contains("shop.example"));
}

/// The family that a name in a query belongs to; the name itself if there is none.
fn family<'a>(name: &'a str, families: &BTreeSet<String>) -> &'a str {
    let parts = ["_bucket", "_sum", "_count"];
    let whole = parts.iter().find_map(|part| name.strip_suffix(part));
    whole.filter(|whole| families.contains(*whole)).unwrap_or(name)
}

#[test]
fn every_family_is_documented_and_no_other() {
    let families = families(&full());
    let names = names_in(include_str!("../../../docs/metrics.md"));
    let documented: BTreeSet<_> = names.iter().map(|name| family(name, &families).to_owned()).collect();
    assert_eq!(documented, families);
}

#[test]
fn documentation_names_every_cause_and_reason() {
    let text = include_str!("../../../docs/metrics.md");
    let labels = Cause::ALL.map(Cause::label).into_iter();
    for label in labels.chain(RestartReason::ALL.map(RestartReason::label)) {
        assert!(text.contains(&format!("`{label}`")), "{label}");
    }
}

#[test]
fn dashboard_and_alerts_use_families_that_exist() {
    let families = families(&full());
    for (file, text) in [
        ("tidegate.json", include_str!("../../../deploy/grafana/tidegate.json")),
        ("alerts.yml", include_str!("../../../deploy/prometheus/alerts.yml")),
        ("operations.md", include_str!("../../../docs/operations.md")),
    ] {
        let names = names_in(text);
        assert!(!names.is_empty(), "{file} names no metric");
        for name in names {
            assert!(families.contains(family(&name, &families)), "{file}: {name}");
        }
    }
}

/// Prints the path of a file for `promtool check metrics <FILE`.
#[test]
#[ignore = "prints what Prometheus would see, for promtool"]
fn show() {
    let metrics = full();
    let path = std::env::temp_dir().join("tidegate-metrics.txt");
    std::fs::write(&path, metrics.encode().unwrap()).unwrap();
    println!("{}", path.display());
}
