//! Chain and key from a PFX file (PKCS #12), as Windows exports them: with AES (PBES2) or, from older
//! systems, with 3DES and RC2. The order of what is in it means nothing, so the chain is put together here.

use std::env::{self, VarError};
use std::path::Path;
use std::sync::Arc;

use p12_keystore::Pkcs12Archive;
use p12_keystore::error::Error as Pkcs12Error;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey;
use tidegate_site::PfxPassword;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::CertificateError;
use crate::certificate::{belongs, content, read, signing};
use crate::pem::text;

const EXPECTED: &str = "a PFX (PKCS #12) file with one private key and its certificate";

/// Chain, leaf first, and what signs for it.
pub(crate) fn load(
    file: &Path,
    password: &PfxPassword,
) -> Result<(Vec<CertificateDer<'static>>, Arc<dyn SigningKey>), CertificateError> {
    let bytes = read(file)?;
    let password = self::password(file, password)?;
    let archive = Pkcs12Archive::from_pkcs12(&bytes, &password).map_err(|error| match error {
        Pkcs12Error::MacError(_) => CertificateError::PfxPassword { path: file.to_owned() },
        // Without a signature over the file a wrong password shows as nonsense.
        Pkcs12Error::Pkcs5Error(_) | Pkcs12Error::UnpadError => CertificateError::PfxPassword { path: file.to_owned() },
        Pkcs12Error::UnsupportedEncryptionScheme | Pkcs12Error::UnsupportedMacAlgorithm => content(
            file,
            "it is encrypted in a way that is not supported".to_owned(),
            "AES (as Windows exports it with \"AES256-SHA256\") or 3DES",
        ),
        _ => content(file, "it cannot be read as PKCS #12".to_owned(), EXPECTED),
    })?;
    let [key] = &archive.keys[..] else {
        let problem = match archive.keys.len() {
            0 => "there is no private key in it (was it exported without?)".to_owned(),
            many => format!("there are {many} private keys in it"),
        };
        return Err(content(file, problem, EXPECTED));
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.key.as_der().to_vec()));
    let signing = signing(&key, file)?;
    let all: Vec<CertificateDer<'static>> =
        archive.certs.iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect();
    let Some(leaf) = all.iter().find(|certificate| belongs(&signing, certificate)) else {
        return Err(content(file, "there is no certificate for its private key in it".to_owned(), EXPECTED));
    };
    Ok((chain(leaf, &all), signing))
}

/// From the leaf to the last issuer that clients do not have themselves: not the root.
fn chain(leaf: &CertificateDer<'static>, all: &[CertificateDer<'static>]) -> Vec<CertificateDer<'static>> {
    let mut chain = vec![leaf.clone()];
    // Every step takes another one, so there are no more steps than certificates.
    while let Some(issuer) = chain.last().and_then(|last| issuer_of(last, all)) {
        if chain.contains(issuer) {
            break;
        }
        chain.push(issuer.clone());
    }
    chain
}

fn issuer_of<'a>(of: &CertificateDer<'_>, all: &'a [CertificateDer<'static>]) -> Option<&'a CertificateDer<'static>> {
    let (_, of) = X509Certificate::from_der(of).ok()?;
    all.iter().find(|candidate| {
        X509Certificate::from_der(candidate)
            .is_ok_and(|(_, candidate)| candidate.subject() == of.issuer() && candidate.issuer() != candidate.subject())
    })
}

fn password(file: &Path, password: &PfxPassword) -> Result<String, CertificateError> {
    match password {
        PfxPassword::Empty => Ok(String::new()),
        PfxPassword::File(path) => {
            let bytes = read(path)?;
            let line = text(&bytes).split(|&byte| byte == b'\n').next().unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match std::str::from_utf8(line) {
                Ok("") => Err(content(path, "its first line is empty".to_owned(), "the password in the first line")),
                Ok(line) => Ok(line.to_owned()),
                Err(_) => {
                    Err(content(path, "its first line is not UTF-8".to_owned(), "the password in the first line"))
                }
            }
        }
        PfxPassword::Variable(name) => env::var(name).map_err(|error| CertificateError::PfxVariable {
            path: file.to_owned(),
            name: name.clone(),
            problem: match error {
                VarError::NotPresent => "is not set",
                VarError::NotUnicode(_) => "is not text",
            },
        }),
    }
}

#[cfg(test)]
mod tests {
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
            let loaded =
                load(&file, PfxPassword::File(secret.clone())).unwrap_or_else(|error| panic!("{name}: {error}"));
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
}
