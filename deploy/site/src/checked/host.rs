//! Checked: virtual hosts, their routes, and what answers them.

use std::sync::Arc;
use std::time::Duration;

use super::{Files, Maintenance, Priority, Redirect, Redirection, Rewrite, Rules};

/// A virtual host: names and routes.
#[derive(Debug, Clone, PartialEq)]
pub struct VirtualHost {
    /// Lower-case names without port: exact (`shop.example`), wildcard (`*.shop.example`, one
    /// label), an IP address (IPv6 without brackets) or `*` for any other.
    pub names: Vec<String>,
    /// Whether it is closed, and for whom not.
    pub maintenance: Maintenance,
    /// More names, of the same forms; whoever uses one is sent to the first of `names`.
    pub aliases: Vec<String>,
    /// Redirects, before a route is looked for; the first that fits counts.
    pub redirects: Vec<Redirect>,
    /// Paths that are taken for others when a route is looked for; the first that fits counts.
    pub rewrites: Vec<Rewrite>,
    /// Longest prefix first.
    pub routes: Vec<Route>,
    /// Rules of responses for which no route is found; those of the routes are in them.
    pub rules: Arc<Rules>,
}

/// A path prefix and what answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Starts with `/`. Matches at segment boundaries: `/static` matches `/static` and
    /// `/static/a`, not `/statics`. Stored without a slash at its end, so `/` is empty.
    pub prefix: String,
    /// What answers.
    pub target: Target,
    /// The route's own rules, and its host's where it has none of its own.
    pub rules: Arc<Rules>,
}

/// What answers a route.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Files below a directory, and perhaps an app for what is none.
    Files(Files),
    /// A WSGI app.
    App(AppRoute),
    /// Another address.
    Redirect(Redirection),
}

/// What an app is told of the prefix of its route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mount {
    /// It is SCRIPT_NAME, and PATH_INFO is the rest.
    On,
    /// It stays in PATH_INFO.
    Off,
    /// It is taken off, and the app does not hear of it.
    Strip,
}

/// A route to an app.
#[derive(Debug, Clone, PartialEq)]
pub struct AppRoute {
    /// The app's name; it exists in [`Site::apps`](super::Site::apps).
    pub app: Arc<str>,
    /// From dispatch to the response head: the route's own, or the app's.
    pub request_timeout: Duration,
    /// Largest request body in bytes: the route's own, or the limit of all.
    pub max_body: u64,
    /// What the app is told of the prefix.
    pub mount: Mount,
    /// The class in which requests wait for a thread.
    pub priority: Priority,
    /// Whether a worker gets a request when all of it is here, and is free when its response is.
    pub buffering: bool,
}
