//! `basic_auth`: who gets in with which password, what the app hears of it, and what it costs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use tidegate_tests::program::executable;
use tidegate_tests::{Running, Site};

/// joe: secret, ann: geheim; Base64 of NAME:PASSWORD below.
const USERS: &str = "# users\n\
    joe:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n\
    ann:$2y$05$abcdefghijklmnopqrstuuVWu8RjbNovPZWAMRdd7iqaaG0mI53Uu\n";
const JOE: &str = "Basic am9lOnNlY3JldA==";
const ANN: &str = "Basic YW5uOmdlaGVpbQ==";
const JOE_WRONG: &str = "Basic am9lOnNlY3JldHM=";
const EVE: &str = "Basic ZXZlOnNlY3JldA==";

const HOSTS: &str = r#"[{ routes: [
    { path: /, app: mirror },
    { path: /staff, app: mirror, basic_auth: { realm: Staff only, users_file: users }, cors: { origins: [https://app.example], credentials: on } },
    { path: /forward, app: mirror, basic_auth: { users_file: users, forward: on } },
    { path: /files, files: static, basic_auth: { users_file: users } }
    ] }]"#;

async fn site(name: &str, users: &str) -> Running {
    Site::new(name)
        .app("mirror", "mirror:app", &[])
        .file("users", users)
        .file("static/a.txt", "a")
        .set("hosts", HOSTS)
        .start()
        .await
}

#[tokio::test]
async fn a_right_password_lets_in_and_names_the_user() {
    let mut running = site("users", USERS).await;
    let mut one = running.https().await;
    let mut two = running.http2().await;
    for sent in [&[][..], &[("authorization", JOE_WRONG)], &[("authorization", EVE)], &[("authorization", "Bearer x")]]
    {
        for response in [one.get_with("/staff/", sent).await, two.get_with("/staff/", sent).await] {
            assert_eq!(response.status, 401, "{sent:?}: {response:?}");
            assert_eq!(response.header("www-authenticate"), Some("Basic realm=\"Staff only\", charset=\"UTF-8\""));
        }
    }
    for (authorization, user) in [(JOE, "joe"), (ANN, "ann"), (JOE, "joe")] {
        let sent = [("authorization", authorization), ("remote-user", "root"), ("remote_user", "root")];
        let environ = one.get_with("/staff/x", &sent).await.json();
        assert_eq!((&environ["REMOTE_USER"], &environ["AUTH_TYPE"]), (&user.into(), &"Basic".into()), "{environ}");
        assert!(environ.get("HTTP_AUTHORIZATION").is_none(), "{environ}");
        two.get_with("/files/a.txt", &[("authorization", authorization)]).await.assert_text(200, "a");
    }
    let environ = one.get_with("/forward/", &[("authorization", JOE)]).await.json();
    assert_eq!((&environ["REMOTE_USER"], &environ["HTTP_AUTHORIZATION"]), (&"joe".into(), &JOE.into()));
    // Without the rule the field is the app's, and no user is named.
    let environ = one.get_with("/", &[("authorization", JOE), ("remote-user", "root")]).await.json();
    assert_eq!((environ.get("REMOTE_USER"), &environ["HTTP_AUTHORIZATION"]), (None, &JOE.into()));
    running.proxy().log.wait(&[" 200 ", "user=joe"]).await;
    running.proxy().log.wait(&["wrong name or password", "user=eve", "client=127.0.0.1"]).await;

    // Browsers ask before they have a password.
    let asks = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
    one.request("OPTIONS", "/staff/", &asks, b"").await;
    assert_eq!(one.response("OPTIONS").await.status, 204);
}

#[tokio::test]
async fn a_page_with_many_files_costs_one_check() {
    let running = site("remembered", USERS).await;
    let mut connection = running.http().await;
    for _ in 0..50 {
        assert_eq!(connection.get_with("/files/a.txt", &[("authorization", JOE)]).await.status, 200);
    }
    for result in [("right", 1.0), ("remembered", 49.0), ("wrong", 0.0)] {
        running.wait_metric("tidegate_passwords_total", &[("result", result.0)], result.1).await;
    }
    for authorization in [JOE_WRONG, EVE] {
        for _ in 0..3 {
            assert_eq!(connection.get_with("/files/a.txt", &[("authorization", authorization)]).await.status, 401);
        }
    }
    running.wait_metric("tidegate_passwords_total", &[("result", "wrong")], 6.0).await;
}

#[tokio::test]
async fn a_changed_password_is_in_force_after_a_reload() {
    let running = site("changed", USERS).await;
    let mut connection = running.http().await;
    assert_eq!(connection.get_with("/files/a.txt", &[("authorization", JOE)]).await.status, 200);
    running.site.put(
        "users",
        USERS
            .replace("2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", "VWu8RjbNovPZWAMRdd7iqaaG0mI53Uu")
            .replace("joe:$2b$04", "joe:$2y$05"),
    );
    assert_eq!(running.tidegate(&["reload"]).await.code, 0);
    assert_eq!(running.http().await.get_with("/files/a.txt", &[("authorization", JOE)]).await.status, 401);
    let changed = running.http().await.get_with("/files/a.txt", &[("authorization", "Basic am9lOmdlaGVpbQ==")]).await;
    assert_eq!(changed.status, 200);
    // A file that is wrong changes nothing.
    running.site.put("users", "joe:plain\n");
    let refused = running.tidegate(&["reload"]).await;
    assert_ne!(refused.code, 0, "{refused:?}");
    assert_eq!(running.http().await.get_with("/files/a.txt", &[("authorization", ANN)]).await.status, 200);
}

#[tokio::test]
async fn the_commands_hash_lets_in_and_a_weak_one_is_refused() {
    let mut child = Command::new(executable("tidegate"))
        .args(["hash-password", "--user", "joe"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"secret\r\nsecond line\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && line.starts_with("joe:$argon2id$v=19$"), "{line}");
    let running = site("hashed", &line).await;
    let mut connection = running.http().await;
    assert_eq!(connection.get_with("/files/a.txt", &[("authorization", JOE)]).await.status, 200);
    assert_eq!(connection.get_with("/files/a.txt", &[("authorization", JOE_WRONG)]).await.status, 401);

    running.site.put("users", "joe:secret\n");
    let checked = running.tidegate(&["check", "--no-import"]).await;
    let said = format!("{}{}", checked.stdout, checked.stderr);
    assert!(checked.code == 78 && said.contains("users:1:1"), "{said}");
    assert!(said.contains("plain text") && said.contains("tidegate hash-password"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}
