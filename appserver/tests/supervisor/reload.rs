//! Reloads: what is committed, and that failures change nothing.

use tidegate_contract::WorkerPhase::{Draining, Ready};
use tidegate_contract::{FromServer, Role, ToServer};
use tidegate_host::Signal;

use crate::harness::{Peer, RunningServer, TestSite, one_worker, phases};

async fn done(command: &mut Peer) -> (Vec<String>, Option<String>) {
    let mut progress = Vec::new();
    loop {
        match command.hear().await {
            Some(FromServer::Progress { text }) => progress.push(text),
            Some(FromServer::Done { error }) => return (progress, error),
            other => panic!("{other:?}"),
        }
    }
}

/// Answers the next `Prepare`; returns the reload's number and the digest.
async fn prepare(proxy: &mut Peer, error: Option<&str>) -> (u64, String) {
    match proxy.hear_other().await {
        FromServer::Prepare { reload, digest } => {
            proxy.say(&ToServer::Prepared { reload, error: error.map(str::to_owned) }).await;
            (reload, digest)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reload_commits_new_workers_and_drains_the_old_ones() {
    let (site, server, mut proxy) = one_worker("processes: 1").await;
    site.configure("processes: 2");
    let mut command = server.connect(Role::Command).await;
    command.say(&ToServer::Reload).await;
    let (reload, digest) = prepare(&mut proxy, None).await;
    assert_eq!(digest, site.load().digest);
    match proxy.hear_other().await {
        FromServer::Commit { reload: committed, pool } => {
            assert_eq!(committed, reload);
            assert_eq!(phases(&pool.apps[0]), [(2, Ready), (3, Ready), (1, Draining)]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(phases(proxy.app()), [(1, Ready)], "no state overtook the commit");
    let (progress, error) = done(&mut command).await;
    assert_eq!((progress.len(), error), (5, None), "{progress:?}");
    assert_eq!(progress[..2], ["configuration checked", "proxy prepared"]);
    assert!(progress[2].starts_with("app shop: worker "), "{progress:?}");
    proxy.say(&ToServer::Drained { app: "shop".to_owned(), generation: 1 }).await;
    proxy.until_phases(&[(2, Ready), (3, Ready)]).await;
    assert_eq!(proxy.restarts(), [("reload", 1)]);
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn a_reload_whose_app_fails_to_import_changes_nothing() {
    let (site, server, mut proxy) = one_worker("processes: 1").await;
    site.behave("import_error");
    let mut command = server.connect(Role::Command).await;
    command.say(&ToServer::Reload).await;
    let (reload, _) = prepare(&mut proxy, None).await;
    assert_eq!(proxy.hear_other().await, FromServer::Abort { reload });
    let (_, error) = done(&mut command).await;
    let error = error.unwrap();
    assert!(error.contains("ImportError: nope") && error.contains("Traceback\n  here"), "{error}");
    assert_eq!((phases(proxy.app()), proxy.restarts()), (vec![(1, Ready)], vec![]));
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn a_reload_that_the_proxy_refuses_starts_no_worker() {
    let (site, server, mut proxy) = one_worker("processes: 1").await;
    proxy.say(&ToServer::Reload).await;
    let (reload, _) = prepare(&mut proxy, Some("no such certificate")).await;
    assert_eq!(proxy.hear_other().await, FromServer::Abort { reload });
    assert_eq!(site.noted("launches").len(), 1);
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn a_bad_file_changes_nothing() {
    let site = TestSite::new("processes: 1");
    let server = RunningServer::start(&site);
    let mut command = server.connect(Role::Command).await;
    site.configure("processes: many");
    command.say(&ToServer::Reload).await;
    let (progress, error) = done(&mut command).await;
    assert!(progress.is_empty());
    assert!(error.unwrap().contains("processes"));
    server.stop().await;
}

#[tokio::test]
async fn a_second_reload_is_refused_while_one_runs() {
    let (_site, server, mut proxy) = one_worker("processes: 1").await;
    server.signals.send(Signal::Reload).await.unwrap();
    // It runs now, until this proxy answers.
    let FromServer::Prepare { reload, .. } = proxy.hear_other().await else { panic!("expected a prepare") };
    let mut command = server.connect(Role::Command).await;
    command.say(&ToServer::Reload).await;
    assert_eq!(done(&mut command).await, (vec![], Some("another reload is running".to_owned())));
    proxy.say(&ToServer::Prepared { reload, error: None }).await;
    assert!(matches!(proxy.hear_other().await, FromServer::Commit { .. }));
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn a_proxy_that_leaves_during_a_reload_ends_it() {
    let (_site, server, mut proxy) = one_worker("processes: 1").await;
    let mut command = server.connect(Role::Command).await;
    command.say(&ToServer::Reload).await;
    assert!(matches!(proxy.hear_other().await, FromServer::Prepare { .. }));
    drop(proxy);
    let (_, error) = done(&mut command).await;
    assert_eq!(error.as_deref(), Some("the proxy's connection broke during the reload"));
    server.stop().await;
}

#[tokio::test]
async fn stopping_ends_a_reload() {
    let (site, server, proxy) = one_worker("start_timeout: 10m").await;
    drop(proxy);
    site.behave("hang");
    let mut command = server.connect(Role::Command).await;
    command.say(&ToServer::Reload).await;
    assert!(matches!(command.hear().await, Some(FromServer::Progress { .. })));
    server.stop().await;
}
