//! Finds the virtual host and the route of a request. Built from the checked site at start-up and
//! at every reload; the request's story asks it once per request.
//!
//! Matches the raw path: nothing is decoded or normalised, so an app receives its target byte for
//! byte, and what an encoded `..` might mean is decided once, by whoever opens files
//! (`static_files/path.rs` refuses it). A spelling that dodges a route reaches the route of the
//! shorter prefix, never one that its literal text does not name; where the two let different clients
//! in, it reaches neither.

use std::borrow::Cow;
use std::collections::HashMap;

use tidegate_site::{Route, Rules, Site, VirtualHost};

use super::error::Failure;
use super::guard::split_port;

/// The hosts and routes of a site.
#[derive(Debug)]
pub(crate) struct Router {
    hosts: Vec<VirtualHost>,
    exact: HashMap<Box<str>, Named>,
    /// By the part after `*`: `.shop.example`.
    wildcards: HashMap<Box<str>, Named>,
    /// The host of name `*`.
    any: Option<Named>,
}

/// The host that a name belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Named {
    host: usize,
    /// Whether it is one of the host's aliases.
    is_alias: bool,
}

/// What answers a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Found<'r, 'p> {
    /// The route.
    pub(crate) route: &'r Route,
    /// The path after the route's prefix: empty, or starts with `/`.
    pub(crate) rest: &'p str,
}

impl Router {
    /// The router of a site.
    pub(crate) fn new(site: &Site) -> Self {
        Self::of(&site.hosts)
    }

    /// Of hosts with the same name the first wins.
    fn of(hosts: &[VirtualHost]) -> Self {
        let mut router = Self { hosts: hosts.to_vec(), exact: HashMap::new(), wildcards: HashMap::new(), any: None };
        for (index, host) in hosts.iter().enumerate() {
            let names = host.names.iter().map(|name| (name, false));
            let aliases = host.aliases.iter().map(|name| (name, true));
            for (name, is_alias) in names.chain(aliases) {
                let named = Named { host: index, is_alias };
                if name == "*" {
                    router.any.get_or_insert(named);
                } else if let Some(suffix) = name.strip_prefix('*') {
                    router.wildcards.entry(suffix.into()).or_insert(named);
                } else {
                    router.exact.entry(name.as_str().into()).or_insert(named);
                }
            }
        }
        router
    }

    /// The virtual host of a name, with or without port, as the client wrote it, and whether the
    /// name is one of its aliases.
    pub(crate) fn host(&self, name: Option<&str>) -> Result<(&VirtualHost, bool), Failure> {
        let named = self.named(name).ok_or_else(Failure::misdirected)?;
        Ok((&self.hosts[named.host], named.is_alias))
    }

    /// An exact name before a wildcard before `*`.
    fn named(&self, host: Option<&str>) -> Option<Named> {
        if self.exact.is_empty() && self.wildcards.is_empty() {
            return self.any;
        }
        let Some(host) = host.map(bare_name) else { return self.any };
        if let Some(&named) = self.exact.get(&*host) {
            return Some(named);
        }
        // One label stands for the star, and it is not empty.
        let wildcard = host.find('.').filter(|&dot| dot > 0).and_then(|dot| self.wildcards.get(&host[dot..]));
        wildcard.copied().or(self.any)
    }
}

/// The route of a host for a raw path.
pub(crate) fn find<'r, 'p>(host: &'r VirtualHost, path: &'p str) -> Result<Found<'r, 'p>, Failure> {
    let found = longest(host, path).ok_or_else(|| Failure::not_found("no route for this path"))?;
    // An app decodes its path, and some join slashes: what an app could take for a path of another route must not
    // come in by this one's rules.
    if is_unplain(path)
        && let Some(meant) = longest(host, &plain(path))
        && !lets_in_alike(&found.route.rules, &meant.route.rules)
    {
        return Err(Failure::not_found("a path that is written so that it dodges the rules of another route"));
    }
    Ok(found)
}

fn longest<'r, 'p>(host: &'r VirtualHost, path: &'p str) -> Option<Found<'r, 'p>> {
    host.routes.iter().find_map(|route| {
        let rest = path.strip_prefix(route.prefix.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(Found { route, rest })
    })
}

/// Whether a path has another, plainer form.
fn is_unplain(path: &str) -> bool {
    let bytes = path.as_bytes();
    memchr::memchr2(b'%', b'\\', bytes).is_some() || bytes.windows(2).any(|two| two == b"//" || two == b"/.")
}

/// The path decoded once, with one slash where there are more, and without `.` and `..`.
fn plain(path: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy().replace('\\', "/");
    let mut segments = Vec::new();
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Whether two routes let the same clients in.
fn lets_in_alike(one: &Rules, other: &Rules) -> bool {
    let admission = |rules: &Rules| {
        let Rules { allow, deny, basic_auth, rate_limits, concurrency, .. } = rules.clone();
        Rules { allow, deny, basic_auth, rate_limits, concurrency, ..Rules::default() }
    };
    admission(one) == admission(other)
}

/// The name in lower case, without port, brackets and the dot of a fully qualified name.
fn bare_name(host: &str) -> Cow<'_, str> {
    let (name, _) = split_port(host.as_bytes());
    // A prefix that ends before an ASCII colon is on a character boundary.
    let name = &host[..name.len()];
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(name.to_ascii_lowercase());
    }
    Cow::Borrowed(name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tidegate_site::{AppRoute, Maintenance, Target};

    use super::*;

    fn host(names: &[&str], prefixes: &[&str]) -> VirtualHost {
        let app = AppRoute {
            app: "app".into(),
            request_timeout: Duration::ZERO,
            max_body: 0,
            mount: tidegate_site::Mount::On,
            buffering: true,
            priority: tidegate_site::Priority::Normal,
        };
        let route = |prefix: &&str| Route {
            prefix: (*prefix).to_owned(),
            target: Target::App(app.clone()),
            rules: Arc::default(),
        };
        VirtualHost {
            maintenance: Maintenance { on: false, allow: Vec::new(), retry_after: Duration::ZERO },
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            aliases: vec![],
            redirects: vec![],
            rewrites: vec![],
            routes: prefixes.iter().map(route).collect(),
            rules: Arc::default(),
        }
    }

    fn router() -> Router {
        Router::of(&[
            host(&["shop.example", "www.shop.example", "::1"], &["/static/img", "/static", ""]),
            host(&["*.shop.example"], &["/only"]),
            host(&["*"], &[""]),
        ])
    }

    #[test]
    fn hosts_are_found_by_exact_name_then_wildcard_then_star() {
        let router = router();
        for (name, index) in [
            (Some("shop.example"), 0),
            (Some("SHOP.Example:8443"), 0),
            (Some("shop.example."), 0),
            (Some("shop.example.:443"), 0),
            (Some("[::1]:8443"), 0),
            (Some("[::1]"), 0),
            (Some("www.shop.example"), 0),
            (Some("api.shop.example"), 1),
            (Some("API.shop.example:1"), 1),
            (Some("a.b.shop.example"), 2),
            (Some(".shop.example"), 2),
            (Some("evilshop.example"), 2),
            (Some("127.0.0.1"), 2),
            (Some(""), 2),
            (None, 2),
        ] {
            assert_eq!(router.named(name).map(|named| named.host), Some(index), "{name:?}");
        }
    }

    #[test]
    fn an_unknown_host_is_misdirected_and_an_unknown_path_not_found() {
        let router = Router::of(&[host(&["a"], &["/x"])]);
        let status = |name, path| match router.host(name).and_then(|(host, _)| find(host, path)) {
            Ok(_) => 200,
            Err(failure) => failure.status.as_u16(),
        };
        assert_eq!(status(Some("a"), "/x"), 200);
        assert_eq!(status(Some("a"), "/y"), 404);
        assert_eq!(status(Some("b"), "/x"), 421);
        assert_eq!(status(None, "/x"), 421);
    }

    #[test]
    fn the_longest_prefix_wins_at_a_segment_boundary() {
        let router = router();
        for (path, prefix, rest) in [
            ("/", "", "/"),
            ("", "", ""),
            ("/static", "/static", ""),
            ("/static/", "/static", "/"),
            ("/static/a/b", "/static", "/a/b"),
            ("/statics", "", "/statics"),
            ("/static/img", "/static/img", ""),
            ("/static/img/x.png", "/static/img", "/x.png"),
            ("/static/images", "/static", "/images"),
            // Encoded, doubled and differently cased spellings are other paths.
            ("/%73tatic/a", "", "/%73tatic/a"),
            ("/static%2fa", "", "/static%2fa"),
            ("//static/a", "", "//static/a"),
            ("/Static/a", "", "/Static/a"),
            ("/static/%2e%2e/admin", "/static", "/%2e%2e/admin"),
            ("/static/../admin", "/static", "/../admin"),
        ] {
            let found = find(router.host(Some("shop.example")).unwrap().0, path).unwrap();
            assert_eq!((found.route.prefix.as_str(), found.rest), (prefix, rest), "{path}");
        }
    }

    #[test]
    fn no_spelling_dodges_the_rules_of_a_route() {
        let mut guarded = host(&["a"], &["/admin/login", "/admin", "/static", ""]);
        let rules = Arc::new(Rules { deny: vec!["0.0.0.0/0".parse().unwrap()], ..Rules::default() });
        for route in guarded.routes.iter_mut().filter(|route| route.prefix.starts_with("/admin")) {
            route.rules = Arc::clone(&rules);
        }
        for (path, prefix) in [
            ("/admin", Some("/admin")),
            ("/admin/%61", Some("/admin")),
            ("/admin/login/", Some("/admin/login")),
            ("/admin//login", Some("/admin")),
            ("/administrator", Some("")),
            ("/%61dmin", None),
            ("/%61%64min/x", None),
            ("/admin%2Fx", None),
            ("//admin", None),
            ("/./admin", None),
            ("/x/../admin", None),
            ("/x/%2e%2e/admin/x", None),
            ("/%5Cadmin", None),
            ("/static/..%2fadmin", None),
            ("/admin/../x", None),
            ("/%2561dmin", Some("")),
            ("/caf%C3%A9", Some("")),
            ("/a//b/%2F", Some("")),
            ("/%73tatic/a", Some("")),
        ] {
            let found = find(&guarded, path).ok().map(|found| found.route.prefix.as_str());
            assert_eq!(found, prefix, "{path}");
        }
    }

    #[test]
    fn the_asterisk_has_no_route() {
        assert!(find(router().host(Some("shop.example")).unwrap().0, "*").is_err());
    }
}
