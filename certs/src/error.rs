//! What can be wrong with certificates. Every message names the file.

use std::io;
use std::path::PathBuf;

use tidegate_host::certificate_store::StoreName;
use tidegate_site::StorePick;

/// A certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {problem}; expected {expected}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it is, or where reading it ended.
        problem: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// The private key is encrypted.
    #[error("{}: the private key is encrypted and there is nobody to ask for its password; \
             store it decrypted (`openssl pkey -in FILE -out NEWFILE`) and let only the proxy's account read it",
            path.display())]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// The private key is of no kind that TLS uses here.
    #[error("{}: the private key cannot be used; expected RSA (2048 bits or more), ECDSA P-256 or P-384, or Ed25519",
            path.display())]
    UnsupportedKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The key is of another certificate.
    #[error("the private key in {} does not belong to the first certificate in {}{hint}",
            key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What may be the reason.
        hint: &'static str,
    },
    /// The Windows certificate store cannot be looked into.
    #[error(
        "key certificates: the certificate store {store} cannot be read; expected one of this machine's, such as \
             LocalMachine\\My"
    )]
    Store {
        /// The store.
        store: StoreName,
        /// Why.
        source: io::Error,
    },
    /// No certificate there is the one that is meant.
    #[error(
        "{store}: {pick}: {problem}; `tidegate certificate list` shows what can be used, `tidegate certificate import \
             FILE.pfx` adds to it"
    )]
    NotInStore {
        /// The store.
        store: StoreName,
        /// What was looked for.
        pick: StorePick,
        /// What is there instead.
        problem: String,
    },
    /// The private key cannot be used.
    #[error("{store}: thumbprint {thumbprint}: the private key cannot be used; {next}")]
    StoreKey {
        /// The store.
        store: StoreName,
        /// The certificate.
        thumbprint: String,
        /// What to do.
        next: String,
        /// Why.
        source: io::Error,
    },
    /// The PFX file cannot be opened.
    #[error("{}: the password is wrong", path.display())]
    PfxPassword {
        /// The file.
        path: PathBuf,
    },
    /// The variable that should hold the PFX file's password does not.
    #[error("{}: the password cannot be had: the environment variable {name} {problem}", path.display())]
    PfxVariable {
        /// The file.
        path: PathBuf,
        /// The variable.
        name: String,
        /// Why.
        problem: &'static str,
    },
    /// The development certificate cannot be made.
    #[error("failed to make a self-signed certificate for {}", names.join(", "))]
    Generate {
        /// The names it was for.
        names: Vec<String>,
        /// Why.
        source: rcgen::Error,
    },
    /// The development certificate cannot be kept.
    #[error("failed to write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
