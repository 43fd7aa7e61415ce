//! Listeners that ask clients for a certificate: who is let in, what the app learns, and what nobody can claim.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::authority::{Authority, Pair};
use tidegate_tests::client::Tls;
use tidegate_tests::wait::eventually;
use tidegate_tests::{Connection, Running, Site};

struct Bench {
    authority: Authority,
    server: Pair,
    running: Running,
}

impl Bench {
    async fn start(name: &str, clients: &str) -> Self {
        let authority = Authority::new("staff");
        let server = authority.server(&["localhost"]);
        let running = Site::new(name)
            .app("shop", "mirror:app", &[])
            .file("site.pem", &server.certificate)
            .file("site.key", &server.key)
            .file("ca.pem", &authority.certificate)
            .file("ca.crl", authority.revoked(&[66]))
            .set("certificates", "[{ certificate: site.pem, key: site.key }]")
            .set("tls", "{ watch: 100ms }")
            .set(
                "listeners",
                &format!(
                    "[{{ address: '127.0.0.1:0', protocol: https, client_certificates: {{ ca: ca.pem, {clients} }} }}, \
                     {{ address: '127.0.0.1:0', protocol: http }}]"
                ),
            )
            .start()
            .await;
        Self { authority, server, running }
    }

    fn nobody(&self) -> Tls {
        Tls::trusting(&[&self.server.certificate])
    }

    fn client(&self, pair: &Pair) -> Tls {
        self.nobody().showing(&pair.certificate, &pair.key)
    }

    /// A connection, if a request on it is answered: with TLS 1.3 a client learns of its refusal after its handshake.
    async fn enter(&self, tls: &Tls) -> Option<Connection> {
        let (stream, presented) = tls.connect(self.running.https_address(), "localhost", &["http/1.1"]).await.ok()?;
        let mut connection = Connection::over(stream, "localhost", Some(presented));
        connection.try_send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.ok()?;
        connection.try_head("GET").await?;
        while connection.piece().await.is_some() {}
        Some(connection)
    }
}

#[tokio::test]
async fn the_app_learns_who_is_there_and_strangers_are_refused() {
    let mut bench = Bench::start("required", "mode: required, crl: ca.crl").await;
    let ada = bench.authority.client("Ada, Countess", 0x5a);
    let spoofed = [
        ("SSL-Client-Verify", "SUCCESS"),
        ("SSL_CLIENT_S_DN", "CN=root"),
        ("X-SSL-Client-S-DN", "CN=root"),
        ("x_ssl_client_verify", "SUCCESS"),
    ];
    for http2 in [false, true] {
        let tls = bench.client(&ada);
        let response = if http2 {
            let spoofed: Vec<(String, &str)> =
                spoofed.iter().map(|(name, value)| (name.to_ascii_lowercase(), *value)).collect();
            let spoofed: Vec<(&str, &str)> = spoofed.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            tls.http2(bench.running.https_address(), "localhost").await.get_with("/", &spoofed).await
        } else {
            tls.http1(bench.running.https_address(), "localhost").await.get_with("/", &spoofed).await
        };
        let seen = response.json();
        assert_eq!(seen["SSL_CLIENT_VERIFY"], "SUCCESS");
        assert_eq!(seen["SSL_CLIENT_S_DN"], "CN=Ada\\, Countess,O=Shop");
        assert_eq!(seen["SSL_CLIENT_S_DN_CN"], "Ada, Countess");
        assert_eq!(seen["SSL_CLIENT_I_DN"], "CN=staff");
        assert_eq!(seen["SSL_CLIENT_M_SERIAL"], "5A");
        assert_eq!(seen["SSL_CLIENT_FINGERPRINT"].as_str().unwrap().len(), 64);
        let claims: Vec<&String> = seen.as_object().unwrap().keys().filter(|key| key.contains("SSL_CLIENT")).collect();
        assert_eq!(claims.len(), 6, "{claims:?}");
    }

    bench.running.proxy().log.wait(&["GET / HTTP/1.1", "certificate=CN=Ada\\\\,\\x20Countess,O=Shop"]).await;
    assert!(bench.enter(&bench.nobody()).await.is_none(), "without a certificate");
    let stranger = Authority::new("staff").client("Ada", 1);
    assert!(bench.enter(&bench.client(&stranger)).await.is_none(), "from an authority of the same name");
    let revoked = bench.authority.client("Eve", 66);
    assert!(bench.enter(&bench.client(&revoked)).await.is_none(), "revoked");

    // A listener that does not ask says nothing.
    let plain = bench.running.http().await.get_with("/", &spoofed).await.json();
    assert!(!plain.as_object().unwrap().keys().any(|key| key.contains("SSL_CLIENT")), "{plain}");
}

#[tokio::test]
async fn optional_lets_clients_in_without_one_but_never_with_a_wrong_one() {
    let bench = Bench::start("optional", "mode: optional").await;
    let seen = bench.nobody().http1(bench.running.https_address(), "localhost").await.get("/").await.json();
    assert_eq!(seen["SSL_CLIENT_VERIFY"], "NONE");
    assert_eq!(seen.get("SSL_CLIENT_S_DN"), None);
    let ada = bench.authority.client("Ada", 1);
    let seen = bench.client(&ada).http1(bench.running.https_address(), "localhost").await.get("/").await.json();
    assert_eq!(seen["SSL_CLIENT_S_DN_CN"], "Ada");
    let stranger = Authority::new("other").client("Ada", 1);
    assert!(bench.enter(&bench.client(&stranger)).await.is_none());
}

#[tokio::test]
async fn a_revoked_client_is_out_within_seconds_and_so_is_its_connection() {
    let bench = Bench::start("revoked", "mode: required, crl: ca.crl").await;
    let (ada, eve) = (bench.authority.client("Ada", 1), bench.authority.client("Eve", 2));
    let mut kept = bench.enter(&bench.client(&eve)).await.unwrap();
    bench.running.site.put("ca.crl", bench.authority.revoked(&[66, 2]));
    eventually("Eve is refused", async || bench.enter(&bench.client(&eve)).await.is_none().then_some(())).await;
    assert!(kept.is_closed_by_server().await, "her connection has come in under the list before");
    assert!(bench.enter(&bench.client(&ada)).await.is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn sessions_resume_with_their_identity_and_not_across_a_changed_demand() {
    use tidegate_tests::program::run;

    let mut bench = Bench::start("tickets", "mode: optional").await;
    let ada = bench.authority.client("Ada", 1);
    bench.running.site.put("ada.pem", &ada.certificate);
    bench.running.site.put("ada.key", &ada.key);
    bench.running.site.put("request", "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let session = async |running: &Running, arguments: &str| {
        let command = format!(
            "openssl s_client -connect {} -servername localhost -ign_eof {arguments} <request",
            running.https_address()
        );
        let done = run("sh", ["-c", &command], Some(running.site.directory()), &[]).await;
        done.stdout + &done.stderr
    };
    for version in ["-tls1_2", "-tls1_3"] {
        let first = format!("{version} -cert ada.pem -key ada.key -sess_out with{version}");
        assert!(session(&bench.running, &first).await.contains("\"SSL_CLIENT_S_DN_CN\": \"Ada\""));
        let resumed = session(&bench.running, &format!("{version} -sess_in with{version}")).await;
        assert!(resumed.contains("\nReused,") && resumed.contains("\"SSL_CLIENT_S_DN_CN\": \"Ada\""), "{resumed}");
        let without = session(&bench.running, &format!("{version} -sess_out without{version}")).await;
        assert!(without.contains("\"SSL_CLIENT_VERIFY\": \"NONE\""), "{without}");
    }
    let listeners = "[{ address: '127.0.0.1:0', protocol: https, client_certificates: { ca: ca.pem, mode: required } }, \
                     { address: '127.0.0.1:0', protocol: http }]";
    bench.running.site.change("listeners", listeners);
    bench.running.site.write();
    assert_eq!(bench.running.tidegate(&["reload"]).await.code, 0);
    for version in ["-tls1_2", "-tls1_3"] {
        for ticket in ["with", "without"] {
            let said = session(&bench.running, &format!("{version} -sess_in {ticket}{version}")).await;
            assert!(!said.contains("\nReused,") && !said.contains("200 OK"), "{said}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn curl_shows_its_certificate() {
    use tidegate_tests::program::run;

    let bench = Bench::start("curl", "mode: required").await;
    let ada = bench.authority.client("Ada", 1);
    bench.running.site.put("ada.pem", &ada.certificate);
    bench.running.site.put("ada.key", &ada.key);
    let url = format!("https://localhost:{}/", bench.running.https_address().port());
    let common = ["--silent", "--show-error", "--ipv4", "--cacert", "ca.pem", &url];
    let refused = run("curl", common, Some(bench.running.site.directory()), &[]).await;
    assert_ne!(refused.code, 0, "{refused:?}");
    let shown = common.into_iter().chain(["--cert", "ada.pem", "--key", "ada.key"]);
    let done = run("curl", shown, Some(bench.running.site.directory()), &[]).await;
    assert!(done.stdout.contains("\"SSL_CLIENT_S_DN\": \"CN=Ada,O=Shop\""), "{done:?}");
}
