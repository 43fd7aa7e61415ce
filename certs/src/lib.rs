//! Certificates: loading them from PEM and PFX files and the Windows store with their OCSP responses, choosing one by the name a
//! client asks for, verifying clients' own, making a self-signed one for development, and the TLS settings
//! of Tidegate's listeners.
//!
//! Used by the proxy and by the command's check. It never watches files: whoever reloads calls
//! [`load`] again and hands the result to [`Store::replace`]. It never verifies that a server's chain
//! leads anywhere, which is the client's affair.
//!
//! # Layout
//!
//! - `certificate`: a chain with its key, from `pem`, `pfx` or `windows_store`, with the responses of `ocsp`
//! - `store`, `server`: the choice during a handshake; the listeners' settings
//! - `client`: certificates that clients show
//! - `development`: the self-signed one
//! - `facts`, `remarks`, `show`, `error`: what operators are told

mod certificate;
mod client;
mod development;
mod error;
mod facts;
mod ocsp;
mod pem;
mod pfx;
mod remarks;
mod server;
mod show;
mod store;
#[cfg(test)]
mod testing;
mod windows_store;

pub use certificate::{Certificate, load};
pub use client::{ClientIdentity, ClientVerifier, client_verifier, identify};
pub use development::development;
pub use error::CertificateError;
pub use facts::Facts;
pub use ocsp::Staple;
pub use pfx::password as password_of;
pub use remarks::{EXPIRY_WARNING_DAYS, Validity, uncovered};
pub use server::server_config;
pub use show::{Shown, show};
pub use store::Store;
pub use windows_store::pick as pick_from_windows_store;
