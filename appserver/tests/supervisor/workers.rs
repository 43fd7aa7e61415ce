//! What happens to workers: deaths, failed starts, silence, condemnation, the end.

use tidegate_appserver::check_imports;
use tidegate_contract::WorkerPhase::{Draining, Ready, Unresponsive};
use tidegate_contract::{AppPhase, FromServer, Role, ToServer};

use crate::harness::{RunningServer, TestSite, fake_worker, is_alive, one_worker, signal};

#[tokio::test]
async fn a_killed_worker_is_replaced_and_counted() {
    let site = TestSite::new("processes: 2");
    let server = RunningServer::start(&site);
    let mut proxy = server.connect(Role::Proxy).await;
    proxy.until("two workers", |app| app.workers.iter().all(|worker| worker.phase == Ready)).await;
    let victim = proxy.worker(1).pid;
    signal("KILL", victim);
    proxy.until("a new worker", |app| app.workers.iter().any(|w| w.generation == 3 && w.phase == Ready)).await;
    assert_eq!((proxy.app().phase, proxy.restarts()), (AppPhase::Ready, vec![("died", 1)]));
    assert_eq!(proxy.worker(3).slot, proxy.app().workers[0].slot);
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn an_app_that_cannot_be_imported_fails_and_recovers_when_repaired() {
    let site = TestSite::new("processes: 1");
    site.behave("import_error");
    let server = RunningServer::start(&site);
    let mut proxy = server.connect(Role::Proxy).await;
    proxy.until("the failure", |app| app.phase == AppPhase::Failed).await;
    assert_eq!(proxy.app().detail.as_deref(), Some("could not import the app: ImportError: nope"));
    site.behave("serve");
    proxy.until("the recovery", |app| app.phase == AppPhase::Ready).await;
    assert_eq!(proxy.app().detail, None);
    assert!(proxy.restarts()[0].0 == "import_failed");
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn starts_that_fail_otherwise_say_why() {
    let cases = [
        ("hang", "was not ready within start_timeout", "start_timeout"),
        ("impostor", "was not ready within start_timeout", "start_timeout"),
        ("old", "speaks protocol 99", "died"),
        ("die", "ended with exit code 3", "died"),
    ];
    for (behaviour, detail, reason) in cases {
        let site = TestSite::new("start_timeout: 1s");
        site.behave(behaviour);
        let server = RunningServer::start(&site);
        let mut proxy = server.connect(Role::Proxy).await;
        proxy.until(behaviour, |app| app.phase == AppPhase::Failed).await;
        let found = proxy.app().detail.clone().unwrap_or_default();
        assert!(found.contains(detail), "{behaviour}: {found}");
        assert_eq!(proxy.restarts()[0].0, reason, "{behaviour}");
        drop(proxy);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_frozen_worker_gets_no_requests_and_is_replaced() {
    let (_site, server, mut proxy) = one_worker("heartbeat_timeout: 2s").await;
    let pid = proxy.worker(1).pid;
    signal("STOP", pid);
    proxy.until_phases(&[(1, Unresponsive)]).await;
    signal("CONT", pid);
    proxy.until_phases(&[(1, Ready)]).await;
    signal("STOP", pid);
    proxy.until_phases(&[(2, Ready)]).await;
    assert_eq!(proxy.restarts(), [("frozen", 1)]);
    assert!(!is_alive(pid));
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn a_condemned_worker_leaves_when_its_replacement_is_ready_and_the_proxy_has_drained_it() {
    let (site, server, mut proxy) = one_worker("processes: 1").await;
    site.order(r#"{"type":"condemned","returned":false}"#);
    signal("USR1", proxy.worker(1).pid);
    proxy.until_phases(&[(1, Draining), (2, Ready)]).await;
    assert_eq!((proxy.restarts(), site.noted("stops").len()), (vec![("timeout", 1)], 0));
    proxy.say(&ToServer::Drained { app: "shop".to_owned(), generation: 1 }).await;
    proxy.until_phases(&[(2, Ready)]).await;
    assert_eq!(site.noted("stops").len(), 1, "it was asked, not killed");
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn a_freed_slot_is_passed_on_to_the_proxy() {
    let (site, server, mut proxy) = one_worker("processes: 1").await;
    site.order(r#"{"type":"slot_back","dispatch":7}"#);
    signal("USR1", proxy.worker(1).pid);
    let expected = FromServer::SlotBack { app: "shop".to_owned(), generation: 1, dispatch: 7 };
    assert_eq!(proxy.hear_other().await, expected);
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn stopping_waits_for_the_proxy_to_drain() {
    let (site, server, mut proxy) = one_worker("processes: 1").await;
    let pid = proxy.worker(1).pid;
    server.signals.send(tidegate_host::Signal::Stop).await.unwrap();
    proxy.until_phases(&[(1, Draining)]).await;
    assert_eq!((proxy.app().phase, is_alive(pid)), (AppPhase::Stopping, true));
    proxy.say(&ToServer::Drained { app: "shop".to_owned(), generation: 1 }).await;
    server.finish().await.unwrap();
    assert!(!is_alive(pid));
    assert_eq!(site.noted("stops").len(), 1);
}

#[tokio::test]
async fn stopping_twice_does_not_wait() {
    let (site, server, mut proxy) = one_worker("drain_timeout: 10m").await;
    let pid = proxy.worker(1).pid;
    server.signals.send(tidegate_host::Signal::Stop).await.unwrap();
    proxy.until_phases(&[(1, Draining)]).await;
    server.stop().await;
    assert_eq!(site.noted("stops").len(), 0);
    drop(proxy);
    // The kill is asynchronous only in that the system collects the process.
    while is_alive(pid) && !is_zombie(pid) {
        tokio::task::yield_now().await;
    }
}

fn is_zombie(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

#[tokio::test]
async fn a_drain_that_takes_too_long_is_ended() {
    let (site, server, _proxy) = one_worker("drain_timeout: 200ms").await;
    server.stop().await;
    assert_eq!(site.noted("stops"), [r#"{"type":"stop","drain_ms":0}"#]);
}

#[tokio::test]
async fn checking_imports_reports_each_app() {
    for (behaviour, expected, good) in [
        ("serve", "shop: ok", true),
        ("import_error", "shop: import failed\nTraceback\nE: x", false),
        ("die", "shop: the worker ended with exit code 3 before it could tell\ndying\nwithout a line's end", false),
    ] {
        let site = TestSite::new("processes: 1");
        site.behave(behaviour);
        let (reports, all_good) = check_imports(&site.load(), &fake_worker()).await;
        assert_eq!((reports.len(), all_good), (1, good), "{reports:?}");
        if good {
            assert!(reports[0].starts_with(expected) && reports[0].contains("python"), "{reports:?}");
        } else {
            assert_eq!(reports[0], expected);
        }
    }
}
