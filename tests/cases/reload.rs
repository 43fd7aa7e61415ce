//! A running site that is given another configuration, other code, other certificates.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tidegate_contract::RestartReason;
use tidegate_tests::authority::Authority;
use tidegate_tests::client::Tls;
use tidegate_tests::program::Finished;
use tidegate_tests::wait::{bounded, eventually};
use tidegate_tests::{Connection, Response, Running, Site};
use tokio::net::TcpStream;

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

/// Clients of each kind, requests that they get through at least, and how often everything changes.
/// Fewer on Windows, because Wine is slow to connect and to start processes.
const CLIENTS: usize = if cfg!(windows) { 4 } else { 16 };
const REQUESTS: u32 = if cfg!(windows) { 1_000 } else { 5_000 };
const ROUNDS: u32 = 3;

#[tokio::test]
async fn certificates_routes_and_listeners_change_under_many_clients_and_none_loses_a_request() {
    const LISTENERS: &str = "{ address: '127.0.0.1:0', protocol: https }, { address: '127.0.0.1:0', protocol: http }";
    let authority = Authority::new("test");
    let pairs = [authority.server(&["localhost"]), authority.server(&["localhost"])];
    let hosts = |round: u32| {
        format!("[{{ routes: [{{ path: /, app: shop }}, {{ path: /round-{round}, redirect: /found-{round} }}] }}]")
    };
    let mut running = Site::new("under load")
        .file("changing.py", code("one"))
        .app("shop", "changing:app", &[])
        .file("site.pem", &pairs[0].certificate)
        .file("site.key", &pairs[0].key)
        .set("certificates", "[{ certificate: site.pem, key: site.key }]")
        .set("tls", "{ watch: 100ms }")
        .set("listeners", &format!("[{LISTENERS}]"))
        .set("hosts", &hosts(0))
        .start()
        .await;
    let tls = Tls::trusting(&[&pairs[0].certificate, &pairs[1].certificate]);
    let (stop, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    let (http, https) = (running.http_address(), running.https_address());
    let good = |response: Response| {
        assert_eq!(response.status, 200, "{response:?}");
        answered.fetch_add(1, Ordering::Relaxed);
    };
    let keep_alive = async || {
        let mut connection = tls.http1(https, "localhost").await;
        while !stop.load(Ordering::Relaxed) {
            good(connection.get("/").await);
        }
    };
    let http2 = async || {
        let mut connection = tls.http2(https, "localhost").await;
        while !stop.load(Ordering::Relaxed) {
            good(connection.get("/").await);
        }
    };
    let anew = async || {
        while !stop.load(Ordering::Relaxed) {
            good(tls.http1(https, "localhost").await.get("/").await);
            good(Connection::plain(http).await.get("/").await);
        }
    };
    let changes = async {
        let mut round = 0;
        while round < ROUNDS || answered.load(Ordering::Relaxed) < REQUESTS {
            round += 1;
            let pair = &pairs[round as usize % pairs.len()];
            running.site.put("site.pem", &pair.certificate);
            running.site.put("site.key", &pair.key);
            let known = Tls::trusting(&[&pair.certificate]);
            eventually("the new certificate is presented", async || {
                known.knows(&tls.http1(https, "localhost").await.presented?).then_some(())
            })
            .await;

            running.site.change("hosts", &hosts(round));
            running.site.write();
            assert_eq!(reload(&running).await.code, 0);
            assert_eq!(running.get(&format!("/round-{round}")).await.status, 308);
            assert_eq!(running.get(&format!("/round-{}", round - 1)).await.status, 200, "the app's again");

            running.site.change("listeners", &format!("[{LISTENERS}, {{ address: '127.0.0.1:0', protocol: http }}]"));
            running.site.write();
            assert_eq!(reload(&running).await.code, 0);
            let listeners = running.status().await.proxy.unwrap().listeners;
            let added = listeners[2].address.parse().unwrap();
            assert_eq!(Connection::plain(added).await.get("/").await.status, 200);
            running.site.change("listeners", &format!("[{LISTENERS}]"));
            running.site.write();
            assert_eq!(reload(&running).await.code, 0);
            eventually("no longer listening", async || {
                bounded("an answer of the system", TcpStream::connect(added)).await.is_err().then_some(())
            })
            .await;
        }
        stop.store(true, Ordering::Relaxed);
        round
    };
    let clients = async || {
        tokio::join!(keep_alive(), http2(), anew());
    };
    let (rounds, _) = tokio::join!(changes, futures_util::future::join_all((0..CLIENTS).map(|_| clients())));
    assert_eq!(running.metric("tidegate_http_failures_total", &[]).await, 0.0);
    running.wait_metric("tidegate_config_reloads_total", &[("result", "ok")], f64::from(3 * rounds)).await;
    running.wait_metric("tidegate_certificate_reloads_total", &[("result", "ok")], f64::from(rounds)).await;
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
    let tls = Tls::trusting(&[&old.0, &new.0]);
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
