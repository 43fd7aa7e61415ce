//! Stopping: what runs is finished, what is idle is closed, and nothing stays behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_contract::AppPhase;
use tidegate_tests::wait::eventually;
use tidegate_tests::{Site, process};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_running_request_is_finished_and_idle_connections_are_closed() {
    let mut running = Site::new("drain").app("shop", "slow:app", &[("processes", "2")]).start().await;
    let workers: Vec<u32> = running.workers("shop").await.iter().map(|worker| worker.pid).collect();
    let address = running.http_address();

    let mut idle = running.http().await;
    idle.get("/quick").await.assert_text(200, "quick");
    let mut idle2 = running.http2().await;
    idle2.get("/quick").await.assert_text(200, "quick");
    let mut held = running.http().await;
    held.request("GET", "/hold/kept?gate", &[], b"").await;
    let mut http2 = running.http2().await;
    let held2 = http2.open("GET", "/hold/kept2?gate", &[], false).await;
    running.wait_metric("tidegate_backend_in_flight", &[("app", "shop")], 2.0).await;

    running.proxy().ask_to_stop();
    running.appserver().ask_to_stop();
    assert!(idle.is_closed_by_server().await);
    eventually("new connections are refused", async || TcpStream::connect(address).await.is_err().then_some(())).await;
    running.site.put("gate", "");
    let response = held.response("GET").await;
    response.assert_text(200, "kept");
    assert!(held.is_closed_by_server().await);
    held2.response().await.assert_text(200, "kept2");

    let (proxy, appserver) = running.stop().await;
    assert!(proxy.success() && appserver.success(), "proxy: {proxy}, app server: {appserver}");
    for pid in workers {
        assert!(!process::is_alive(pid), "worker {pid} stays behind");
    }
    running.proxy().log.wait(&["stopped"]).await;
    running.appserver().log.wait(&["app server stopped"]).await;
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_when_the_drain_time_is_over() {
    let mut running = Site::new("over")
        .app("shop", "slow:app", &[("drain_timeout", "500ms")])
        .set("limits", "{ drain_timeout: 500ms }")
        .start()
        .await;
    let mut held = running.http().await;
    held.request("GET", "/forever", &[], b"").await;
    running.wait_metric("tidegate_backend_in_flight", &[("app", "shop")], 1.0).await;
    let (proxy, appserver) = running.stop().await;
    assert!(proxy.success() && appserver.success(), "proxy: {proxy}, app server: {appserver}");
    running.proxy().log.wait(&["WARN", "drain time is over"]).await;
}

#[tokio::test]
async fn an_app_server_that_stops_lets_its_requests_finish() {
    let mut running = Site::new("appserver").app("shop", "slow:app", &[]).start().await;
    let mut held = running.http().await;
    held.request("GET", "/hold/kept?gate", &[], b"").await;
    running.wait_metric("tidegate_backend_in_flight", &[("app", "shop")], 1.0).await;
    running.appserver().ask_to_stop();
    running
        .wait_status("the app server is stopping", |status| {
            (status.pool.apps[0].phase == AppPhase::Stopping).then_some(())
        })
        .await;
    running.get("/quick").await.assert_failure(503, "draining");
    running.site.put("gate", "");
    held.response("GET").await.assert_text(200, "kept");
    let exit = running.appserver().wait().await;
    assert!(exit.success(), "{exit}");
}

#[cfg(unix)]
#[tokio::test]
async fn signals_stop_both_programs_cleanly() {
    for name in ["TERM", "INT"] {
        let mut running = Site::new("signal").app("shop", "slow:app", &[]).start().await;
        running.get("/quick").await.assert_text(200, "quick");
        process::signal(running.proxy().id(), name);
        process::signal(running.appserver().id(), name);
        let (proxy, appserver) = (running.proxy().wait().await, running.appserver().wait().await);
        assert!(proxy.success() && appserver.success(), "proxy: {proxy}, app server: {appserver}");
    }
}
