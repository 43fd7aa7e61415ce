//! Listeners that come, go and change with a reload, and how many connections they take.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tidegate_tests::program::Finished;
use tidegate_tests::wait::{bounded, eventually};
use tidegate_tests::{Connection, Running, Site};
use tokio::net::TcpStream;

const HTTP: &str = "{ address: '127.0.0.1:0', protocol: http }";
const HTTPS: &str = "{ address: '127.0.0.1:0', protocol: https }";
const REDIRECT: &str = "{ address: '127.0.0.1:0', protocol: redirect }";

async fn reload(running: &mut Running, key: &str, value: &str) -> Finished {
    running.site.change(key, value);
    running.site.write();
    let finished = running.tidegate(&["reload"]).await;
    running.report = running.status().await.proxy.unwrap();
    finished
}

fn addresses(running: &Running) -> Vec<SocketAddr> {
    running.report.listeners.iter().map(|listener| listener.address.parse().unwrap()).collect()
}

async fn is_refused(address: SocketAddr) -> bool {
    bounded("an answer of the system", TcpStream::connect(address)).await.is_err()
}

#[tokio::test]
async fn listeners_come_go_and_change_while_clients_are_served() {
    let mut running = Site::new("listeners").app("shop", "slow:app", &[("threads", "8")]).start().await;
    let (https, http, redirect) = (running.https_address(), running.http_address(), running.redirect_address());
    let mut idle = running.https().await;
    assert_eq!(idle.get("/pid").await.status, 200);
    let mut held = running.https().await;
    held.request("GET", "/hold/kept?gate", &[], b"").await;
    running.wait_metric("tidegate_backend_in_flight", &[("app", "shop")], 1.0).await;

    let (stop, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    let keep_alive = async || {
        let mut connection = Connection::plain(http).await;
        while !stop.load(Ordering::Relaxed) {
            assert_eq!(connection.get("/pid").await.status, 200);
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let anew = async || {
        while !stop.load(Ordering::Relaxed) {
            assert_eq!(Connection::plain(http).await.get("/pid").await.status, 200);
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let changes = async {
        // Another of each kind, in another order: those from before keep their sockets.
        let more = format!("[{HTTP}, {HTTPS}, {HTTP}, {REDIRECT}]");
        let finished = reload(&mut running, "listeners", &more).await;
        assert_eq!(finished.code, 0, "{finished:?}");
        let now = addresses(&running);
        assert_eq!((now[0], now[1], now[3]), (http, https, redirect));
        assert_eq!(Connection::plain(now[2]).await.get("/pid").await.status, 200);

        let fewer = format!("[{HTTP}]");
        let finished = reload(&mut running, "listeners", &fewer).await;
        assert_eq!(finished.code, 0, "{finished:?}");
        assert_eq!(addresses(&running), [http]);
        for gone in [https, redirect, now[2]] {
            eventually("no longer listening", async || is_refused(gone).await.then_some(())).await;
        }
        assert!(idle.is_closed_by_server().await, "an idle connection of a listener that is gone ends");
        running.site.put("gate", "");
        held.response("GET").await.assert_text(200, "kept");
        assert!(held.is_closed_by_server().await);
        let samples = running.scrape().await;
        let gone = |sample: &&tidegate_tests::metrics::Sample| {
            sample.labels.iter().any(|(_, value)| *value == https.to_string())
        };
        assert_eq!(samples.iter().find(gone), None);
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(changes, keep_alive(), keep_alive(), anew());
    assert!(answered.load(Ordering::Relaxed) > 0);
    assert_eq!(running.metric("tidegate_http_failures_total", &[]).await, 0.0);
}

#[tokio::test]
async fn a_listener_that_cannot_be_bound_changes_nothing_and_names_who_has_the_port() {
    let mut running = Site::new("taken").app("shop", "slow:app", &[]).start().await;
    let before = addresses(&running);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listeners = format!(
        "[{HTTP}, {HTTPS}, {REDIRECT}, {{ address: '127.0.0.1:0', protocol: http }}, {{ address: '{address}', protocol: http }}]"
    );
    let finished = reload(&mut running, "listeners", &listeners).await;
    assert_eq!(finished.code, 1, "{finished:?}");
    let this = format!("(process {})", std::process::id());
    assert!(finished.stderr.contains(&address.to_string()) && finished.stderr.contains(&this), "{finished:?}");
    assert_eq!(addresses(&running), before);
    assert_eq!(running.get("/pid").await.status, 200);

    running.site.change("listeners", &format!("[{HTTP}, {HTTPS}, {REDIRECT}]"));
    let finished = reload(&mut running, "metrics", &address.to_string()).await;
    assert_eq!(finished.code, 1, "{finished:?}");
    drop(taken);
    let finished = reload(&mut running, "metrics", &address.to_string()).await;
    assert_eq!(finished.code, 0, "{finished:?}");
    assert_eq!(running.metrics_address(), address);
    running.wait_metric("tidegate_config_reloads_total", &[("result", "failed")], 2.0).await;
}

#[tokio::test]
async fn one_address_can_change_what_it_speaks() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listeners = |protocol: &str| format!("[{HTTPS}, {{ address: '{port}', protocol: {protocol} }}]");
    let mut running =
        Site::new("change").app("shop", "slow:app", &[]).set("listeners", &listeners("http")).start().await;
    let mut before = running.http().await;
    assert_eq!(before.get("/pid").await.status, 200);
    assert_eq!(reload(&mut running, "listeners", &listeners("redirect")).await.code, 0);
    assert_eq!(Connection::plain(port).await.get("/pid").await.status, 308);
    assert!(before.is_closed_by_server().await, "it came in under what was spoken before");
}

#[tokio::test]
async fn at_the_limit_the_longest_idle_connection_makes_room() {
    let mut running = Site::new("limit").app("shop", "slow:app", &[]).set("limits", "{ connections: 3 }").start().await;
    let mut connections = Vec::new();
    for _ in 0..3 {
        let mut connection = running.http().await;
        assert_eq!(connection.get("/pid").await.status, 200);
        connections.push(connection);
    }
    // The first is used again, so the second has been idle for longest.
    assert_eq!(connections[0].get("/pid").await.status, 200);
    let mut newcomer = running.http().await;
    assert_eq!(newcomer.get("/pid").await.status, 200);
    assert!(connections[1].is_closed_by_server().await);
    assert_eq!(connections[0].get("/pid").await.status, 200);
    assert_eq!(connections[2].get("/pid").await.status, 200);
    running.wait_metric("tidegate_listener_idle_closed_total", &[], 1.0).await;

    // With more room nobody has to go.
    assert_eq!(reload(&mut running, "limits", "{ connections: 100 }").await.code, 0);
    let mut more = Vec::new();
    for _ in 0..10 {
        let mut connection = running.http().await;
        assert_eq!(connection.get("/pid").await.status, 200);
        more.push(connection);
    }
    for connection in connections.iter_mut().take(1).chain(&mut more) {
        assert_eq!(connection.get("/pid").await.status, 200);
    }
    running.wait_metric("tidegate_listener_idle_closed_total", &[], 1.0).await;
}

#[tokio::test]
async fn an_idle_http2_connection_makes_room_too() {
    let running = Site::new("limit2").app("shop", "slow:app", &[]).set("limits", "{ connections: 1 }").start().await;
    let mut idle = running.http2().await;
    assert_eq!(idle.get("/pid").await.status, 200);
    // It stays, so that there is one too many until the other goes.
    let mut newcomer = running.http().await;
    assert_eq!(newcomer.get("/pid").await.status, 200);
    running.wait_metric("tidegate_listener_idle_closed_total", &[], 1.0).await;
}

#[tokio::test]
async fn one_address_has_its_share_unless_it_is_a_trusted_proxy() {
    let mut running =
        Site::new("address").app("shop", "slow:app", &[]).set("limits", "{ connections_per_address: 2 }").start().await;
    let (mut one, two) = (running.http().await, running.http().await);
    assert_eq!(one.get("/pid").await.status, 200);
    let mut third = running.http().await;
    assert!(third.is_closed_by_server().await);
    running.wait_metric("tidegate_listener_refused_total", &[("limit", "address")], 1.0).await;
    drop(two);
    eventually("a place is free again", async || {
        let mut another = running.http().await;
        another.try_send("GET /pid HTTP/1.1\r\nHost: localhost\r\n\r\n").await.ok()?;
        another.try_head("GET").await.map(drop)
    })
    .await;
    assert_eq!(reload(&mut running, "trusted_proxies", "[127.0.0.1]").await.code, 0);
    let mut many = Vec::new();
    for _ in 0..5 {
        let mut connection = running.http().await;
        assert_eq!(connection.get("/pid").await.status, 200);
        many.push(connection);
    }
}

/// As many as a machine that tests has files and patience for.
const CROWD: usize = if cfg!(windows) { 500 } else { 2_000 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_arrives_at_once_is_served() {
    tidegate_host::raise_file_limit().unwrap();
    let running = Site::new("crowd").app("shop", "slow:app", &[("threads", "32")]).start().await;
    let (http, https, tls) = (running.http_address(), running.https_address(), running.tls());
    let clients: Vec<_> = (0..CROWD)
        .map(|number| {
            let tls = tls.clone();
            tokio::spawn(async move {
                let mut connection = match number % 4 {
                    0 => tls.http1(https, "localhost").await,
                    _ => Connection::plain(http).await,
                };
                assert_eq!(connection.get("/pid").await.status, 200);
                connection
            })
        })
        .collect();
    let mut connections = Vec::new();
    for client in clients {
        connections.push(client.await.unwrap());
    }
    // All at once: nobody had to go for another.
    let open = running.metric("tidegate_listener_connections", &[]).await;
    assert!(open >= CROWD as f64, "{open}");
    assert_eq!(running.metric("tidegate_listener_idle_closed_total", &[]).await, 0.0);
    for connection in connections.iter_mut().step_by(97) {
        assert_eq!(connection.get("/pid").await.status, 200);
    }
}
