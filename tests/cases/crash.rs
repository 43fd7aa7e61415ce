//! Processes that end at once: a worker, the supervisor, the proxy.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures_util::future::join_all;
use tidegate_contract::{RestartReason, WorkerPhase};
use tidegate_tests::wait::eventually;
use tidegate_tests::{Connection, Running, Site, process};

async fn slow(name: &str, settings: &[(&str, &str)]) -> Running {
    Site::new(name).app("shop", "slow:app", settings).start().await
}

#[tokio::test]
async fn a_killed_worker_costs_no_client_an_answer() {
    let running = slow("kill", &[("processes", "2")]).await;
    let (stop, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    let address = running.http_address();
    let client = async || {
        let mut connection = Connection::plain(address).await;
        while !stop.load(Ordering::Relaxed) {
            connection.get("/quick").await.assert_text(200, "quick");
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let killer = async {
        for round in 0..3 {
            let before = answered.load(Ordering::Relaxed);
            eventually("the clients are served", async || {
                (answered.load(Ordering::Relaxed) > before + 500).then_some(())
            })
            .await;
            let worker = running.workers("shop").await.into_iter().find(|worker| worker.phase == WorkerPhase::Ready);
            process::kill(worker.unwrap().pid);
            running
                .wait_status("the worker is replaced", |status| {
                    let app = &status.pool.apps[0];
                    let ready = app.workers.iter().filter(|worker| worker.phase == WorkerPhase::Ready).count();
                    let died = app.restarts.iter().any(|&count| count == (RestartReason::Died, round + 1));
                    (died && ready == 2).then_some(())
                })
                .await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(killer, join_all((0..100).map(|_| client())));
    assert_eq!(running.metric("tidegate_http_failures_total", &[]).await, 0.0);
}

#[tokio::test]
async fn a_request_that_ends_its_process_is_not_repeated_if_that_could_matter() {
    let mut running = slow("exit", &[]).await;
    let mut connection = running.http().await;
    connection.post("/exit", &[], b"pay once").await.assert_failure(502, "worker_died");
    // Waits for the replacement.
    connection.get("/quick").await.assert_text(200, "quick");
    let status = running.status().await;
    assert!(status.pool.apps[0].restarts.contains(&(RestartReason::Died, 1)), "{status:?}");
    running.appserver().log.wait(&["exit code 7"]).await;
    let failures = [("app", "shop"), ("cause", "worker_died")];
    running.wait_metric("tidegate_app_failures_total", &failures, 1.0).await;
}

#[tokio::test]
async fn a_request_that_ends_every_process_costs_two_at_the_most() {
    let running = slow("poison", &[("processes", "2")]).await;
    running.get("/exit").await.assert_failure(502, "worker_died");
    running.get("/quick").await.assert_text(200, "quick");
    let status = running.status().await;
    let died = status.pool.apps[0].restarts.iter().find(|(reason, _)| *reason == RestartReason::Died).unwrap().1;
    assert!((1..=2).contains(&died), "{died}");
}

#[tokio::test]
async fn workers_die_with_their_supervisor_and_all_is_well_when_it_is_back() {
    let mut running = slow("supervisor", &[("processes", "2")]).await;
    let workers: Vec<u32> = running.workers("shop").await.iter().map(|worker| worker.pid).collect();
    let supervisor = running.appserver.take().unwrap();
    process::kill(supervisor.id());
    eventually("the workers are gone", async || workers.iter().all(|pid| !process::is_alive(*pid)).then_some(())).await;
    drop(supervisor);

    running.get("/quick").await.assert_failure(503, "no_backend");
    running.wait_metric("tidegate_supervisor_connected", &[], 0.0).await;
    running.wait_metric("tidegate_app_up", &[("app", "shop")], 0.0).await;
    running.proxy().log.wait(&["ERROR", "app server gone"]).await;

    running.start_appserver();
    eventually("the app is back", async || (running.get("/quick").await.status == 200).then_some(())).await;
    running.wait_metric("tidegate_backend_up", &[("app", "shop")], 2.0).await;
}

#[tokio::test]
async fn a_killed_proxy_leaves_the_app_side_alone() {
    let mut running = slow("proxy", &[]).await;
    let before = running.get("/pid").await.text();
    running.proxy().kill().await;
    running.proxy = None;
    running.wait_status("the proxy is gone", |status| status.proxy.is_none().then_some(())).await;
    running.start_proxy().await;
    assert_eq!(running.get("/pid").await.text(), before);
    assert_eq!(running.workers("shop").await[0].generation, 1);
}

#[tokio::test]
async fn killing_proxy_and_app_server_leaves_no_python() {
    let mut running = slow("both", &[("processes", "2")]).await;
    let workers: Vec<u32> = running.workers("shop").await.iter().map(|worker| worker.pid).collect();
    let (proxy, supervisor) = (running.proxy.take().unwrap(), running.appserver.take().unwrap());
    process::kill(proxy.id());
    running.wait_status("the proxy is gone", |status| status.proxy.is_none().then_some(())).await;
    assert!(workers.iter().all(|pid| process::is_alive(*pid)), "workers went with the proxy");
    process::kill(supervisor.id());
    eventually("the workers are gone", async || workers.iter().all(|pid| !process::is_alive(*pid)).then_some(())).await;
}
