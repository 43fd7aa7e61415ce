//! An upgrade of both programs under load: the service manager holds the listeners, so clients wait and none is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

/// The service control manager of Windows holds no listeners, so all of it is systemd's.
#[cfg(target_os = "linux")]
#[path = "upgrade/systemd.rs"]
mod systemd;

#[cfg(target_os = "linux")]
mod cases {
    use std::process::Stdio;

    use tidegate_tests::Site;
    use tidegate_tests::program::executable;
    use tidegate_tests::wait::{bounded, eventually};
    use tokio::net::TcpStream;

    use super::systemd::Systemd;

    /// Long enough for two upgrades.
    const LOAD_SECONDS: &str = "12";

    /// Users of both kinds: those that keep their connection and those that come anew for each request.
    fn load(url: &str, more: &[&str]) -> tokio::task::JoinHandle<serde_json::Value> {
        let mut command = std::process::Command::new(executable("tidegate-load"));
        command.args(["--json", "--users", "8", "--think", "5", "--hold", LOAD_SECONDS, "--url", url]).args(more);
        command.stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        tokio::task::spawn_blocking(move || {
            let output = child.wait_with_output().unwrap();
            serde_json::from_slice(&output.stdout).unwrap()
        })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_upgrade_under_load_answers_no_request_with_an_error() {
        let site = Site::new("upgrade").app("shop", "slow:app", &[("processes", "2")]);
        let mut systemd = Systemd::install(site, &["http", "https"]).await;
        systemd.start("tidegate-appserver").await;
        systemd.start("tidegate-proxy").await;
        systemd.wait_until_ready().await;

        let [http, https] = [0, 1].map(|at| systemd.addresses[at]);
        let loads = [
            load(&format!("http://{http}/quick"), &[]),
            load(&format!("http://{http}/quick"), &["--close"]),
            load(&format!("https://{https}/quick"), &[]),
            load(&format!("https://{https}/quick"), &["--close"]),
        ];
        for round in 0..2 {
            systemd.wait_for_requests(200.0).await;
            // In the order that `systemctl restart tidegate.target` has from the units: see deploy/linux/postinst.
            systemd.stop("tidegate-proxy").await;
            systemd.stop("tidegate-appserver").await;
            assert!(loads.iter().all(|load| !load.is_finished()), "the load ended before round {round}");
            systemd.start("tidegate-appserver").await;
            systemd.start("tidegate-proxy").await;
        }
        systemd.wait_for_requests(200.0).await;
        for load in loads {
            let report = bounded("the end of the load", load).await.unwrap();
            println!("{report}");
            assert_eq!(report["failed"], 0, "{report}");
            assert!(report["good"].as_u64().unwrap() > 100, "{report}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_comes_while_the_proxy_is_stopped_is_served_by_the_next() {
        let site = Site::new("between").app("shop", "slow:app", &[]);
        let mut systemd = Systemd::install(site, &["http"]).await;
        systemd.start("tidegate-appserver").await;
        systemd.start("tidegate-proxy").await;
        systemd.wait_until_ready().await;
        systemd.stop("tidegate-proxy").await;
        let mut waiting = tidegate_tests::Connection::plain(systemd.addresses[0]).await;
        waiting.request("GET", "/quick", &[], b"").await;
        systemd.stop("tidegate-appserver").await;
        systemd.start("tidegate-appserver").await;
        systemd.start("tidegate-proxy").await;
        waiting.response("GET").await.assert_text(200, "quick");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_listener_of_systemd_leaves_the_site_and_comes_back_with_reloads() {
        let site = Site::new("given").app("shop", "slow:app", &[]);
        let mut systemd = Systemd::install(site, &["http", "http"]).await;
        systemd.start("tidegate-appserver").await;
        systemd.start("tidegate-proxy").await;
        systemd.wait_until_ready().await;
        let second = systemd.addresses[1];
        assert_eq!(systemd.get(second, "/quick").await, 200);
        let both = systemd.listeners();

        // One that systemd does not hold is bound as usual.
        let mut first: Vec<&str> = both.split_inclusive('}').collect();
        let own = "{ address: '127.0.0.1:0', protocol: http }]";
        first.truncate(1);
        systemd.reload(&format!("{}, {own}", first[0])).await;
        systemd.wait_log("tidegate-proxy", &["WARN", "the service manager listens here", &second.to_string()]).await;
        let addresses = systemd.reported().await;
        assert!(addresses.len() == 2 && !addresses.contains(&second), "{addresses:?}");
        assert_eq!(systemd.get(addresses[1], "/quick").await, 200);
        let mut waiting = tidegate_tests::Connection::plain(second).await;
        waiting.request("GET", "/quick", &[], b"").await;

        systemd.reload(&both).await;
        waiting.response("GET").await.assert_text(200, "quick");
        eventually("the own listener is gone", async || TcpStream::connect(addresses[1]).await.is_err().then_some(()))
            .await;
    }
}
