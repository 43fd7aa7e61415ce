//! The site file: YAML to checked configuration. The proxy, the app server and the command call
//! [`load`]; nothing else in Tidegate reads the file or sees a value that was not checked.

mod checked;
mod error;

use std::io;
use std::path::Path;

pub use checked::*;
pub use error::{ConfigError, Problem};
use tidegate_host::Endpoint;

/// Reads and checks a site file.
pub fn load(file: &Path) -> Result<Site, ConfigError> {
    Err(ConfigError::of_file(file, "not implemented"))
}

/// Lower-case hexadecimal SHA-256 of the file's bytes: what [`Site::digest`] holds.
pub fn digest(file: &Path) -> io::Result<String> {
    let _ = std::fs::read(file)?;
    Ok(String::new())
}

impl Site {
    /// The well-known endpoint on which the app server listens for the proxy and the command.
    pub fn control_endpoint(&self) -> Endpoint {
        Endpoint::local(&self.runtime_dir, &format!("{}-control", self.instance))
    }

    /// The app of this name.
    pub fn app(&self, name: &str) -> Option<&App> {
        self.apps.iter().find(|app| &*app.name == name)
    }

    /// Whether any listener terminates TLS, so that a certificate is needed.
    pub fn uses_tls(&self) -> bool {
        self.listeners.iter().any(|listener| listener.protocol == Protocol::Https)
    }
}
