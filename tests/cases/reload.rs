//! A running site that is given another configuration, other code, other certificates.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tidegate_contract::RestartReason;
use tidegate_tests::program::Finished;
use tidegate_tests::wait::eventually;
use tidegate_tests::{Connection, Running, Site};

fn code(version: &str) -> String {
    format!(
        "import os\n\ndef app(environ, start_response):\n    start_response('200 OK', [])\n    \
         return [('{version} ' + os.environ.get('STAGE', '-')).encode()]\n"
    )
}

async fn first(name: &str) -> Running {
    Site::new(name)
        .file("changing.py", code("one"))
        .app("shop", "changing:app", &[("processes", "2"), ("environment", "{ STAGE: old }")])
        .start()
        .await
}

async fn reload(running: &Running) -> Finished {
    running.tidegate(&["reload"]).await
}

/// The site runs on as it was, in the same processes.
async fn assert_unchanged(running: &Running, finished: &Finished, reason: &str) {
    assert_ne!(finished.code, 0, "{finished:?}");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(said.contains(reason), "{reason}: {said}");
    running.get("/").await.assert_text(200, "one old");
    let workers = running.status().await.pool.apps[0].workers.clone();
    assert_eq!(workers.iter().map(|worker| worker.generation).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn new_code_and_configuration_take_over_without_a_lost_request() {
    let mut running = first("takeover").await;
    let (stop, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    let (address, https, tls) = (running.http_address(), running.https_address(), running.tls());
    let check = |text: &str| assert!(text == "one old" || text == "two new", "{text}");
    let keep_alive = async || {
        let mut connection = Connection::plain(address).await;
        while !stop.load(Ordering::Relaxed) {
            let response = connection.get("/").await;
            assert_eq!(response.status, 200, "{response:?}");
            check(&response.text());
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let anew = async || {
        while !stop.load(Ordering::Relaxed) {
            let response = Connection::plain(address).await.get("/").await;
            assert_eq!(response.status, 200, "{response:?}");
            check(&response.text());
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let http2 = async || {
        let mut connection = tls.http2(https, "localhost").await;
        while !stop.load(Ordering::Relaxed) {
            let response = connection.get("/").await;
            assert_eq!(response.status, 200, "{response:?}");
            check(&response.text());
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let reloads = async {
        eventually("clients are served", async || (answered.load(Ordering::Relaxed) > 50).then_some(())).await;
        running.site.put("changing.py", code("two"));
        running.site.add_app("shop", "changing:app", &[("processes", "3"), ("environment", "{ STAGE: new }")]);
        running.site.write();
        let finished = reload(&running).await;
        assert_eq!(finished.code, 0, "{finished:?}");
        running.get("/").await.assert_text(200, "two new");
        for _ in 0..2 {
            assert_eq!(reload(&running).await.code, 0);
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(reloads, keep_alive(), keep_alive(), anew(), http2());
    assert_eq!(running.metric("tidegate_http_failures_total", &[]).await, 0.0);
    running.wait_metric("tidegate_config_reloads_total", &[("result", "ok")], 3.0).await;
    running
        .wait_status("the old workers are gone", |status| {
            let app = &status.pool.apps[0];
            (app.workers.len() == 3 && app.restarts.iter().any(|&(reason, _)| reason == RestartReason::Reload))
                .then_some(())
        })
        .await;
    running.proxy().log.wait(&["configuration reloaded"]).await;
}

#[tokio::test]
async fn a_request_that_runs_is_finished_by_the_old_worker() {
    let running = Site::new("old").app("shop", "slow:app", &[]).start().await;
    let mut held = running.http().await;
    held.request("GET", "/hold/kept?gate", &[], b"").await;
    running.wait_metric("tidegate_backend_in_flight", &[("app", "shop")], 1.0).await;
    let before = running.get("/pid").await.text();
    // The old worker drains for as long as the request runs, and the reload does not wait for that.
    let finished = tokio::select! {
        finished = reload(&running) => finished,
        _ = held.response("GET") => panic!("the request ended before it was released"),
    };
    assert_eq!(finished.code, 0, "{finished:?}");
    eventually("the new worker serves", async || (running.get("/pid").await.text() != before).then_some(())).await;
    running.site.put("gate", "");
    held.response("GET").await.assert_text(200, "kept");
}

#[tokio::test]
async fn a_wrong_file_changes_nothing_and_is_explained() {
    let mut running = first("wrong").await;
    let good = running.site.yaml();
    std::fs::write(running.site.config(), good.replace("processes: 2", "processes: many")).unwrap();
    let finished = reload(&running).await;
    std::fs::write(running.site.config(), good).unwrap();
    assert_unchanged(&running, &finished, "apps.shop.processes").await;

    running.site.change("certificates", "[{ certificate: missing.pem, key: missing.key }]");
    running.site.write();
    let finished = reload(&running).await;
    assert_unchanged(&running, &finished, "missing.pem").await;
}

#[tokio::test]
async fn code_that_cannot_be_imported_changes_nothing_and_is_explained() {
    let running = first("import").await;
    running.site.put("changing.py", "raise RuntimeError('half a deployment')\n");
    let finished = reload(&running).await;
    assert_eq!(finished.code, 1, "{finished:?}");
    assert_unchanged(&running, &finished, "RuntimeError: half a deployment").await;
    running.wait_metric("tidegate_config_reloads_total", &[("result", "failed")], 1.0).await;

    running.site.put("changing.py", code("two"));
    assert_eq!(reload(&running).await.code, 0);
    eventually("the new code serves", async || (running.get("/").await.text() == "two old").then_some(())).await;
}

#[tokio::test]
async fn a_new_certificate_is_presented_to_new_connections() {
    let make = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let (old, new) = (make(), make());
    let running = Site::new("renewed")
        .app("shop", "mirror:app", &[])
        .file("site.pem", &old.0)
        .file("site.key", &old.1)
        .set("certificates", "[{ certificate: site.pem, key: site.key }]")
        .start()
        .await;
    let tls = tidegate_tests::client::Tls::trusting(&[&old.0, &new.0]);
    let mut before = tls.http1(running.https_address(), "localhost").await;
    assert_eq!(before.get("/").await.status, 200);
    running.site.put("site.pem", &new.0);
    running.site.put("site.key", &new.1);
    assert_eq!(reload(&running).await.code, 0);
    eventually("the new certificate is presented", async || {
        let after = tls.http1(running.https_address(), "localhost").await;
        (after.presented != before.presented).then_some(())
    })
    .await;
    assert_eq!(before.get("/").await.status, 200, "old connections go on");
}

#[cfg(unix)]
#[tokio::test]
async fn a_hangup_signal_reloads_whichever_process_it_reaches() {
    let mut running = first("hangup").await;
    for (version, to_proxy) in [("two", false), ("three", true)] {
        running.site.put("changing.py", code(version));
        let id = if to_proxy { running.proxy().id() } else { running.appserver().id() };
        tidegate_tests::process::signal(id, "HUP");
        eventually("the new code serves", async || {
            (running.get("/").await.text() == format!("{version} old")).then_some(())
        })
        .await;
    }
}
