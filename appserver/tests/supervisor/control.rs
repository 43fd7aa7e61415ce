//! The control channel: who is let in, and what a command is told.

use tidegate_appserver::RunError;
use tidegate_contract::WorkerPhase::Ready;
use tidegate_contract::{FromServer, ProxyReport, Role, ToServer};

use crate::harness::{RunningServer, TestSite, one_worker};

#[tokio::test]
async fn a_second_app_server_for_the_same_site_is_refused() {
    let site = TestSite::new("processes: 1");
    let server = RunningServer::start(&site);
    server.connect(Role::Command).await;
    let second = RunningServer::start(&site);
    assert!(matches!(second.finish().await, Err(RunError::AlreadyRuns { .. })));
    server.stop().await;
}

#[tokio::test]
async fn a_peer_of_another_protocol_is_told_and_refused() {
    let site = TestSite::new("processes: 1");
    let server = RunningServer::start(&site);
    let mut peer = server.open().await;
    peer.say(&ToServer::Hello { protocol: 99, version: "9".to_owned(), role: Role::Proxy }).await;
    assert!(matches!(peer.hear().await, Some(FromServer::Hello { .. })));
    assert_eq!(peer.hear().await, None);
    server.stop().await;
}

#[tokio::test]
async fn a_newer_proxy_replaces_an_older_one() {
    let (_site, server, mut older) = one_worker("processes: 1").await;
    let mut newer = server.connect(Role::Proxy).await;
    newer.until_phases(&[(1, Ready)]).await;
    while older.hear().await.is_some() {}
    drop(newer);
    server.stop().await;
}

#[tokio::test]
async fn a_command_sees_apps_workers_and_the_proxy() {
    let (_site, server, mut proxy) = one_worker("processes: 1").await;
    let report = ProxyReport { pid: 42, ..ProxyReport::default() };
    proxy.say(&ToServer::Report(report.clone())).await;
    let mut command = server.connect(Role::Command).await;
    let status = loop {
        command.say(&ToServer::Status).await;
        match command.hear().await {
            // The two connections are served side by side.
            Some(FromServer::Status(status)) if status.proxy.is_none() => {}
            Some(FromServer::Status(status)) => break status,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((status.proxy, status.pid), (Some(report), std::process::id()));
    assert_eq!(status.pool.apps[0].workers[0].pid, proxy.worker(1).pid);
    drop(proxy);
    server.stop().await;
}
