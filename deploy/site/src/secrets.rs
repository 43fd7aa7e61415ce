//! The files of a site that hold secrets, and which of the two programs reads them. Used by whoever protects them, or
//! looks whether they are protected. Never opens one.

use std::path::{Path, PathBuf};

use crate::{CertificateSource, PfxPassword, Reader, Site};

/// A file with a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// What it is, such as `private key`.
    pub what: &'static str,
    /// The file.
    pub file: PathBuf,
    /// The program that reads it, and the only one.
    pub reader: Reader,
}

impl Site {
    /// Every file that the site names as secret, once.
    pub fn secrets(&self) -> Vec<Secret> {
        let mut secrets = Vec::new();
        for certificate in &self.certificates {
            match &certificate.source {
                CertificateSource::Pem { key, .. } => add(&mut secrets, "private key", key, Reader::Proxy),
                // The system keeps its keys.
                CertificateSource::Store { .. } => {}
                CertificateSource::Pfx { file, password } => {
                    add(&mut secrets, "private key", file, Reader::Proxy);
                    if let PfxPassword::File(password) = password {
                        add(&mut secrets, "password", password, Reader::Proxy);
                    }
                }
            }
        }
        let rules = self
            .hosts
            .iter()
            .flat_map(|host| std::iter::once(&host.rules).chain(host.routes.iter().map(|route| &route.rules)));
        for users in rules.filter_map(|rules| rules.basic_auth.as_ref()) {
            add(&mut secrets, "users and password hashes", &users.users_file, Reader::Proxy);
        }
        for file in self.apps.iter().filter_map(|app| app.environment_file.as_ref()) {
            add(&mut secrets, "environment of an app", file, Reader::AppServer);
        }
        secrets
    }
}

fn add(secrets: &mut Vec<Secret>, what: &'static str, file: &Path, reader: Reader) {
    if !secrets.iter().any(|known| known.file == file && known.reader == reader) {
        secrets.push(Secret { what, file: file.to_owned(), reader });
    }
}
