//! Redirects: of hosts, of aliases, of routes, and from http to https. Called by the request's story.
//!
//! A client chooses parts of a location at the most, never its host: those parts stand behind the host
//! or the first slash, a path never begins with two slashes, and a backslash, which browsers take for a
//! slash, is encoded.

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use tidegate_site::{Redirection, VirtualHost};

use super::destination::{expand, with_query};
use crate::reply::{Body, Reply};
use crate::request::error::Failure;
use crate::request::guard::split_port;
use crate::request::{Facts, split_target};

/// The redirect of a host for this request, if there is one: from an alias to the host's first name, or
/// from a path.
pub(crate) fn of_host(host: &VirtualHost, is_alias: bool, facts: &Facts) -> Result<Option<Reply>, Failure> {
    if is_alias && let Some(name) = host.names.first() {
        return to_first_name(name, facts).map(Some);
    }
    let (path, _) = split_target(&facts.target);
    for redirect in &host.redirects {
        if let Some(to) = expand(&redirect.pattern, &redirect.answer.to, path) {
            return answer(&redirect.answer, to, facts).map(Some);
        }
    }
    Ok(None)
}

/// The redirect of a route; `rest` is the path after the route's.
pub(crate) fn of_route(redirection: &Redirection, rest: &str, facts: &Facts) -> Result<Reply, Failure> {
    let to = super::destination::fill(&redirection.to, rest.strip_prefix('/').unwrap_or(rest));
    answer(redirection, to, facts)
}

/// 308 to the same URL over HTTPS.
pub(crate) fn to_https(facts: &Facts, port: u16) -> Result<Reply, Failure> {
    let (host, _) = split_port(facts.host.as_bytes());
    let host = std::str::from_utf8(host).unwrap_or_default();
    if host.is_empty() {
        return Err(Failure::bad_request("no Host to redirect to"));
    }
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    reply(StatusCode::PERMANENT_REDIRECT, &format!("https://{host}{port}{}", facts.target))
}

/// 308 to the same URL on a host's first name: same scheme, port, path and query.
fn to_first_name(name: &str, facts: &Facts) -> Result<Reply, Failure> {
    let asked = facts.origin.host.as_deref().unwrap_or(&facts.host);
    let (_, port) = split_port(asked.as_bytes());
    let port = port.and_then(|port| std::str::from_utf8(port).ok()).map(|port| format!(":{port}")).unwrap_or_default();
    let scheme = if facts.origin.https { "https" } else { "http" };
    let name = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    reply(StatusCode::PERMANENT_REDIRECT, &format!("{scheme}://{name}{port}{}", facts.target))
}

fn answer(redirection: &Redirection, mut to: String, facts: &Facts) -> Result<Reply, Failure> {
    if redirection.keep_query {
        let (_, query) = split_target(&facts.target);
        to = with_query(to, query);
    }
    reply(StatusCode::from_u16(redirection.status).unwrap_or(StatusCode::PERMANENT_REDIRECT), &to)
}

fn reply(status: StatusCode, location: &str) -> Result<Reply, Failure> {
    let location = HeaderValue::from_str(location).map_err(|_| Failure::bad_request("unusable target"))?;
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, location);
    Ok(Reply { status, headers, body: Body::Full(Bytes::new()) })
}
