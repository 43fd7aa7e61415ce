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
            "AES (as Windows exports it with \"AES256-SHA256\") or 3DES: `openssl pkcs12 -in FILE -nodes -out TEMPORARY`, \
             then `openssl pkcs12 -export -in TEMPORARY -out NEWFILE`, and delete TEMPORARY, which holds the key open",
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

/// The password itself.
pub fn password(file: &Path, password: &PfxPassword) -> Result<String, CertificateError> {
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
mod tests;
