//! `tidegate certificate`, and certificates of the Windows store. Wine has the store, but hands out no private key, so that
//! what is tested there ends with the message about it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::Site;
use tidegate_tests::program::{Finished, tidegate};

async fn certificate(arguments: &[&str]) -> Finished {
    tidegate(["certificate"].iter().chain(arguments).copied()).await
}

fn made(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[tokio::test]
async fn a_file_is_shown_with_its_names_its_time_and_its_key() {
    let (pem, key) = made(&["shop.example", "www.shop.example"]);
    let (other, _) = made(&["desk.example"]);
    let site = Site::new("show").file("shop.pem", &pem).file("shop.key", &key).file("desk.pem", &other);
    let path = |name: &str| site.path(name).display().to_string();

    let shown = certificate(&["show", &path("shop.pem"), "--key", &path("shop.key")]).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    for expected in ["shop.example, www.shop.example", "self-signed", "days left", "thumbprint", "belongs to it"] {
        assert!(shown.stdout.contains(expected), "{expected}: {}", shown.stdout);
    }
    let alone = certificate(&["show", &path("shop.pem")]).await;
    assert!(alone.stdout.contains("--key names it"), "{alone:?}");

    let wrong = certificate(&["show", &path("desk.pem"), "--key", &path("shop.key")]).await;
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(wrong.stderr.contains("does not belong") && wrong.stderr.contains("desk.pem"), "{wrong:?}");
}

#[cfg(not(windows))]
#[tokio::test]
async fn without_a_store_the_command_says_what_there_is_instead() {
    let site = Site::new("nostore").file("shop.pfx", "x");
    let pfx = site.path("shop.pfx").display().to_string();
    let imports =
        [&["import", &*pfx][..], &["import", &*pfx, "--account", "tidegate"], &["import", &*pfx, "--no-grant"]];
    for arguments in [&["list"][..], &["show", "--thumbprint", "AB12"]].into_iter().chain(imports) {
        let finished = certificate(arguments).await;
        assert_eq!(finished.code, 1, "{finished:?}");
        assert!(finished.stderr.contains("only Windows has a certificate store"), "{finished:?}");
    }
}

/// The file was made by `openssl pkcs12 -export`; its password is `tide`. Wine refuses keys for CNG, so that what follows an
/// import is tested beside the code.
#[cfg(windows)]
#[tokio::test]
async fn an_import_that_fails_says_why() {
    let pfx = tidegate_tests::site::package().join("files/store.pfx").display().to_string();
    let unset = certificate(&["import", &*pfx, "--password-variable", "TIDEGATE_NOT_SET"]).await;
    assert_eq!(unset.code, 1, "{unset:?}");
    assert!(unset.stderr.contains("TIDEGATE_NOT_SET is not set"), "{unset:?}");
    let wrong = certificate(&["import", &*pfx]).await;
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(wrong.stderr.contains("the password is wrong"), "{wrong:?}");
}

#[cfg(windows)]
#[tokio::test]
async fn a_thumbprint_that_the_store_does_not_have_is_named() {
    let shown = certificate(&["show", "--thumbprint", &"0".repeat(40), "--store", r"CurrentUser\My"]).await;
    assert_eq!(shown.code, 1, "{shown:?}");
    // A new Wine has no such store yet.
    assert!(
        shown.stderr.contains("no certificate with the thumbprint") || shown.stderr.contains("failed to open"),
        "{shown:?}"
    );
}

#[cfg(windows)]
#[tokio::test]
async fn a_certificate_that_is_not_in_the_store_is_named() {
    let site = Site::new("stored")
        .app("shop", "mirror:app", &[])
        .set("certificates", r"[{ store: 'LocalMachine\My', subject: nobody.tidegate.test }]");
    site.write();
    let checked = site.tidegate(&["check", "--no-import"]).await;
    assert_eq!(checked.code, 1, "{checked:?}");
    // A new Wine has no such store yet.
    let said = checked.stdout + &checked.stderr;
    assert!(said.contains(r"LocalMachine\My"), "{said}");
    assert!(
        said.contains("nobody.tidegate.test: there is none for this name") || said.contains("cannot be read"),
        "{said}"
    );
}

#[cfg(windows)]
#[tokio::test]
async fn services_are_installed_although_the_store_has_no_such_certificate_yet() {
    let site = Site::new("store later")
        .app("shop", "mirror:app", &[])
        .set("certificates", r"[{ store: 'LocalMachine\My', subject: nobody.tidegate.test }]");
    site.write();
    let config = site.config().display().to_string();
    let set = format!("Cs{}", std::process::id());
    let installed = tidegate(["--config", &config, "service", "install", "--name", &set]).await;
    let removed = tidegate(["--config", &config, "service", "uninstall", "--name", &set]).await;
    assert_eq!((installed.code, removed.code), (0, 0), "{installed:?} {removed:?}");
    // Whose key could be granted is not known then.
    assert!(installed.stderr.contains("warning:") && installed.stderr.contains(r"LocalMachine\My"), "{installed:?}");
}
