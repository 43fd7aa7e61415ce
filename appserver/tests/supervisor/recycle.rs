//! Workers that are replaced although nothing is wrong with them, and what a new one has to do first.

use tidegate_contract::WorkerPhase::{Draining, Ready};
use tidegate_contract::{AppPhase, FromServer, ProxyReport, Role, ToServer};

use crate::harness::{RunningServer, TestSite};

#[tokio::test]
async fn a_worker_that_has_served_enough_is_replaced_by_one_that_is_ready_before() {
    let site = TestSite::new("recycle: { requests: 100 }");
    site.behave("serve requests=111");
    let server = RunningServer::start(&site);
    let mut proxy = server.connect(Role::Proxy).await;
    proxy.until_phases(&[(1, Draining), (2, Ready)]).await;
    assert_eq!(proxy.restarts(), [("requests", 1)]);
    proxy.say(&ToServer::Drained { app: "shop".to_owned(), generation: 1 }).await;
    proxy.until_phases(&[(2, Ready)]).await;
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn a_worker_is_recycled_after_its_time() {
    let site = TestSite::new("recycle: { lifetime: 200ms }");
    let server = RunningServer::start(&site);
    let mut proxy = server.connect(Role::Proxy).await;
    proxy.until("a replacement", |app| app.workers.iter().any(|worker| worker.generation >= 2)).await;
    assert_eq!(proxy.restarts()[0].0, "lifetime");
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn a_worker_shows_its_python_its_memory_and_its_processor_time() {
    let site = TestSite::new("processes: 1");
    let server = RunningServer::start(&site);
    let mut proxy = server.connect(Role::Proxy).await;
    let is_known = |app: &tidegate_contract::AppState| {
        app.workers.iter().any(|worker| worker.memory_bytes > 1 << 20 && worker.cpu_ms > 0 && worker.python == "3.0.0")
    };
    proxy.until("figures", is_known).await;
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn a_worker_is_ready_when_its_warm_up_was_answered() {
    let site = TestSite::new("warm_up: [/health, \"/login?a=b\"]");
    site.behave("serve answer=404");
    let server = RunningServer::start(&site);
    let mut proxy = server.connect(Role::Proxy).await;
    proxy.until_phases(&[(1, Ready)]).await;
    let requests = site.noted("requests");
    let lines: Vec<_> = requests.iter().filter(|line| line.starts_with("GET ")).collect();
    assert_eq!(lines, ["GET /health HTTP/1.1", "GET /login?a=b HTTP/1.1"]);
    let header = requests.iter().find_map(|line| line.strip_prefix("x-tidegate: ")).unwrap();
    let dispatch = tidegate_contract::Dispatch::parse(header).unwrap();
    assert_eq!((dispatch.number, dispatch.request_id.as_str()), (0, "warm-up"));
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn a_failed_warm_up_is_a_failed_start_and_says_which_request() {
    for (behaviour, says) in [
        ("serve answer=503", "failed its warm-up and was killed: GET /health was answered 503"),
        ("serve", "failed its warm-up and was killed: GET /health failed:"),
    ] {
        let site = TestSite::new("warm_up: [/health]");
        site.behave(behaviour);
        let server = RunningServer::start(&site);
        let mut proxy = server.connect(Role::Proxy).await;
        proxy.until("the failure", |app| app.phase == AppPhase::Failed).await;
        let detail = proxy.app().detail.clone().unwrap_or_default();
        assert!(detail.starts_with(says), "{detail}");
        assert_eq!(proxy.restarts()[0].0, "warm_up_failed");
        drop(proxy);
        server.stop().await;
    }
}

#[tokio::test]
async fn an_app_that_holds_a_lock_is_stopped_before_it_is_started_again() {
    let site = TestSite::new("replace: stop_first");
    site.behave("serve lock=held");
    let server = RunningServer::start(&site);
    let mut proxy = server.connect(Role::Proxy).await;
    proxy.until_phases(&[(1, Ready)]).await;

    proxy.say(&ToServer::Reload).await;
    let FromServer::Prepare { reload, .. } = proxy.hear_other().await else { panic!("no prepare") };
    proxy.say(&ToServer::Prepared { reload, error: None }).await;
    proxy.until_phases(&[(1, Draining)]).await;
    assert_eq!(proxy.app().phase, AppPhase::Ready, "requests wait");
    proxy.say(&ToServer::Drained { app: "shop".to_owned(), generation: 1 }).await;
    let FromServer::Commit { pool, .. } = proxy.hear_other().await else { panic!("no commit") };
    proxy.pool = pool;
    proxy.until_phases(&[(2, Ready)]).await;
    assert_eq!(proxy.restarts(), [("reload", 1)]);

    // What cannot be started brings the old one back.
    site.behave("import_error");
    proxy.say(&ToServer::Reload).await;
    let FromServer::Prepare { reload, .. } = proxy.hear_other().await else { panic!("no prepare") };
    proxy.say(&ToServer::Prepared { reload, error: None }).await;
    proxy.until_phases(&[(2, Draining)]).await;
    proxy.say(&ToServer::Drained { app: "shop".to_owned(), generation: 2 }).await;
    let FromServer::Abort { reload: aborted } = proxy.hear_other().await else { panic!("no abort") };
    assert_eq!(aborted, reload);
    site.behave("serve lock=held");
    proxy.until("the old pool's next worker", |app| app.workers.iter().any(|worker| worker.phase == Ready)).await;
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn a_proxy_that_missed_a_commit_is_brought_to_the_same_file() {
    let site = TestSite::new("processes: 1");
    let server = RunningServer::start(&site);
    let mut proxy = server.connect(Role::Proxy).await;
    let digest = site.load().digest;
    proxy.say(&ToServer::Report(ProxyReport { digest: "older".to_owned(), ..ProxyReport::default() })).await;
    let FromServer::Prepare { reload, digest: wanted } = proxy.hear_other().await else { panic!("no prepare") };
    assert_eq!(wanted, digest);
    proxy.say(&ToServer::Prepared { reload, error: None }).await;
    assert!(matches!(proxy.hear_other().await, FromServer::Commit { reload: committed, .. } if committed == reload));

    // One that serves by the same file, and one that cannot follow, are left alone.
    for (digest, error) in [(digest, None), ("newer".to_owned(), Some("changed meanwhile"))] {
        let mut proxy = server.connect(Role::Proxy).await;
        proxy.say(&ToServer::Report(ProxyReport { digest, ..ProxyReport::default() })).await;
        if let Some(error) = error {
            let FromServer::Prepare { reload, .. } = proxy.hear_other().await else { panic!("no prepare") };
            proxy.say(&ToServer::Prepared { reload, error: Some(error.to_owned()) }).await;
            assert!(matches!(proxy.hear_other().await, FromServer::Abort { .. }));
        }
        proxy.until_phases(&[(1, Ready)]).await;
    }
    drop(proxy);
    server.stop().await;
}
