//! Names of local sockets, as they are written in messages between the programs, in the worker's
//! environment and in logs. Parsing an endpoint never touches the system.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::sys;

/// What every pipe's name starts with.
const PIPE_PREFIX: &str = r"\\.\pipe\";

/// Where a local socket is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A Unix socket: `unix:/path`.
    Unix(PathBuf),
    /// A named pipe with its whole name: `pipe:\\.\pipe\name`.
    Pipe(String),
    /// TCP, for workers that are not ours: `tcp:127.0.0.1:8000`.
    Tcp(SocketAddr),
}

/// Text that is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(r"`{0}` is not an endpoint: expected unix:/path, pipe:\\.\pipe\name or tcp:address:port")]
pub struct EndpointError(String);

impl Endpoint {
    /// The endpoint called `name` on this system: a socket in `dir`, or a pipe.
    pub fn local(dir: &Path, name: &str) -> Self {
        sys::local_endpoint(dir, name)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Pipe(name) => write!(f, "pipe:{name}"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let parsed = match text.split_once(':') {
            // Not Path::is_absolute: the answer must not depend on the system that parses.
            Some(("unix", path)) if path.starts_with('/') && !path.contains('\0') => Some(Self::Unix(path.into())),
            Some(("pipe", name)) if is_pipe(name) => Some(Self::Pipe(name.to_owned())),
            Some(("tcp", address)) => address.parse().ok().map(Self::Tcp),
            _ => None,
        };
        parsed.ok_or_else(|| EndpointError(text.escape_debug().to_string()))
    }
}

/// Whether `name` is a pipe of this machine. A pipe of another host (`\\host\pipe\...`) is not.
fn is_pipe(name: &str) -> bool {
    name.strip_prefix(PIPE_PREFIX)
        .is_some_and(|rest| (1..=240).contains(&rest.len()) && !rest.contains(|c: char| c == '\\' || c.is_control()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_survive_display_and_parse() {
        for text in ["unix:/run/tidegate/a.sock", r"pipe:\\.\pipe\tidegate-a", "tcp:127.0.0.1:80", "tcp:[::1]:80"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "unix:",
            "unix:relative",
            "unix:/a\0b",
            r"pipe:\\.\pipe\",
            r"pipe:\\other\pipe\a",
            r"pipe:\\.\pipe\a\b",
            "tcp:localhost:80",
            "tcp:127.0.0.1",
            "http://a",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains("expected unix:/path"), "{text}: {error}");
        }
    }

    #[test]
    fn local_endpoints_parse_again() {
        let endpoint = Endpoint::local(Path::new("/run/tidegate"), "0123-control");
        assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
    }
}
