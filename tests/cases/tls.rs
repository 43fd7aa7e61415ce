//! Certificates and TLS: what is presented to whom, what is found without a reload, and what OpenSSL makes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[cfg(unix)]
use std::path::Path;

use tidegate_tests::authority::{Authority, Pair};
use tidegate_tests::client::Tls;
#[cfg(unix)]
use tidegate_tests::program::run;
use tidegate_tests::wait::eventually;
use tidegate_tests::{Running, Site};

/// The files of one certificate.
fn put(site: &Site, name: &str, pair: &Pair) {
    site.put(&format!("{name}.pem"), &pair.certificate);
    site.put(&format!("{name}.key"), &pair.key);
}

async fn with(name: &str, pair: &Pair, tls: &str) -> Running {
    let site = Site::new(name)
        .app("shop", "mirror:app", &[])
        .set("certificates", "[{ certificate: site.pem, key: site.key }]")
        .set("tls", tls);
    put(&site, "site", pair);
    site.start().await
}

#[tokio::test]
async fn each_name_gets_its_certificate_and_others_the_first() {
    let authority = Authority::new("test");
    let pairs = [&["first.example"][..], &["*.shop.example", "shop.example"], &["www.shop.example"]]
        .map(|names| authority.server(names));
    let site = Site::new("sni").app("shop", "mirror:app", &[]).set(
        "certificates",
        "[{ certificate: 0.pem, key: 0.key }, { certificate: 1.pem, key: 1.key }, { certificate: 2.pem, key: 2.key }]",
    );
    for (number, pair) in pairs.iter().enumerate() {
        put(&site, &number.to_string(), pair);
    }
    let running = site.start().await;
    for (name, expected) in [
        ("first.example", 0),
        ("unknown.example", 0),
        ("127.0.0.1", 0),
        ("shop.example", 1),
        ("a.shop.example", 1),
        ("a.b.shop.example", 0),
        ("www.shop.example", 2),
    ] {
        let tls = Tls::trusting(&[&pairs[expected].certificate]);
        let mut connection = tls.http1(running.https_address(), name).await;
        assert_eq!(connection.get("/").await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_found_without_a_reload_and_connections_stay() {
    let authority = Authority::new("test");
    let (old, new) = (authority.server(&["localhost"]), authority.server(&["localhost"]));
    let running = with("renewed", &old, "{ watch: 100ms }").await;
    let tls = Tls::trusting(&[&old.certificate, &new.certificate]);
    let mut http1 = tls.http1(running.https_address(), "localhost").await;
    let mut http2 = tls.http2(running.https_address(), "localhost").await;
    assert_eq!(http1.get("/").await.status, 200);
    put(&running.site, "site", &new);
    eventually("the new certificate is presented", async || {
        let after = tls.http1(running.https_address(), "localhost").await;
        (after.presented != http1.presented).then_some(())
    })
    .await;
    assert_eq!(http1.get("/").await.status, 200, "old connections go on");
    assert_eq!(http2.get("/").await.status, 200, "old connections go on");
    running.wait_metric("tidegate_certificate_reloads_total", &[("result", "ok")], 1.0).await;
    // What `tidegate status` shows has changed as well.
    let expected = running.scrape().await;
    assert!(expected.iter().any(|sample| sample.name == "tidegate_certificate_expiry_timestamp_seconds"));
}

#[tokio::test]
async fn what_cannot_be_loaded_leaves_the_old_in_use_and_is_told_once() {
    let authority = Authority::new("test");
    let (old, new) = (authority.server(&["localhost"]), authority.server(&["localhost"]));
    let mut running = with("broken", &old, "{ watch: 100ms }").await;
    let tls = Tls::trusting(&[&old.certificate, &new.certificate]);
    // A certificate without its key.
    running.site.put("site.pem", &new.certificate);
    running.wait_metric("tidegate_certificate_reload_failed", &[], 1.0).await;
    let before = tls.http1(running.https_address(), "localhost").await.presented;
    assert!(Tls::trusting(&[&old.certificate]).knows(&before.unwrap()));
    running.proxy().log.wait(&["ERROR", "cannot be loaded", "does not belong"]).await;
    // A file that is written again with the same content is not another change.
    running.site.put("site.pem", &new.certificate);
    running.site.put("site.key", &new.key);
    running.wait_metric("tidegate_certificate_reload_failed", &[], 0.0).await;
    let after = tls.http1(running.https_address(), "localhost").await.presented;
    assert!(Tls::trusting(&[&new.certificate]).knows(&after.unwrap()));
    assert_eq!(running.proxy().log.find(&["cannot be loaded"]).len(), 1);
    running.wait_metric("tidegate_certificate_reloads_total", &[("result", "failed")], 1.0).await;
}

#[tokio::test]
async fn check_and_the_log_say_what_is_wrong_with_certificates_and_who_has_a_port() {
    let authority = Authority::new("test");
    let (one, other) = (authority.server(&["shop.example"]), authority.server(&["shop.example"]));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let site = Site::new("check")
        .file("static/index.html", "")
        .file("one.pem", &one.certificate)
        .file("one.key", &one.key)
        .file("other.key", &other.key)
        .file("ca.pem", "nothing")
        .set("certificates", "[{ certificate: one.pem, key: one.key }]")
        .set("listeners", "[{ address: '127.0.0.1:0', protocol: https }, { address: '127.0.0.1:0', protocol: http }]")
        .set("hosts", "[{ names: [shop.example, desk.example], routes: [{ path: /, files: static }] }]");
    let mut running = site.start().await;
    running.proxy().log.wait(&["WARN", "no certificate is for this host", "desk.example"]).await;
    let checked = running.tidegate(&["check", "--no-import"]).await;
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(
        checked.stdout.contains("none is for desk.example") && !checked.stdout.contains("for shop.example:"),
        "{checked:?}"
    );

    running.site.change("certificates", "[{ certificate: one.pem, key: other.key }]");
    running.site.change(
        "listeners",
        &format!(
            "[{{ address: '{address}', protocol: https, client_certificates: {{ ca: ca.pem, mode: optional }} }}]"
        ),
    );
    running.site.write();
    let checked = running.tidegate(&["check", "--no-import"]).await;
    assert_ne!(checked.code, 0, "{checked:?}");
    for expected in [
        "one.pem",
        "does not belong to the first certificate",
        "ca.pem: there is no certificate in it",
        &format!("{address}: "),
        &format!("(process {})", std::process::id()),
    ] {
        assert!(checked.stdout.contains(expected), "{expected}: {checked:?}");
    }
}

/// `openssl s_client` on the site; what it printed.
#[cfg(unix)]
async fn s_client(running: &Running, arguments: &[&str]) -> String {
    let address = running.https_address().to_string();
    let mut all = vec!["s_client", "-connect", &address, "-servername", "localhost"];
    all.extend(arguments);
    let done = run("openssl", all, Some(running.site.directory()), &[]).await;
    done.stdout + &done.stderr
}

#[cfg(unix)]
async fn openssl(directory: &Path, arguments: &[&str]) {
    let done = run("openssl", arguments.iter().copied(), Some(directory), &[]).await;
    assert_eq!(done.code, 0, "{done:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn profiles_speak_the_versions_they_say() {
    let authority = Authority::new("test");
    let pair = authority.server(&["localhost"]);
    for (profile, tls12) in [("modern", false), ("intermediate", true)] {
        let running = with(profile, &pair, &format!("{{ profile: {profile} }}")).await;
        for (version, spoken) in [("-tls1_3", true), ("-tls1_2", tls12), ("-tls1_1", false), ("-tls1", false)] {
            let said = s_client(&running, &[version, "-cipher", "ALL:@SECLEVEL=0"]).await;
            assert_eq!(said.contains("\nNew, TLSv1."), spoken, "{profile} {version}: {said}");
        }
        // Without forward secrecy or authentication there is nothing to agree on.
        let said =
            s_client(&running, &["-tls1_2", "-cipher", "AES128-SHA:AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA"]).await;
        assert!(said.contains("Cipher is (NONE)"), "{said}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn sessions_resume_by_ticket_and_from_the_cache_and_over_a_renewal() {
    let authority = Authority::new("test");
    let pair = authority.server(&["localhost"]);
    let running = with("resume", &pair, "{ watch: 100ms }").await;
    for (options, how) in [(&["-tls1_2"][..], "ticket"), (&["-tls1_2", "-no_ticket"], "cache")] {
        let mut all = options.to_vec();
        all.push("-reconnect");
        let said = s_client(&running, &all).await;
        assert_eq!(said.matches("\nReused, TLSv1.2").count(), 5, "{how}: {said}");
    }
    // Tickets of TLS 1.3 come after the handshake: a request makes the client wait for them.
    running.site.put("request", "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let session = async |arguments: &str| {
        let command = format!(
            "openssl s_client -connect {} -servername localhost -tls1_3 -ign_eof {arguments} <request",
            running.https_address()
        );
        let done = run("sh", ["-c", &command], Some(running.site.directory()), &[]).await;
        done.stdout + &done.stderr
    };
    assert!(session("-sess_out session").await.contains("\nNew, TLSv1.3"));
    let said = session("-sess_in session").await;
    assert!(said.contains("\nReused, TLSv1.3") && said.contains("200 OK"), "{said}");
    // The renewal of a certificate is nothing that sessions are about.
    put(&running.site, "site", &authority.server(&["localhost"]));
    running.wait_metric("tidegate_certificate_reloads_total", &[("result", "ok")], 1.0).await;
    assert!(session("-sess_in session").await.contains("\nReused, TLSv1.3"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_pfx_file_with_its_password_in_a_file_is_served() {
    let authority = Authority::new("test");
    let pair = authority.server(&["localhost"]);
    let site = Site::new("pfx")
        .app("shop", "mirror:app", &[])
        .set("certificates", "[{ pfx: site.pfx, password_file: secret }]");
    put(&site, "site", &pair);
    site.put("secret", "horse battery\n");
    let export =
        ["pkcs12", "-export", "-in", "site.pem", "-inkey", "site.key", "-out", "site.pfx", "-passout", "file:secret"];
    openssl(site.directory(), &export).await;
    let mut running = site.start().await;
    let tls = Tls::trusting(&[&pair.certificate]);
    assert_eq!(tls.http1(running.https_address(), "localhost").await.get("/").await.status, 200);

    running.site.put("secret", "wrong\n");
    let checked = running.tidegate(&["check", "--no-import"]).await;
    assert!(checked.stdout.contains("the password is wrong"), "{checked:?}");
    assert!(!checked.stdout.contains("horse"));
    let (proxy, _) = running.stop().await;
    assert!(proxy.success());
}

#[cfg(unix)]
#[tokio::test]
async fn an_ocsp_response_is_stapled_while_it_is_current_and_for_the_certificate() {
    let authority = Authority::new("test");
    let (pair, other) = (authority.server(&["localhost"]), authority.server(&["other.example"]));
    let site = Site::new("ocsp")
        .app("shop", "mirror:app", &[])
        .file("ca.pem", &authority.certificate)
        .file("ca.key", &authority.key)
        .file("index", "")
        .set("tls", "{ watch: 100ms }")
        .set("certificates", "[{ certificate: site.pem, key: site.key, ocsp: site.ocsp }]");
    put(&site, "site", &pair);
    put(&site, "other", &other);
    let directory = site.directory().to_owned();
    let respond = async |name: &str| {
        let (pem, request) = (format!("{name}.pem"), format!("{name}.request"));
        openssl(&directory, &["ca", "-valid", &pem, "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key"])
            .await;
        openssl(&directory, &["ocsp", "-issuer", "ca.pem", "-cert", &pem, "-reqout", &request, "-no_nonce"]).await;
        let response = format!("{name}.ocsp");
        openssl(
            &directory,
            &[
                "ocsp", "-index", "index", "-rsigner", "ca.pem", "-rkey", "ca.key", "-CA", "ca.pem", "-reqin",
                &request, "-respout", &response, "-ndays", "1",
            ],
        )
        .await;
    };
    site.put("ca.cnf", "[ca]\ndefault_ca = x\n[x]\ndatabase = index\ndefault_md = sha256\nunique_subject = no\n");
    respond("site").await;
    respond("other").await;
    let mut running = site.start().await;
    let said = s_client(&running, &["-status"]).await;
    assert!(said.contains("OCSP Response Status: successful") && said.contains("Cert Status: good"), "{said}");

    let wrong = std::fs::read(running.site.path("other.ocsp")).unwrap();
    running.site.put("site.ocsp", wrong);
    running.proxy().log.wait(&["WARN", "OCSP response left out", "another certificate"]).await;
    eventually("nothing is stapled", async || {
        s_client(&running, &["-status"]).await.contains("OCSP response: no response sent").then_some(())
    })
    .await;
}
