//! A certificate chain with its key, and what it says of itself.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys};
use tidegate_site::{CertificateFiles, CertificateSource};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{CertificateError, Staple, ocsp, pem, pfx, windows_store};

/// A certificate chain that has been found to fit its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Chain and key.
    pub key: Arc<CertifiedKey>,
    /// The names it is for: DNS names in lower case, wildcards as `*.shop.example`, IP addresses.
    pub names: Vec<String>,
    /// Beginning of its validity, in seconds since 1970.
    pub not_before: i64,
    /// End of its validity, in seconds since 1970.
    pub not_after: i64,
    /// The file it came from, or the store and its thumbprint there.
    pub source: String,
    /// Whether it is its own issuer.
    pub self_signed: bool,
    /// What became of its OCSP response, if it has one.
    pub staple: Option<Staple>,
}

impl Certificate {
    /// [`Self::not_after`] as `2027-01-31T12:00:00Z`.
    pub fn not_after_text(&self) -> String {
        date(self.not_after)
    }

    /// [`Self::not_before`] in the same form.
    pub fn not_before_text(&self) -> String {
        date(self.not_before)
    }

    /// Whether it is for this name or address.
    pub fn covers(&self, name: &str) -> bool {
        covers(&self.names, name)
    }
}

/// Whether one of these names is this one, or a wildcard for it, which stands for one label.
pub(crate) fn covers(names: &[String], name: &str) -> bool {
    let parent = name.split_once('.').map(|(_, parent)| parent);
    names.iter().any(|own| {
        own.eq_ignore_ascii_case(name)
            || own.strip_prefix("*.").is_some_and(|own| parent.is_some_and(|parent| own.eq_ignore_ascii_case(parent)))
    })
}

/// Loads one of the site's certificates with its key and its OCSP response. A response that cannot be used
/// is left out, and [`Certificate::staple`] says why.
pub fn load(files: &CertificateFiles) -> Result<Certificate, CertificateError> {
    load_at(files, OffsetDateTime::now_utc().unix_timestamp())
}

pub(crate) fn load_at(files: &CertificateFiles, now: i64) -> Result<Certificate, CertificateError> {
    let mut certificate = match &files.source {
        CertificateSource::Pem { certificate, key } => load_pem(certificate, key)?,
        CertificateSource::Pfx { file, password } => {
            let (chain, signing) = pfx::load(file, password)?;
            describe(CertifiedKey::new(chain, signing), file)?
        }
        CertificateSource::Store { store, pick } => {
            let (certified, thumbprint) = windows_store::load(store, pick, now)?;
            describe(certified, Path::new(&format!("{store} {thumbprint}")))?
        }
    };
    if let Some(file) = &files.ocsp {
        let (bytes, staple) = ocsp::load(file, certificate.key.cert.first().map_or(&[][..], |leaf| leaf), now);
        if bytes.is_some() {
            let mut key = CertifiedKey::clone(&certificate.key);
            key.ocsp = bytes;
            certificate.key = Arc::new(key);
        }
        certificate.staple = Some(staple);
    }
    Ok(certificate)
}

/// Loads a chain, leaf first, and its unencrypted private key from PEM files. Both may be in one.
pub(crate) fn load_pem(certificate: &Path, key: &Path) -> Result<Certificate, CertificateError> {
    let chain = pem::chain(certificate)?;
    let private = pem::key(key)?;
    let signing = signing(&private, key)?;
    let certified = CertifiedKey::new(chain, signing);
    let described = describe(certified, certificate)?;
    let certified = &described.key;
    if !fits(certified) {
        let elsewhere = certified.cert.iter().skip(1).any(|other| belongs(&certified.key, other));
        return Err(CertificateError::Mismatch {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            hint: if elsewhere { " but to a later one: the server's own certificate must come first" } else { "" },
        });
    }
    Ok(described)
}

/// What signs with a private key.
pub(crate) fn signing(key: &PrivateKeyDer<'_>, path: &Path) -> Result<Arc<dyn SigningKey>, CertificateError> {
    any_supported_type(key).map_err(|source| CertificateError::UnsupportedKey { path: path.to_owned(), source })
}

/// Whether a key is that of a certificate.
pub(crate) fn belongs(key: &Arc<dyn SigningKey>, certificate: &CertificateDer<'static>) -> bool {
    fits(&CertifiedKey::new(vec![certificate.clone()], Arc::clone(key)))
}

fn fits(certified: &CertifiedKey) -> bool {
    match certified.keys_match() {
        // A kind of key that does not tell its public half: a handshake will show.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => true,
        Err(_) => false,
    }
}

fn describe(certified: CertifiedKey, path: &Path) -> Result<Certificate, CertificateError> {
    let leaf = certified.cert.first().map_or(&[][..], |leaf| leaf.as_ref());
    let broken = |problem: String| content(path, problem, pem::CHAIN);
    let (_, parsed) = X509Certificate::from_der(leaf)
        .map_err(|error| broken(format!("the first certificate is malformed ({error})")))?;
    let alternatives = parsed
        .subject_alternative_name()
        .map_err(|error| broken(format!("the first certificate's names are malformed ({error})")))?;
    let names = alternatives.iter().flat_map(|extension| &extension.value.general_names).filter_map(name).collect();
    let validity = parsed.validity();
    let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    let self_signed = parsed.issuer() == parsed.subject();
    Ok(Certificate {
        key: Arc::new(certified),
        names,
        not_before,
        not_after,
        source: path.display().to_string(),
        self_signed,
        staple: None,
    })
}

pub(crate) fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(octets) => {
            let address = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            let address = address.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// A time as people and machines read it.
pub(crate) fn date(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| seconds.to_string())
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source })
}

pub(crate) fn content(path: &Path, problem: String, expected: &'static str) -> CertificateError {
    CertificateError::Content { path: path.to_owned(), problem, expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{P256, Scratch, files, made};

    fn message(certificate: &Path, key: &Path) -> String {
        load_pem(certificate, key).unwrap_err().to_string()
    }

    #[test]
    fn a_certificate_says_what_it_is_for_and_until_when() {
        let scratch = Scratch::new();
        let (pem, key) = files(&scratch, "a", &["Shop.Example", "*.shop.example", "127.0.0.1", "::1"], P256);
        let loaded = load_pem(&pem, &key).unwrap();
        assert_eq!(loaded.names, ["shop.example", "*.shop.example", "127.0.0.1", "::1"]);
        assert_eq!(loaded.not_after, 1_900_000_000);
        assert_eq!(loaded.not_after_text(), "2030-03-17T17:46:40Z");
        assert_eq!(loaded.source, pem.display().to_string());
        assert!(loaded.self_signed);
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        let scratch = Scratch::new();
        let (pem, key) = files(&scratch, "a", &["shop.example", "*.shop.example", "127.0.0.1"], P256);
        let loaded = load_pem(&pem, &key).unwrap();
        for (name, covered) in [
            ("shop.example", true),
            ("SHOP.example", true),
            ("www.shop.example", true),
            ("*.shop.example", true),
            ("a.b.shop.example", false),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("example", false),
        ] {
            assert_eq!(loaded.covers(name), covered, "{name}");
        }
    }

    #[test]
    fn chain_and_key_may_share_a_file_that_starts_with_a_byte_order_mark() {
        let scratch = Scratch::new();
        let (pem, key) = made(&["a.example"], P256);
        let both = scratch.write("both.pem", format!("\u{feff}{pem}{key}").replace('\n', "\r\n"));
        assert_eq!(load_pem(&both, &both).unwrap().names, ["a.example"]);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let scratch = Scratch::new();
        let (pem, _) = files(&scratch, "a", &["a.example"], P256);
        let (other, key) = files(&scratch, "b", &["b.example"], P256);
        let error = message(&pem, &key);
        assert!(error.contains("a.pem") && error.contains("b.key") && error.contains("does not belong"), "{error}");
        assert!(!error.contains("must come first"), "{error}");

        let chain = std::fs::read_to_string(&pem).unwrap() + &std::fs::read_to_string(&other).unwrap();
        let error = message(&scratch.write("chain.pem", chain), &key);
        assert!(error.contains("must come first"), "{error}");
    }

    #[test]
    fn files_that_are_something_else_are_explained() {
        let scratch = Scratch::new();
        let (pem, key) = files(&scratch, "a", &["a.example"], P256);
        let der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (contents, expected) in [
            (&b""[..], "empty"),
            (b"garbage", "no certificate in it"),
            (b"\x30\x82\x01\x02", "DER or PFX"),
            (b"\xFF\xFE-\0", "UTF-16"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "no END line"),
            (b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "not base64"),
            (b"-----BEGIN CERTIFICATE\n", "BEGIN line"),
            (der.as_bytes(), "malformed"),
        ] {
            let file = scratch.write("bad.pem", contents);
            let error = message(&file, &key);
            assert!(error.contains("bad.pem") && error.contains(expected), "{expected}: {error}");
            assert!(error.contains("expected a PEM file"), "{error}");
        }
        let error = message(&pem, &pem);
        assert!(error.contains("no private key in it"), "{error}");
        let error = message(&scratch.0.join("missing.pem"), &key);
        assert!(error.contains("failed to read") && error.contains("missing.pem"), "{error}");
    }

    #[test]
    fn encrypted_and_unusable_keys_are_explained() {
        let scratch = Scratch::new();
        let (pem, _) = files(&scratch, "a", &["a.example"], P256);
        for text in [
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        ] {
            let error = message(&pem, &scratch.write("key.pem", text));
            assert!(error.contains("key.pem") && error.contains("is encrypted"), "{error}");
        }
        let text = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let error = message(&pem, &scratch.write("key.pem", text));
        assert!(error.contains("cannot be used; expected RSA"), "{error}");
    }
}
