//! The rules of a host or a route at work. The request's story asks [`admit`] once the route is found and
//! before its target is; `session` lets [`Outgoing`] pass over the head of every response, whoever made
//! it. Rules are checked and compiled in `tidegate_site`; nothing here reads the site file, and a rule
//! that is absent costs one look.

mod destination;
mod headers;
pub(crate) mod redirect;

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use tidegate_site::{Mount, Rules};

pub(crate) use self::destination::rewritten;
pub(crate) use self::headers::edit_request;
use crate::reply::Reply;
use crate::request::Facts;
use crate::request::error::Failure;
use crate::request::route::Found;

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "the rules that look at it are on their way")]
pub(crate) struct Asked<'a> {
    /// Who asks for what.
    pub(crate) facts: &'a Facts,
    /// The request's fields as the client sent them.
    pub(crate) headers: &'a HeaderMap,
}

/// How the app of a route is asked: what routing and rules have made of a request.
#[derive(Debug)]
pub(crate) struct Passage<'a> {
    /// Path and query.
    pub(crate) target: Cow<'a, str>,
    /// The prefix that is SCRIPT_NAME.
    pub(crate) mount: &'a str,
    /// The rules of the route.
    pub(crate) rules: &'a Rules,
}

impl<'a> Passage<'a> {
    /// The passage of a request with this target to an app on a route; `rest` is the path after the route's.
    pub(crate) fn new(found: &Found<'a, 'a>, mount: Mount, target: &'a str) -> Self {
        let rules = &found.route.rules;
        let (target, mount) = match mount {
            Mount::On => (Cow::Borrowed(target), found.route.prefix.as_str()),
            Mount::Off => (Cow::Borrowed(target), ""),
            Mount::Strip => (Cow::Owned(destination::stripped(found.rest, target)), ""),
        };
        Self { target, mount, rules }
    }
}

/// What the rules say to a request.
#[derive(Debug)]
#[allow(dead_code, reason = "the rules that answer are on their way")]
pub(crate) enum Verdict {
    /// The route's target may answer.
    Pass,
    /// This is the answer.
    Answer(Reply),
}

/// Asks the rules of a route whether its target may answer. Each rule is one line, in the order in
/// which they count.
pub(crate) async fn admit(_rules: &Rules, _asked: Asked<'_>) -> Result<Verdict, Failure> {
    Ok(Verdict::Pass)
}

/// What the rules do to the head of a response; fixed when host and route are known.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    rules: Arc<Rules>,
}

impl Outgoing {
    /// Nothing if the rules leave responses as they are.
    pub(crate) fn new(rules: &Arc<Rules>, _asked: Asked<'_>) -> Option<Self> {
        let edits = rules.headers.as_ref().is_some_and(|headers| !headers.response.is_empty());
        edits.then(|| Self { rules: Arc::clone(rules) })
    }

    /// Changes the fields of a response. What frames it is set afterwards.
    pub(crate) fn apply(&self, _status: StatusCode, fields: &mut HeaderMap) {
        // Last, so that the operator's word on a field is the last.
        if let Some(headers) = &self.rules.headers {
            headers::edit(&headers.response, fields);
        }
    }
}
