//! Chains, keys and revocation lists in PEM files, and why a file holds none.

use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::CertificateError;
use crate::certificate::{content, read};

pub(crate) const CHAIN: &str = "a PEM file with `-----BEGIN CERTIFICATE-----`, the server's own certificate first";
const KEY: &str = "a PEM file with `-----BEGIN PRIVATE KEY-----`";
const AUTHORITIES: &str = "a PEM file with `-----BEGIN CERTIFICATE-----` of each authority";
const REVOKED: &str = "a PEM file with `-----BEGIN X509 CRL-----`";

/// A server's chain.
pub(crate) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    certificates(path, CHAIN)
}

/// Authorities that clients' certificates come from.
pub(crate) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    certificates(path, AUTHORITIES)
}

fn certificates(path: &Path, expected: &'static str) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let bytes = read(path)?;
    all(path, &bytes, CertificateDer::pem_slice_iter(text(&bytes)).collect(), "certificate", expected)
}

/// Revocation lists.
pub(crate) fn revoked(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, CertificateError> {
    let bytes = read(path)?;
    let lists = CertificateRevocationListDer::pem_slice_iter(text(&bytes)).collect();
    all(path, &bytes, lists, "revocation list", REVOKED)
}

fn all<T>(
    path: &Path,
    bytes: &[u8],
    found: Result<Vec<T>, pem::Error>,
    what: &str,
    expected: &'static str,
) -> Result<Vec<T>, CertificateError> {
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(content(path, missing(bytes, what), expected)),
        Err(error) => Err(content(path, malformed(&error), expected)),
    }
}

/// An unencrypted private key.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
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

/// Without the byte order mark that Windows editors put at the front, which would hide the first line.
pub(crate) fn text(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// Why a file has none of what is looked for, from how it begins.
fn missing(bytes: &[u8], what: &str) -> String {
    match bytes {
        [] => "the file is empty".to_owned(),
        // An ASN.1 sequence: how DER and PFX files begin.
        [0x30, 0x80..=0x84, ..] => "the file is binary (DER or PFX); a PFX file goes with the key pfx".to_owned(),
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
