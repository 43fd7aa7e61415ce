//! Each program reads its own secrets and leaves the other's alone, so that their accounts need not be able to.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::Site;
use tidegate_tests::program::Program;

/// Neither file can be read as what it is, which shows who reads it.
fn site(name: &str) -> Site {
    let hosts = "[{ names: [\"*\"], basic_auth: { users_file: users }, routes: [{ path: /, app: shop }] }]";
    let site = Site::new(name).app("shop", "mirror:app", &[("environment_file", "secrets.env")]).set("hosts", hosts);
    site.put("secrets.env", "no equals sign\n");
    site.put("users", "no colon\n");
    site.write();
    site
}

/// A program starts, and ends well, when this one file is right.
async fn starts_with(file: &str, content: &str, program: &'static str, says: &str) {
    let site = site(program);
    site.put(file, content);
    let mut program = Program::start(program, &site.config());
    program.log.wait(&[says]).await;
    assert_eq!(program.stop().await.code, Some(0));
}

#[tokio::test]
async fn the_proxy_starts_without_the_secrets_of_apps() {
    let users = "ada:$2b$04$UuTkVsKEU8tgF7tWg/tWBuMgU6lR1n7/VBXLV3ZJWMcmBhMlVxCcO\n";
    starts_with("users", users, "tidegate-proxy", "listening").await;
}

#[tokio::test]
async fn the_app_server_starts_without_the_users_of_the_proxy() {
    starts_with("secrets.env", "TOKEN=1\n", "tidegate-appserver", "app server started").await;
}

#[tokio::test]
async fn a_command_of_the_administrator_reads_both() {
    let site = site("commands");
    let checked = site.tidegate(&["check", "--no-import"]).await;
    assert_eq!(checked.code, 78, "{checked:?}");
    assert!(checked.stderr.contains("secrets.env") && checked.stderr.contains("users"), "{checked:?}");
    // Each program fails for its own.
    for name in ["tidegate-proxy", "tidegate-appserver"] {
        let mut program = Program::start(name, &site.config());
        assert_eq!(program.wait().await.code, Some(78), "{name}");
    }
}
