//! Certificates: loading them from PEM files, choosing one by the name a client asks for, making a
//! self-signed one for development, and the TLS settings of Tidegate's listeners.
//!
//! Used by the proxy and by the command's check. It never watches files: whoever reloads calls
//! [`load`] again and hands the result to [`Store::replace`]. It never verifies that a chain leads
//! anywhere, which is the client's affair.

mod certificate;
mod development;
mod error;
mod server;
mod store;
#[cfg(test)]
mod testing;

pub use certificate::{Certificate, load};
pub use development::development;
pub use error::CertificateError;
pub use server::server_config;
pub use store::Store;
