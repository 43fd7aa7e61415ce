//! A certificate chain with its key, from PEM files.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::CertificateError;

const CHAIN: &str = "a PEM file with `-----BEGIN CERTIFICATE-----`, the server's own certificate first";
const KEY: &str = "a PEM file with `-----BEGIN PRIVATE KEY-----`";

/// A certificate chain that has been found to fit its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Chain and key.
    pub key: Arc<CertifiedKey>,
    /// The names it is for: DNS names in lower case, wildcards as `*.shop.example`, IP addresses.
    pub names: Vec<String>,
    /// End of its validity, in seconds since 1970.
    pub not_after: i64,
    /// The file it came from.
    pub source: String,
    /// Whether it is its own issuer.
    pub self_signed: bool,
}

impl Certificate {
    /// [`Self::not_after`] as `2027-01-31T12:00:00Z`.
    pub fn not_after_text(&self) -> String {
        OffsetDateTime::from_unix_timestamp(self.not_after)
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok())
            .unwrap_or_else(|| self.not_after.to_string())
    }
}

/// Loads a chain, leaf first, and its unencrypted private key. Both may be in one file.
pub fn load(certificate: &Path, key: &Path) -> Result<Certificate, CertificateError> {
    let chain = read_chain(certificate)?;
    let private = read_key(key)?;
    let signing = any_supported_type(&private)
        .map_err(|source| CertificateError::UnsupportedKey { path: key.to_owned(), source })?;
    let certified = CertifiedKey::new(chain, signing);
    let leaf = certified.cert.first().map_or(&[][..], |leaf| leaf.as_ref());
    let Description { names, not_after, self_signed } = describe(leaf, certificate)?;
    if !fits(&certified) {
        let elsewhere = certified
            .cert
            .iter()
            .skip(1)
            .any(|other| fits(&CertifiedKey::new(vec![other.clone()], Arc::clone(&certified.key))));
        return Err(CertificateError::Mismatch {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            hint: if elsewhere { " but to a later one: the server's own certificate must come first" } else { "" },
        });
    }
    let source = certificate.display().to_string();
    Ok(Certificate { key: Arc::new(certified), names, not_after, source, self_signed })
}

fn fits(certified: &CertifiedKey) -> bool {
    match certified.keys_match() {
        // A kind of key that does not tell its public half: a handshake will show.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => true,
        Err(_) => false,
    }
}

/// What a leaf says of itself.
struct Description {
    names: Vec<String>,
    not_after: i64,
    self_signed: bool,
}

fn describe(leaf: &[u8], path: &Path) -> Result<Description, CertificateError> {
    let broken = |problem: String| content(path, problem, CHAIN);
    let (_, parsed) = X509Certificate::from_der(leaf)
        .map_err(|error| broken(format!("the first certificate is malformed ({error})")))?;
    let alternatives = parsed
        .subject_alternative_name()
        .map_err(|error| broken(format!("the first certificate's names are malformed ({error})")))?;
    let names = alternatives.iter().flat_map(|extension| &extension.value.general_names).filter_map(name).collect();
    Ok(Description {
        names,
        not_after: parsed.validity().not_after.timestamp(),
        self_signed: parsed.issuer() == parsed.subject(),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
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

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let bytes = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text(&bytes)).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(content(path, missing(&bytes, "certificate"), CHAIN)),
        Err(error) => Err(content(path, malformed(&error), CHAIN)),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let bytes = read(path)?;
    let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let found = PrivateKeyDer::from_pem_slice(text(&bytes));
    match found {
        Ok(key) => Ok(key),
        // PKCS #8's own encryption, and that of older OpenSSL inside another kind of section.
        Err(_) if has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") => {
            Err(CertificateError::EncryptedKey { path: path.to_owned() })
        }
        Err(pem::Error::NoItemsFound) => Err(content(path, missing(&bytes, "private key"), KEY)),
        Err(error) => Err(content(path, malformed(&error), KEY)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source })
}

/// Without the byte order mark that Windows editors put at the front, which would hide the first line.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// Why a file has none of what is looked for, from how it begins.
fn missing(bytes: &[u8], what: &str) -> String {
    match bytes {
        [] => "the file is empty".to_owned(),
        // An ASN.1 sequence: how DER and PFX files begin.
        [0x30, 0x80..=0x84, ..] => "the file is binary (DER or PFX)".to_owned(),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "the file is in UTF-16".to_owned(),
        _ => format!("there is no {what} in it"),
    }
}

/// The PEM parser's own messages show lines as lists of numbers, and a line may be of a key.
fn malformed(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no END line".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed".to_owned(),
        pem::Error::Base64Decode(_) => "a section is not base64".to_owned(),
        _ => "it cannot be read as PEM".to_owned(),
    }
}

fn content(path: &Path, problem: String, expected: &'static str) -> CertificateError {
    CertificateError::Content { path: path.to_owned(), problem, expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{P256, Scratch, files, made};

    fn message(certificate: &Path, key: &Path) -> String {
        load(certificate, key).unwrap_err().to_string()
    }

    #[test]
    fn a_certificate_says_what_it_is_for_and_until_when() {
        let scratch = Scratch::new();
        let (pem, key) = files(&scratch, "a", &["Shop.Example", "*.shop.example", "127.0.0.1", "::1"], P256);
        let loaded = load(&pem, &key).unwrap();
        assert_eq!(loaded.names, ["shop.example", "*.shop.example", "127.0.0.1", "::1"]);
        assert_eq!(loaded.not_after, 1_900_000_000);
        assert_eq!(loaded.not_after_text(), "2030-03-17T17:46:40Z");
        assert_eq!(loaded.source, pem.display().to_string());
        assert!(loaded.self_signed);
    }

    #[test]
    fn chain_and_key_may_share_a_file_that_starts_with_a_byte_order_mark() {
        let scratch = Scratch::new();
        let (pem, key) = made(&["a.example"], P256);
        let both = scratch.write("both.pem", format!("\u{feff}{pem}{key}").replace('\n', "\r\n"));
        assert_eq!(load(&both, &both).unwrap().names, ["a.example"]);
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
