//! The rules of a host or a route at work. The request's story asks [`admit`] once the route is found and
//! before its target is; `session` lets [`Outgoing`] pass over the head of every response, whoever made
//! it. Rules are checked and compiled in `tidegate_site`; nothing here reads the site file, and a rule
//! that is absent costs one look.

mod access;
mod basic_auth;
mod cors;
mod destination;
mod headers;
mod passwords;
pub(crate) mod redirect;
mod security;

use std::borrow::Cow;
use std::sync::Arc;

use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue};
use tidegate_site::{Mount, Rules};

pub(crate) use self::destination::rewritten;
pub(crate) use self::headers::edit_request;
pub(crate) use self::passwords::Passwords;
use crate::reply::Reply;
use crate::request::Facts;
use crate::request::error::Failure;
use crate::request::route::Found;

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Who asks for what.
    pub(crate) facts: &'a Facts,
    /// The request's fields as the client sent them.
    pub(crate) headers: &'a HeaderMap,
    /// Who knows whether a password is right.
    pub(crate) passwords: &'a Passwords,
}

/// How the app of a route is asked: what routing and rules have made of a request.
#[derive(Debug)]
pub(crate) struct Passage<'a> {
    /// Path and query.
    pub(crate) target: Cow<'a, str>,
    /// The prefix that is SCRIPT_NAME.
    pub(crate) mount: &'a str,
    /// The user whose password was checked.
    pub(crate) user: Option<&'a str>,
    /// The rules of the route.
    pub(crate) rules: &'a Rules,
}

impl<'a> Passage<'a> {
    /// The passage of a request with this target to an app on a route; `rest` is the path after the route's.
    pub(crate) fn new(found: &Found<'a, 'a>, mount: Mount, target: &'a str, user: Option<&'a str>) -> Self {
        let rules = &found.route.rules;
        let (target, mount) = match mount {
            Mount::On => (Cow::Borrowed(target), found.route.prefix.as_str()),
            Mount::Off => (Cow::Borrowed(target), ""),
            Mount::Strip => (Cow::Owned(destination::stripped(found.rest, target)), ""),
        };
        Self { target, mount, user, rules }
    }
}

/// What the rules say to a request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The route's target may answer, to this user if the rules ask for one.
    Pass(Option<Arc<str>>),
    /// This is the answer.
    Answer(Reply),
}

/// Asks the rules of a route whether its target may answer. Each rule is one line, in the order in
/// which they count.
pub(crate) async fn admit(rules: &Rules, asked: Asked<'_>) -> Result<Verdict, Failure> {
    access::check(rules, asked.facts.origin.client)?;
    // Browsers send preflights without credentials: before a password is asked for.
    if let Some(reply) = rules.cors.as_ref().and_then(|cors| cors::preflight(cors, asked)) {
        return Ok(Verdict::Answer(reply));
    }
    let user = match &rules.basic_auth {
        Some(auth) => Some(basic_auth::check(auth, asked).await?),
        None => None,
    };
    Ok(Verdict::Pass(user))
}

/// What the rules do to the head of a response; fixed when host and route are known.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    rules: Arc<Rules>,
    https: bool,
    /// Whose script asks, where that counts.
    origin: Option<HeaderValue>,
}

impl Outgoing {
    /// Nothing if the rules leave responses as they are.
    pub(crate) fn new(rules: &Arc<Rules>, asked: Asked<'_>) -> Option<Self> {
        let Rules { headers, security_headers, hsts, cors, .. } = &**rules;
        let edits = headers.as_ref().is_some_and(|headers| !headers.response.is_empty());
        if !edits && !security_headers && hsts.is_none() && cors.is_none() {
            return None;
        }
        let origin = cors.as_ref().and_then(|_| asked.headers.get(ORIGIN).cloned());
        Some(Self { rules: Arc::clone(rules), https: asked.facts.origin.https, origin })
    }

    /// Changes the fields of a response. What frames it is set afterwards.
    pub(crate) fn apply(&self, fields: &mut HeaderMap) {
        let rules = &*self.rules;
        if let Some(cors) = &rules.cors {
            cors::grant(cors, self.origin.as_ref(), fields);
        }
        if rules.security_headers {
            security::add(fields, rules.cors.is_some());
        }
        if let Some(value) = rules.hsts.as_ref().filter(|_| self.https) {
            security::require_https(fields, value);
        }
        // Last, so that the operator's word on a field is the last.
        if let Some(headers) = &rules.headers {
            headers::edit(&headers.response, fields);
        }
    }
}
