//! A start that imports the apps for one command, answers it and ends.

use std::path::Path;

use tidegate_appserver::errand;
use tidegate_contract::{Errand, FromServer, Role, ToServer};
use tidegate_host::{Endpoint, Signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::harness::{Peer, TestSite, fake_worker, is_alive, soon};

struct Running {
    endpoint: Endpoint,
    signals: mpsc::Sender<Signal>,
    task: JoinHandle<std::io::Result<()>>,
}

fn start(site: &TestSite) -> Running {
    let (signals, receiver) = mpsc::channel(4);
    let endpoint = Endpoint::local(site.file().parent().unwrap_or(Path::new("")), &Errand::new(7).endpoint_name());
    let (at, file) = (endpoint.clone(), site.file());
    let task = tokio::spawn(async move { errand::run(&at, &file, &fake_worker(), receiver).await });
    Running { endpoint, signals, task }
}

#[tokio::test]
async fn one_command_is_told_how_the_imports_went_and_that_is_all() {
    for (behaviour, file, good, expected) in [
        ("serve", None, true, "shop: ok"),
        ("import_error", None, false, "shop: import failed"),
        // Read under the account that may not read it, say.
        ("serve", Some("apps: 5\n"), false, "apps"),
    ] {
        let site = TestSite::new("processes: 1");
        site.behave(behaviour);
        if let Some(text) = file {
            std::fs::write(site.file(), text).unwrap();
        }
        let running = start(&site);
        // Who asks for something else is not who it is for.
        Peer::open(&running.endpoint).await.greeted(Role::Command).await.say(&ToServer::Status).await;
        drop(Peer::open(&running.endpoint).await.greeted(Role::Proxy).await);
        let mut command = Peer::open(&running.endpoint).await.greeted(Role::Command).await;
        command.say(&ToServer::CheckImports).await;
        let Some(FromServer::Progress { text }) = command.hear().await else { panic!("{behaviour}: no report") };
        assert!(text.contains(expected), "{text}");
        let own = tidegate_host::machine::own_account();
        assert_eq!(command.hear().await, Some(FromServer::Imported { account: own, good }));
        drop(command);
        soon("its end", running.task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn it_ends_when_it_is_to_stop_and_when_its_command_goes() {
    for told in [true, false] {
        let site = TestSite::new("processes: 1");
        site.behave("hang");
        let running = start(&site);
        let mut command = Peer::open(&running.endpoint).await.greeted(Role::Command).await;
        command.say(&ToServer::CheckImports).await;
        let started = async {
            while site.noted("pids").is_empty() {
                tokio::task::yield_now().await;
            }
        };
        soon("a worker", started).await;
        let kept = if told {
            running.signals.send(Signal::Stop).await.unwrap();
            Some(command)
        } else {
            drop(command);
            None
        };
        soon("its end", running.task).await.unwrap().unwrap();
        let pid: u32 = site.noted("pids")[0].parse().unwrap();
        let gone = async {
            while is_alive(pid) {
                tokio::task::yield_now().await;
            }
        };
        soon("the worker's end", gone).await;
        drop(kept);
    }
}
