//! PFX files as OpenSSL makes them.

use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::testing::{P256, Scratch, files};
use tidegate_site::{CertificateFiles, CertificateSource};

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn load(file: &Path, password: PfxPassword) -> Result<crate::Certificate, CertificateError> {
    let source = CertificateSource::Pfx { file: file.to_owned(), password };
    crate::load(&CertificateFiles { source, ocsp: None })
}

/// A PFX file made by OpenSSL, with another certificate before the site's own.
fn made(scratch: &Scratch, name: &str, password: &str, options: &[&str]) -> PathBuf {
    let (pem, key) = files(scratch, "site", &["shop.example"], P256);
    let (other, _) = files(scratch, "other", &["other.example"], P256);
    let file = scratch.0.join(name);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let password = format!("pass:{password}");
    let (file_text, pem, key, other) = (text(&file), text(&pem), text(&key), text(&other));
    let mut arguments = vec!["pkcs12", "-export", "-out", &file_text, "-in", &pem, "-inkey", &key];
    arguments.extend(["-certfile", &other, "-passout", &password]);
    arguments.extend(options);
    openssl(&arguments);
    file
}

#[test]
#[cfg_attr(windows, ignore = "the openssl program makes the files; what reads them is the same code")]
fn files_of_new_and_old_systems_open_with_their_password() {
    let scratch = Scratch::new();
    let secret = scratch.write("password", "\u{feff}sésame \r\nsecond line\n");
    for (name, options) in [
        ("aes", &["-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC", "-macalg", "sha256"][..]),
        ("3des", &["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"]),
        ("rc2", &["-legacy"]),
        ("nomac", &["-nomac"]),
    ] {
        let file = made(&scratch, name, "sésame ", options);
        let loaded = load(&file, PfxPassword::File(secret.clone())).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(loaded.names, ["shop.example"], "{name}");
        assert_eq!(loaded.key.cert.len(), 1, "{name}: the other certificate is not part of the chain");
        let error = load(&file, PfxPassword::Empty).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("the password is wrong"), "{error}");
    }
    let file = made(&scratch, "open", "", &[]);
    assert_eq!(load(&file, PfxPassword::Empty).unwrap().names, ["shop.example"]);
    let error = load(&file, PfxPassword::Variable("TIDEGATE_TEST_UNSET".to_owned())).unwrap_err().to_string();
    assert!(error.contains("TIDEGATE_TEST_UNSET is not set"), "{error}");
}

#[test]
#[cfg_attr(windows, ignore = "the openssl program makes the files; what reads them is the same code")]
fn a_chain_is_put_together_in_order_and_without_the_root() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.0.join(name).to_str().unwrap().to_owned();
    let extensions = scratch.write("ca.cnf", "basicConstraints=critical,CA:TRUE\n");
    let extensions = extensions.to_str().unwrap();
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=root",
        "-keyout",
        &path("root.key"),
        "-out",
        &path("root.pem"),
    ]);
    for (name, issuer) in [("middle", "root"), ("leaf", "middle")] {
        let (key, request) = (path(&format!("{name}.key")), path("request"));
        openssl(&[
            "req",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            &format!("/CN={name}"),
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        let (ca, ca_key) = (path(&format!("{issuer}.pem")), path(&format!("{issuer}.key")));
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-set_serial",
            "7",
            "-extfile",
            extensions,
            "-out",
            &path(&format!("{name}.pem")),
        ]);
    }
    let both =
        std::fs::read_to_string(path("root.pem")).unwrap() + &std::fs::read_to_string(path("middle.pem")).unwrap();
    let rest = scratch.write("rest.pem", both);
    openssl(&[
        "pkcs12",
        "-export",
        "-out",
        &path("chain.pfx"),
        "-in",
        &path("leaf.pem"),
        "-inkey",
        &path("leaf.key"),
        "-certfile",
        rest.to_str().unwrap(),
        "-passout",
        "pass:",
    ]);
    let loaded = load(Path::new(&path("chain.pfx")), PfxPassword::Empty).unwrap();
    let subjects: Vec<String> =
        loaded.key.cert.iter().map(|one| X509Certificate::from_der(one).unwrap().1.subject().to_string()).collect();
    assert_eq!(subjects, ["CN=leaf", "CN=middle"]);
}

#[test]
fn what_is_no_pfx_file_is_explained() {
    let scratch = Scratch::new();
    let file = scratch.write("bad.pfx", b"-----BEGIN CERTIFICATE-----");
    let error = load(&file, PfxPassword::Empty).unwrap_err().to_string();
    assert!(error.contains("bad.pfx") && error.contains("cannot be read as PKCS #12"), "{error}");
}
