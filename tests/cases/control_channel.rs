//! The control channel gives orders, so it listens to the proxy and to commands only, and to no more than a line of them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use tidegate_host::{Endpoint, LocalStream, Output, Spawn, Stdin};
use tidegate_tests::program::Program;
use tidegate_tests::site::{apps, quoted};
use tidegate_tests::wait::bounded;
use tidegate_tests::{Running, Site, program};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::time::Instant;

#[tokio::test]
async fn an_app_cannot_give_orders() {
    let site = Site::new("orders");
    let command = quoted(&program::executable("tidegate").display().to_string());
    let environment = format!("{{ COMMAND: {command}, SITE_FILE: {} }}", quoted(&site.config().display().to_string()));
    let mut running = site.app("shop", "orders:app", &[("environment", &environment)]).start().await;
    let response = running.get("/").await;
    assert_eq!(response.status, 200, "{response:?}");
    let answer = response.json();
    assert_eq!(answer["code"], 1, "{answer}");
    running.appserver().log.wait(&["refused a control connection", "apps give no orders"]).await;
    // The same command, by somebody else.
    assert_eq!(running.tidegate(&["status"]).await.code, 0);
}

/// Whoever had the name first could tell the proxy where to send requests, and lie to administrators.
#[tokio::test]
async fn a_server_of_another_account_is_refused() {
    let site = Site::new("squatted").app("shop", "mirror:app", &[]);
    site.write();
    let name = match tidegate_site::load(&site.config()).unwrap().control_endpoint() {
        Endpoint::Unix(path) => path.display().to_string(),
        Endpoint::Pipe(name) => name,
        other @ Endpoint::Tcp(_) => panic!("{other}"),
    };
    let mut spawn = Spawn::new(program::python());
    spawn.arguments = vec![apps().join("squatter.py").into(), name.into()];
    spawn.stdin = Stdin::Pipe;
    spawn.output = Output::Capture;
    let mut squatter = spawn.start().unwrap();
    let mut said = BufReader::new(squatter.take_stdout().unwrap()).lines();
    let mut wrong = String::new();
    match bounded("the squatter's word", said.next_line()).await.unwrap().as_deref() {
        Some("listening") => {}
        // Only root can become another user, and Windows lets nobody but administrators pretend to be another account.
        other => {
            let _ = bounded("its end", squatter.take_stderr().unwrap().read_to_string(&mut wrong)).await;
            assert!(wrong.contains("PermissionError") || other == Some("refused 1307"), "{other:?} {wrong}");
            eprintln!("not tried: this account cannot act as another");
            return;
        }
    }
    let expected = [format!("process {} of ", squatter.id()), "expected".to_owned()];

    let status = site.tidegate(&["status"]).await;
    assert_eq!(status.code, 1, "{status:?}");
    assert!(expected.iter().all(|text| status.stderr.contains(text)), "{status:?}");

    let mut proxy = Program::start("tidegate-proxy", &site.config());
    proxy.log.wait(&[&expected[0], &expected[1], "no app server"]).await;
    assert_eq!(proxy.log.find(&["connected to the app server"]), Vec::<String>::new());
    proxy.stop().await;
    squatter.kill().unwrap();
    bounded("the squatter's end", squatter.wait()).await.unwrap();
}

/// An app's code has the app server's account, which may exchange its files.
#[cfg(unix)]
#[tokio::test]
async fn a_control_socket_that_is_exchanged_is_noticed() {
    let mut running = Site::new("exchanged").app("shop", "mirror:app", &[]).start().await;
    let Endpoint::Unix(path) = tidegate_site::load(&running.site.config()).unwrap().control_endpoint() else {
        panic!()
    };
    std::fs::remove_file(&path).unwrap();
    let _false = std::os::unix::net::UnixListener::bind(&path).unwrap();
    running.appserver().log.wait(&["ERROR", "another program of this account has taken the control socket"]).await;
    // The proxy has its connection, and the site serves.
    assert_eq!(running.get("/").await.status, 200);
}

async fn connect(running: &Running) -> LocalStream {
    let endpoint: Endpoint = tidegate_site::load(&running.site.config()).unwrap().control_endpoint();
    tidegate_host::connect(&endpoint, Instant::now() + Duration::from_secs(30)).await.unwrap()
}

/// What comes until the other end closes.
async fn rest(mut stream: LocalStream) -> String {
    let mut text = Vec::new();
    // A reset is an end too.
    let _ = bounded("the channel's end", stream.read_to_end(&mut text)).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_line_that_does_not_end_is_not_kept() {
    let running = Site::new("lines").app("shop", "mirror:app", &[]).start().await;
    let endless = vec![b'x'; 200 << 10];

    let mut stranger = connect(&running).await;
    // It may be closed before all of it is written.
    let _ = stranger.write_all(&endless).await;
    assert_eq!(rest(stranger).await, "");

    let mut command = connect(&running).await;
    let hello = tidegate_contract::ToServer::Hello {
        protocol: tidegate_contract::PROTOCOL,
        version: "0".to_owned(),
        role: tidegate_contract::Role::Command,
    };
    let hello = serde_json::to_string(&hello).unwrap() + "\n";
    command.write_all(hello.as_bytes()).await.unwrap();
    let _ = command.write_all(&endless).await;
    let answer = rest(command).await;
    assert!(!answer.contains("status"), "{answer}");

    assert_eq!(running.tidegate(&["status"]).await.code, 0);
    assert_eq!(running.get("/").await.status, 200);
}
