//! Certificates for this crate's tests.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
use time::OffsetDateTime;

use crate::Certificate;
use crate::certificate::load_pem as load;

pub(crate) const P256: &SignatureAlgorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
pub(crate) const ED25519: &SignatureAlgorithm = &rcgen::PKCS_ED25519;

/// A directory of a test's own, removed at its end.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tg-certs-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// PEM of a new self-signed certificate and of its key.
pub(crate) fn made(names: &[&str], algorithm: &'static SignatureAlgorithm) -> (String, String) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

pub(crate) fn files(
    scratch: &Scratch,
    stem: &str,
    names: &[&str],
    algorithm: &'static SignatureAlgorithm,
) -> (PathBuf, PathBuf) {
    let (pem, key) = made(names, algorithm);
    (scratch.write(&format!("{stem}.pem"), pem), scratch.write(&format!("{stem}.key"), key))
}

pub(crate) fn certificate(names: &[&str], algorithm: &'static SignatureAlgorithm) -> Certificate {
    let scratch = Scratch::new();
    let (pem, key) = files(&scratch, "a", names, algorithm);
    load(&pem, &key).unwrap()
}
