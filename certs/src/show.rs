//! A file of certificates, for showing it: with its key where there is one, and without.

use std::path::Path;

use tidegate_site::{CertificateFiles, CertificateSource, PfxPassword};

use crate::certificate::read;
use crate::{CertificateError, Facts, load, pem};

/// What is in a file of certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The chain, the server's own certificate first.
    pub chain: Vec<Facts>,
    /// Whether there was a private key, which then belongs to the first.
    pub has_key: bool,
}

/// Reads a PEM or PFX file. The key of a PEM file is in `key`, or in the file itself, or there is none; one that does not
/// belong to the certificate is an error.
pub fn show(file: &Path, key: Option<&Path>, password: &PfxPassword) -> Result<Shown, CertificateError> {
    let bytes = read(file)?;
    let is_pfx = bytes.first() == Some(&DER_SEQUENCE);
    let holds_key = bytes.windows(KEY.len()).any(|window| window == KEY);
    let source = if is_pfx {
        CertificateSource::Pfx { file: file.to_owned(), password: password.clone() }
    } else if let Some(key) = key.or(holds_key.then_some(file)) {
        CertificateSource::Pem { certificate: file.to_owned(), key: key.to_owned() }
    } else {
        let chain = pem::chain(file)?;
        return Ok(Shown { chain: chain.iter().filter_map(|one| Facts::read(one)).collect(), has_key: false });
    };
    let loaded = load(&CertificateFiles { source, ocsp: None })?;
    Ok(Shown { chain: loaded.key.cert.iter().filter_map(|one| Facts::read(one)).collect(), has_key: true })
}

/// How every DER file of this kind begins; text never does.
const DER_SEQUENCE: u8 = 0x30;
const KEY: &[u8] = b"PRIVATE KEY-----";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{P256, Scratch, files};

    #[test]
    fn a_pem_file_is_shown_with_and_without_its_key() {
        let scratch = Scratch::new();
        let (pem, key) = files(&scratch, "a", &["shop.example", "www.shop.example"], P256);
        let (other, _) = files(&scratch, "b", &["desk.example"], P256);
        let both = std::fs::read_to_string(&pem).unwrap() + &std::fs::read_to_string(&key).unwrap();
        let both = scratch.write("both.pem", both);
        let open = PfxPassword::Empty;
        for (file, key, has_key) in [(&pem, None, false), (&pem, Some(&key), true), (&both, None, true)] {
            let shown = show(file, key.map(AsRef::as_ref), &open).unwrap();
            assert_eq!(shown.has_key, has_key);
            assert_eq!(shown.chain[0].names, ["shop.example", "www.shop.example"]);
            assert_eq!(shown.chain[0].subject, shown.chain[0].issuer);
            assert_eq!(shown.chain[0].thumbprint.len(), 40);
        }
        let error = show(&other, Some(&key), &open).unwrap_err().to_string();
        assert!(error.contains("does not belong"), "{error}");
        let error = show(&key, None, &open).unwrap_err().to_string();
        assert!(error.contains("no certificate in it"), "{error}");
    }
}
