//! The site file: YAML to checked configuration. The proxy, the app server and the command call
//! [`load`]; nothing else in Tidegate reads the file or sees a value that was not checked.
//!
//! `syntax` makes a YAML tree of the bytes, `raw` reads typed values from it and collects what is wrong, `check` turns it
//! into `checked`, a [`Site`], with the help of `units`, `defaults`, `place` and [`interpreter`]. `error`, `wording` and
//! `suggest` say what is wrong. `reader` and `secrets` know which program reads which file.

mod check;
mod checked;
mod defaults;
mod error;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
pub mod interpreter;
mod ownership;
mod place;
mod raw;
mod reader;
mod secrets;
mod suggest;
mod syntax;
mod units;
mod wording;

use std::io;
use std::path::Path;
use std::time::Duration;

pub use checked::*;
pub use error::{ConfigError, Problem};
pub use reader::Reader;
pub use secrets::Secret;
use tidegate_host::Endpoint;
pub use units::duration as parse_duration;

/// Reads and checks a site file with everything that it names.
pub fn load(file: &Path) -> Result<Site, ConfigError> {
    load_as(file, Reader::Command)
}

/// Reads and checks a site file, without the secrets of others.
pub fn load_as(file: &Path, reader: Reader) -> Result<Site, ConfigError> {
    let read = place::canonical(file).and_then(|path| Ok((std::fs::read(&path)?, path)));
    let (bytes, path) = match read {
        Ok(read) => read,
        Err(error) => {
            return Err(ConfigError::of_file(file, format!("cannot be read: {error}")));
        }
    };
    of_bytes(file, path, &bytes, reader)
}

/// The site of a file's bytes; messages name the file as the operator did.
fn of_bytes(file: &Path, path: std::path::PathBuf, bytes: &[u8], reader: Reader) -> Result<Site, ConfigError> {
    let value = syntax::parse(file, bytes)?;
    let problems = error::Problems::new(file);
    let origin = check::Origin {
        instance: place::instance(&path),
        file: path,
        digest: place::hexadecimal_digest(bytes),
        reader,
    };
    let site = check::site(&raw::Node::root(&value, &problems), origin);
    let problems = problems.into_inner();
    match site {
        Some(site) if problems.is_empty() => Ok(site),
        _ if problems.is_empty() => Err(ConfigError::of_file(file, FAULT)),
        _ => Err(ConfigError::new(problems)),
    }
}

/// For a case that the checks exclude: each records a problem where it answers none.
const FAULT: &str = "is refused without a reason: a fault of Tidegate's own";

/// Lower-case hexadecimal SHA-256 of the file's bytes: what [`Site::digest`] holds.
pub fn digest(file: &Path) -> io::Result<String> {
    Ok(place::hexadecimal_digest(&std::fs::read(file)?))
}

/// The endpoint of [`Site::control_endpoint`] for a file that leaves `runtime_dir` alone: for finding a
/// running site whose file has become wrong since it was loaded.
pub fn usual_control_endpoint(file: &Path) -> io::Result<Endpoint> {
    let instance = place::instance(&place::canonical(file)?);
    Ok(control_endpoint(&tidegate_host::runtime_dir(&instance), &instance))
}

fn control_endpoint(runtime_dir: &Path, instance: &str) -> Endpoint {
    Endpoint::local(runtime_dir, &format!("{instance}-control"))
}

impl Site {
    /// The well-known endpoint on which the app server listens for the proxy and the command.
    pub fn control_endpoint(&self) -> Endpoint {
        control_endpoint(&self.runtime_dir, &self.instance)
    }

    /// The longest that an app's workers may take to finish, when the app server stops.
    pub fn apps_drain(&self) -> Duration {
        self.apps.iter().map(|app| app.drain_timeout + app.timeout_grace).max().unwrap_or_default()
    }

    /// Where its programs log as services whose site file does not say it, where nobody reads a service's standard error.
    pub fn service_log(&self) -> Log {
        let to = self.log.to.clone().unwrap_or_else(|| self.state_dir.join(defaults::LOG_FILE));
        Log { to: Some(to), ..self.log.clone() }
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
