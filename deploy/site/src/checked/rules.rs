//! Checked: rules of a host or a route, which hold for whatever answers there. A route's own value of
//! a key replaces its host's whole value of that key.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

use super::{BasicAuth, Compress, Compression, Concurrency, Cors, ErrorPages, RateLimits};

/// What holds for every request and response of a route. Each part is absent where the file says
/// nothing, so that it costs a request one look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// The operator's own pages for failures.
    pub error_pages: Option<Arc<ErrorPages>>,
    /// Whether they stand in for what apps say with such a status.
    pub error_pages_for_app: bool,
    /// How many requests a client may send.
    pub rate_limits: Option<Arc<RateLimits>>,
    /// How many requests may run at once.
    pub concurrency: Option<Arc<Concurrency>>,
    /// Whether responses are compressed; absent where it is left to what answers.
    pub compress: Option<Compression>,
    /// Header fields that are changed on the way.
    pub headers: Option<Headers>,
    /// Clients that may come in; empty: all.
    pub allow: Vec<IpNet>,
    /// Clients that may not, whatever `allow` says.
    pub deny: Vec<IpNet>,
    /// Whether responses get the security headers that they lack.
    pub security_headers: bool,
    /// The value of Strict-Transport-Security, over https.
    pub hsts: Option<HeaderValue>,
    /// What scripts of other sites may do.
    pub cors: Option<Cors>,
    /// Who may come in, with a password.
    pub basic_auth: Option<Arc<BasicAuth>>,
}

impl Rules {
    /// How apps' responses are compressed, if they are.
    pub fn app_compression(&self) -> Option<&Compress> {
        match &self.compress {
            Some(Compression::On(compress)) => Some(compress),
            Some(Compression::Off) | None => None,
        }
    }
}

/// Changes of header fields, in both directions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// Of requests to apps.
    pub request: HeaderEdits,
    /// Of responses, whoever makes them.
    pub response: HeaderEdits,
}

/// Changes of header fields, made in this order: removed, set, added. No name frames a message, concerns
/// one connection alone, or is Tidegate's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Taken away.
    pub remove: Vec<HeaderName>,
    /// Put in place of all of that name.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Put beside those of that name.
    pub add: Vec<(HeaderName, HeaderValue)>,
}

impl HeaderEdits {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}
