//! What of a request the access log shows: which headers, and what of a query is hidden. Made from the site file when it
//! is loaded; called for each line.

use std::borrow::Cow;

use http::header::{REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use tidegate_site::{AccessFormat, AccessLog, HiddenQuery};

/// Stands for what is hidden.
pub(super) const HIDDEN: &str = "redacted";

/// How lines look.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) format: AccessFormat,
    /// Headers shown beside what a line always has, and whether their values are hidden.
    pub(super) headers: Vec<(HeaderName, bool)>,
    query: HiddenQuery,
    referer_hidden: bool,
    agent_hidden: bool,
}

impl Look {
    pub(super) fn of(log: &AccessLog) -> Self {
        let hidden = |name: &str| log.hidden_headers.iter().any(|hidden| hidden == name);
        Self {
            format: log.format,
            headers: log
                .headers
                .iter()
                .filter_map(|name| Some((HeaderName::from_bytes(name.as_bytes()).ok()?, hidden(name))))
                .collect(),
            query: log.hidden_query.clone(),
            referer_hidden: hidden(REFERER.as_str()),
            agent_hidden: hidden(USER_AGENT.as_str()),
        }
    }

    /// A target without what is to be hidden of its query.
    pub(super) fn target<'a>(&self, target: &'a str) -> Cow<'a, str> {
        let Some((path, query)) = target.split_once('?').filter(|_| self.query != HiddenQuery::None) else {
            return Cow::Borrowed(target);
        };
        match &self.query {
            HiddenQuery::Named(names) => hide(path, query, names),
            _ => Cow::Owned(format!("{path}?{HIDDEN}")),
        }
    }

    /// The Referer, whose query is a target's and hidden likewise.
    pub(super) fn referer<'a>(&self, headers: Option<&'a HeaderMap>) -> Option<Cow<'a, str>> {
        if self.referer_hidden {
            return None;
        }
        match text(headers?.get(REFERER)?) {
            Cow::Borrowed(referer) => Some(self.target(referer)),
            Cow::Owned(referer) => Some(Cow::Owned(self.target(&referer).into_owned())),
        }
    }

    /// The User-Agent.
    pub(super) fn agent<'a>(&self, headers: Option<&'a HeaderMap>) -> Option<Cow<'a, str>> {
        if self.agent_hidden { None } else { Some(text(headers?.get(USER_AGENT)?)) }
    }

    /// A header that is shown beside what a line always has.
    pub(super) fn header<'a>(&self, headers: &'a HeaderMap, name: &HeaderName, hidden: bool) -> Option<Cow<'a, str>> {
        let value = headers.get(name)?;
        match () {
            () if hidden => Some(Cow::Borrowed(HIDDEN)),
            () if *name == REFERER => self.referer(Some(headers)),
            () => Some(text(value)),
        }
    }
}

fn text(value: &http::HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// Hides the values of the parameters with these names, however they are spelt.
fn hide<'a>(path: &'a str, query: &'a str, names: &[String]) -> Cow<'a, str> {
    let mut out = String::with_capacity(path.len() + query.len() + 1);
    out.push_str(path);
    out.push('?');
    // Frameworks of an earlier day take `;` as well.
    for piece in query.split_inclusive(['&', ';']) {
        let (parameter, end) = match piece.strip_suffix(['&', ';']) {
            Some(parameter) => (parameter, &piece[parameter.len()..]),
            None => (piece, ""),
        };
        match parameter.split_once('=') {
            Some((name, _)) if is_one_of(name, names) => {
                out.push_str(name);
                out.push('=');
                out.push_str(HIDDEN);
            }
            _ => out.push_str(parameter),
        }
        out.push_str(end);
    }
    Cow::Owned(out)
}

fn is_one_of(name: &str, names: &[String]) -> bool {
    let plus = name.replace('+', " ");
    let name = percent_decode_str(&plus).decode_utf8_lossy().to_lowercase();
    names.contains(&name)
}

#[cfg(test)]
mod tests {
    use tidegate_site::AccessTo;

    use super::*;

    fn look(query: HiddenQuery, hidden: &[&str]) -> Look {
        Look::of(&AccessLog {
            format: AccessFormat::Json,
            to: AccessTo::Stderr,
            rotate: None,
            sample: 1,
            headers: vec!["referer".to_owned(), "cookie".to_owned(), "x-a".to_owned()],
            hidden_query: query,
            hidden_headers: hidden.iter().map(|&name| name.to_owned()).collect(),
        })
    }

    #[test]
    fn queries_are_hidden_as_far_as_asked() {
        let named = HiddenQuery::Named(vec!["token".to_owned(), "e mail".to_owned()]);
        for (query, target, shown) in [
            (HiddenQuery::None, "/a?token=1", "/a?token=1"),
            (HiddenQuery::All, "/a?token=1", "/a?redacted"),
            (HiddenQuery::All, "/a?", "/a?redacted"),
            (HiddenQuery::All, "/a", "/a"),
            (named.clone(), "/a?x=1&token=secret&y=2", "/a?x=1&token=redacted&y=2"),
            (named.clone(), "/a?TOKEN=s;x=1", "/a?TOKEN=redacted;x=1"),
            (named.clone(), "/a?%74oken=s=t", "/a?%74oken=redacted"),
            (named.clone(), "/a?e+mail=s&e%20mail=t", "/a?e+mail=redacted&e%20mail=redacted"),
            (named.clone(), "/a?token&tokens=1&=", "/a?token&tokens=1&="),
            (named, "/a?a?token=1", "/a?a?token=1"),
        ] {
            assert_eq!(look(query, &[]).target(target), shown, "{target}");
        }
    }

    #[test]
    fn headers_are_hidden_by_name() {
        let mut headers = HeaderMap::new();
        headers.insert(REFERER, "https://a/?token=1&b=2".parse().unwrap());
        headers.insert(USER_AGENT, "test".parse().unwrap());
        headers.insert("cookie", "session=1".parse().unwrap());
        let some = look(HiddenQuery::Named(vec!["token".to_owned()]), &["cookie"]);
        let shown: Vec<_> =
            some.headers.iter().filter_map(|(name, hidden)| some.header(&headers, name, *hidden)).collect();
        assert_eq!(shown, ["https://a/?token=redacted&b=2", "redacted"]);
        assert_eq!(some.agent(Some(&headers)).as_deref(), Some("test"));
        let all = look(HiddenQuery::None, &["referer", "user-agent"]);
        assert_eq!((all.referer(Some(&headers)), all.agent(Some(&headers))), (None, None));
        assert_eq!(some.agent(None), None);
    }
}
