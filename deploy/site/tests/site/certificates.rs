//! Certificates, TLS settings and clients' certificates in a site file.

use std::time::Duration;

use crate::files::Directory;
use tidegate_site::*;

#[test]
fn certificates_come_from_pem_and_pfx_files() {
    let directory = Directory::new();
    for name in ["certs/site.pfx", "certs/password", "certs/site.ocsp", "certs/ca.pem", "certs/ca.crl"] {
        directory.write(name, b"");
    }
    let site = directory
        .load(
            "app: a:b
tls: { profile: modern, watch: 1m }
listeners:
  - { address: 127.0.0.1:1, protocol: https, client_certificates: { ca: certs/ca.pem, mode: optional, crl: certs/ca.crl } }
certificates:
  - { certificate: certs/site.pem, key: certs/site.key, ocsp: certs/site.ocsp }
  - { pfx: certs/site.pfx, password_file: certs/password }
  - { pfx: certs/site.pfx, password_variable: SHOP_PFX }
  - { pfx: certs/site.pfx }",
        )
        .unwrap();
    let path = |name: &str| directory.path().join("certs").join(name);
    assert_eq!(site.tls, Tls { profile: TlsProfile::Modern, watch: Some(Duration::from_secs(60)) });
    let pfx =
        |password| CertificateFiles { source: CertificateSource::Pfx { file: path("site.pfx"), password }, ocsp: None };
    let source = CertificateSource::Pem { certificate: path("site.pem"), key: path("site.key") };
    let expected = [
        CertificateFiles { source, ocsp: Some(path("site.ocsp")) },
        pfx(PfxPassword::File(path("password"))),
        pfx(PfxPassword::Variable("SHOP_PFX".to_owned())),
        pfx(PfxPassword::Empty),
    ];
    assert_eq!(site.certificates, expected);
    let files: Vec<_> = expected.iter().flat_map(CertificateFiles::files).collect();
    let names = ["site.pem", "site.key", "site.ocsp", "site.pfx", "password", "site.pfx", "site.pfx"];
    assert_eq!(files, names.map(path).iter().collect::<Vec<_>>());
    let clients = ClientCertificates {
        authorities: path("ca.pem"),
        mode: ClientCertificateMode::Optional,
        revoked: Some(path("ca.crl")),
    };
    assert_eq!(site.listeners[0].client_certificates, Some(clients));
    assert_eq!(directory.load("app: a:b\ntls: { watch: off }").unwrap().tls.watch, None);
}

#[test]
fn wrong_certificates_say_what_was_expected_and_never_a_password() {
    for (setting, expected) in [
        (
            "certificates: certs/site.pem",
            "certificates: \"certs/site.pem\": expected a list of { certificate: FILE, key: FILE }, { pfx: FILE } or { store: NAME, subject: NAME }",
        ),
        (
            "certificates: [{ certificate: certs/site.pem }]",
            "certificates[0].key: missing: expected a PEM file with the private key",
        ),
        (
            "certificates: [{ pfx: certs/site.pem, key: certs/site.key }]",
            "certificates[0].key: expected only without pfx, which holds both",
        ),
        (
            "certificates: [{ certificate: certs/site.pem, key: certs/site.key, password_file: secret }]",
            "certificates[0].password_file: expected only with pfx",
        ),
        (
            "certificates: [{ pfx: certs/site.pem, password_variable: 'hunter 2' }]",
            "certificates[0].password_variable: expected the name of an environment variable of the proxy, such as SHOP_PFX_PASSWORD",
        ),
        (
            "certificates: [{ pfx: certs/site.pem, password_variable: A, password_file: certs/site.key }]",
            "certificates[0].password_variable: \"A\": expected either this or password_file",
        ),
        (
            "certificates: [{ pfx: certs/site.pem, password: hunter2 }]",
            "certificates[0].password: unknown key: did you mean \"password_file\"?",
        ),
        ("tls: { profile: old }", "tls.profile: \"old\": expected modern or intermediate"),
        ("tls: { watch: 10ms }", "tls.watch: \"10ms\": expected a duration from 100ms to 24h"),
        (
            "listeners: [{ address: 127.0.0.1:1, protocol: http, client_certificates: { ca: certs/site.pem, mode: required } }]",
            "listeners[0].client_certificates: a table: expected only with protocol: https",
        ),
        (
            "listeners: [{ address: 127.0.0.1:1, protocol: https, client_certificates: { ca: certs/site.pem } }]",
            "listeners[0].client_certificates.mode: missing: expected required or optional",
        ),
    ] {
        let problems = Directory::new().problems(format!("app: a:b\n{setting}"));
        assert_eq!(problems, [expected], "{setting}");
    }
}

#[cfg(not(windows))]
#[test]
fn a_certificate_store_is_there_on_windows_only() {
    let directory = Directory::new();
    let problems = directory.problems("app: a:b\ncertificates: [{ store: 'LocalMachine\\My', subject: shop.example }]");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("certificates[0].store") && problems[0].contains("only Windows"), "{problems:?}");
}

#[test]
#[cfg_attr(not(windows), ignore = "the key is refused where there is no store")]
fn certificates_come_from_the_windows_store() {
    let directory = Directory::new();
    let thumbprint = "0123456789abcdef0123456789ABCDEF01234567";
    let site = directory
        .load(format!(
            "app: a:b
certificates:
  - {{ store: 'LocalMachine\\My', subject: shop.example }}
  - {{ store: CurrentUser\\My, thumbprint: \"\u{200e}01 23 45 67 89 ab cd ef 01 23 45 67 89 AB CD EF 01 23 45 67\" }}
  - {{ store: LocalMachine\\WebHosting, thumbprint: {thumbprint} }}"
        ))
        .unwrap();
    let source = |store: &str, pick| CertificateFiles {
        source: CertificateSource::Store { store: store.parse().unwrap(), pick },
        ocsp: None,
    };
    let pick = || StorePick::Thumbprint(thumbprint.to_ascii_uppercase());
    let expected = [
        source(r"LocalMachine\My", StorePick::Subject("shop.example".to_owned())),
        source(r"CurrentUser\My", pick()),
        source(r"LocalMachine\WebHosting", pick()),
    ];
    assert_eq!(site.certificates, expected);
    assert!(site.secrets().is_empty());
}

#[test]
#[cfg_attr(not(windows), ignore = "the key is refused where there is no store")]
fn what_is_wrong_with_a_store_is_told() {
    let directory = Directory::new();
    for (keys, problem) in [
        ("store: My, subject: a.example", "expected a certificate store such as"),
        ("store: LocalMachine\\My", "expected thumbprint or subject beside it"),
        ("store: LocalMachine\\My, thumbprint: 12ab", "forty hexadecimal digits"),
        ("store: LocalMachine\\My, subject: \"CN=a\"", "a name that the certificate is for"),
        (
            "store: LocalMachine\\My, subject: a, thumbprint: 0123456789abcdef0123456789ABCDEF01234567",
            "expected either this or thumbprint",
        ),
        ("store: LocalMachine\\My, subject: a, pfx: certs/site.pem", "expected only without store"),
        ("certificate: certs/site.pem, key: certs/site.key, subject: a", "expected only with store"),
    ] {
        let problems = directory.problems(format!("app: a:b\ncertificates: [{{ {keys} }}]"));
        assert!(problems.iter().any(|found| found.contains(problem)), "{keys}: {problems:?}");
    }
}
