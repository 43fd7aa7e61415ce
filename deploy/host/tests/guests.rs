//! Sockets of a program whose proxy has an account of its own. A process trusts accounts once, so this is one test alone.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

mod scratch;

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};
use std::time::Duration;

use scratch::Scratch;
use tidegate_host::{Audience, Endpoint, LocalListener, LocalStream, machine, trust_accounts, trusted_accounts};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(30);

/// Connects and waits for the end.
const CLIENT: &str = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.recv(1)";

/// A client of this account that has the socket's group, as a service has it by its unit.
fn client(account: &str, path: &str) -> Child {
    let mut command = Command::new("setpriv");
    command.args([
        &format!("--reuid={account}"),
        "--regid=0",
        "--clear-groups",
        "/usr/bin/python3",
        "-c",
        CLIENT,
        path,
    ]);
    command.spawn().unwrap()
}

async fn accepted(listener: &mut LocalListener) -> LocalStream {
    timeout(LONG, listener.accept()).await.unwrap().unwrap()
}

#[tokio::test]
async fn guests_of_the_group_come_in_by_their_account_alone() {
    let scratch = Scratch::new();
    trust_accounts(&["nobody".to_owned(), "root".to_owned(), machine::own_account()]).unwrap();
    assert_eq!(trusted_accounts().len(), 1, "this account and root are not guests: {:?}", trusted_accounts());
    let endpoints = ["control", "worker", "channel"].map(|name| Endpoint::local(&scratch.0.join("sockets"), name));
    let audiences = [Audience::Commands, Audience::Proxy, Audience::Workers];
    let mut listeners: Vec<LocalListener> = endpoints
        .iter()
        .zip(audiences)
        .map(|(endpoint, audience)| LocalListener::bind(endpoint, audience).unwrap())
        .collect();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for (endpoint, expected) in endpoints.iter().zip([0o660, 0o660, 0o600]) {
        let Endpoint::Unix(path) = endpoint else { panic!("{endpoint}") };
        assert_eq!(mode(path), expected, "{endpoint}");
    }
    assert_eq!(mode(&scratch.0.join("sockets")), 0o750);
    if !machine::is_administrator() {
        return println!("only root can be another account");
    }
    std::fs::set_permissions(&scratch.0, PermissionsExt::from_mode(0o755)).unwrap();
    for (at, audience) in audiences.into_iter().enumerate().take(2) {
        let Endpoint::Unix(path) = &endpoints[at] else { panic!() };
        for (account, welcome) in [("nobody", true), ("daemon", false), ("root", true)] {
            let mut child = client(account, path.to_str().unwrap());
            let stream = accepted(&mut listeners[at]).await;
            let checked = stream.check_client(audience);
            assert_eq!(checked.is_ok(), welcome, "{account} at {audience:?}: {checked:?}");
            drop(stream);
            assert!(child.wait().unwrap().success());
        }
    }
}
