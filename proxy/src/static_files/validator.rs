//! Validators of a file (ETag, Last-Modified) and the conditions of a request against them, in the
//! order of RFC 9110 section 13.2.2. Pure; called by `mod.rs`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The first second that an HTTP date cannot say: the year 10000.
const END_OF_DATES: u64 = 253_402_300_800;

/// What identifies the state of a file.
#[derive(Debug)]
pub(super) struct Validator {
    tag: Option<String>,
    /// Whole seconds since 1970.
    modified: Option<u64>,
}

impl Validator {
    /// The validator of a file of this length and time of modification.
    ///
    /// The tag is a strong one, as nginx's and Apache's are: a weak one could not resume a
    /// download (If-Range). The price is a file rewritten within one tick of the file system's
    /// clock without a change of length, in the middle of a download.
    pub(super) fn of(length: u64, modified: Option<SystemTime>) -> Self {
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let since = since.filter(|since| since.as_secs() < END_OF_DATES);
        Self {
            tag: since.map(|since| format!("\"{:x}-{length:x}\"", since.as_nanos())),
            modified: since.map(|since| since.as_secs()),
        }
    }

    /// The entity tag, with its quotes.
    pub(super) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The value of Last-Modified.
    pub(super) fn last_modified(&self) -> Option<String> {
        self.modified.map(|seconds| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds)))
    }

    /// Whether a list of entity tags names this one; weak tags count only in a weak comparison.
    fn is_in(&self, list: &[HeaderValue], weak: bool) -> bool {
        list.iter().any(|line| {
            line.as_bytes().trim_ascii() == b"*"
                || Tags(line.as_bytes())
                    .any(|(is_weak, tag)| (weak || !is_weak) && Some(tag) == self.tag().map(str::as_bytes))
        })
    }
}

/// What the conditions make of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send the file.
    Send,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// The conditional fields of a GET or HEAD, and its Range.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    if_match: Vec<HeaderValue>,
    if_unmodified_since: Option<HeaderValue>,
    if_none_match: Vec<HeaderValue>,
    if_modified_since: Option<HeaderValue>,
    if_range: Option<HeaderValue>,
    range: Option<HeaderValue>,
}

impl Conditions {
    /// Takes the fields from a request; clones share their bytes.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            if_match: headers.get_all(IF_MATCH).iter().cloned().collect(),
            if_unmodified_since: single(headers, &IF_UNMODIFIED_SINCE),
            if_none_match: headers.get_all(IF_NONE_MATCH).iter().cloned().collect(),
            if_modified_since: single(headers, &IF_MODIFIED_SINCE),
            if_range: headers.get(IF_RANGE).cloned(),
            range: single(headers, &RANGE),
        }
    }

    /// Evaluates everything but If-Range.
    pub(super) fn verdict(&self, validator: &Validator) -> Verdict {
        let modified_since = |date: &Option<HeaderValue>| Some(validator.modified? > seconds(date.as_ref()?)?);
        if !self.if_match.is_empty() {
            if !validator.is_in(&self.if_match, false) {
                return Verdict::Failed;
            }
        } else if modified_since(&self.if_unmodified_since) == Some(true) {
            return Verdict::Failed;
        }
        if !self.if_none_match.is_empty() {
            if validator.is_in(&self.if_none_match, true) {
                return Verdict::NotModified;
            }
        } else if modified_since(&self.if_modified_since) == Some(false) {
            return Verdict::NotModified;
        }
        Verdict::Send
    }

    /// The Range field, if If-Range lets it count: its tag or date has to be exactly the file's.
    pub(super) fn range(&self, validator: &Validator) -> Option<&HeaderValue> {
        let range = self.range.as_ref()?;
        let Some(condition) = &self.if_range else { return Some(range) };
        let value = condition.as_bytes().trim_ascii();
        let holds = if value.starts_with(b"\"") || value.starts_with(b"W/") {
            validator.tag().map(str::as_bytes) == Some(value)
        } else {
            validator.modified.is_some() && seconds(condition) == validator.modified
        };
        holds.then_some(range)
    }
}

/// A field that may be there once; a second one makes it meaningless.
fn single(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.clone())
}

/// An HTTP date in seconds since 1970.
fn seconds(value: &HeaderValue) -> Option<u64> {
    let date = httpdate::parse_http_date(value.to_str().ok()?.trim()).ok()?;
    Some(date.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// The entity tags of a list: whether weak, and the tag with its quotes. Ends at the first thing
/// that is none. Tags may hold commas, so the list cannot simply be split.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = (bool, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while let [b' ' | b'\t' | b',', rest @ ..] = self.0 {
            self.0 = rest;
        }
        let weak = self.0.strip_prefix(b"W/");
        let from = weak.unwrap_or(self.0);
        let inner = from.strip_prefix(b"\"")?;
        let length = memchr::memchr(b'"', inner)? + 2;
        self.0 = &from[length..];
        Some((weak.is_some(), &from[..length]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn validator() -> Validator {
        let modified = httpdate::parse_http_date(DATE).unwrap() + Duration::from_nanos(7);
        Validator::of(255, Some(modified))
    }

    fn conditions(fields: &[(HeaderName, &str)]) -> Conditions {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value.parse().unwrap());
        }
        Conditions::of(&headers)
    }

    #[test]
    fn validators_name_time_and_length() {
        assert_eq!(validator().last_modified().as_deref(), Some(DATE));
        let other = |length, nanos| Validator::of(length, Some(UNIX_EPOCH + Duration::from_nanos(nanos))).tag;
        // Windows counts time in steps of 100 ns.
        assert_eq!(other(16, 25_600).as_deref(), Some("\"6400-10\""));
        assert_ne!(other(16, 25_600), other(17, 25_600));
        assert_ne!(other(16, 25_600), other(16, 25_700));
        for time in
            [None, Some(UNIX_EPOCH - Duration::from_secs(1)), Some(UNIX_EPOCH + Duration::from_secs(END_OF_DATES))]
        {
            let validator = Validator::of(1, time);
            assert_eq!((validator.tag(), validator.last_modified()), (None, None));
        }
    }

    #[test]
    fn conditions_are_evaluated_in_order() {
        use Verdict::{Failed, NotModified, Send};
        let tag = validator().tag.unwrap();
        let weak = format!("W/{tag}");
        let listed = format!("\"a,b\", W/\"c\" ,{tag}");
        let weakly_listed = format!("\"x\",W/{tag}");
        let (m, nm, ms, us) = (IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE);
        let cases: &[(&[(HeaderName, &str)], Verdict)] = &[
            (&[], Send),
            (&[(m.clone(), &tag)], Send),
            (&[(m.clone(), "*")], Send),
            (&[(m.clone(), &listed)], Send),
            (&[(m.clone(), "\"x\""), (m.clone(), &tag)], Send),
            (&[(m.clone(), &weak)], Failed),
            (&[(m.clone(), "\"x\"")], Failed),
            (&[(m.clone(), "nonsense")], Failed),
            (&[(us.clone(), DATE)], Send),
            (&[(us.clone(), LATER)], Send),
            (&[(us.clone(), EARLIER)], Failed),
            (&[(us.clone(), "nonsense")], Send),
            (&[(m.clone(), &tag), (us.clone(), EARLIER)], Send),
            (&[(nm.clone(), &tag)], NotModified),
            (&[(nm.clone(), &weak)], NotModified),
            (&[(nm.clone(), "*")], NotModified),
            (&[(nm.clone(), &listed)], NotModified),
            (&[(nm.clone(), &weakly_listed)], NotModified),
            (&[(nm.clone(), "\"x\"")], Send),
            (&[(nm.clone(), "\"x")], Send),
            (&[(ms.clone(), DATE)], NotModified),
            (&[(ms.clone(), LATER)], NotModified),
            (&[(ms.clone(), EARLIER)], Send),
            (&[(ms.clone(), "nonsense")], Send),
            (&[(ms.clone(), DATE), (ms.clone(), DATE)], Send),
            (&[(nm.clone(), "\"x\""), (ms.clone(), LATER)], Send),
            (&[(m.clone(), "\"x\""), (nm.clone(), &tag)], Failed),
            (&[(m.clone(), &tag), (nm.clone(), &tag)], NotModified),
        ];
        for (fields, verdict) in cases {
            assert_eq!(conditions(fields).verdict(&validator()), *verdict, "{fields:?}");
        }
        // A file without validators is sent, unless a match was demanded.
        let none = Validator::of(1, None);
        assert_eq!(conditions(&[(ms, LATER)]).verdict(&none), Send);
        assert_eq!(conditions(&[(nm, "*")]).verdict(&none), NotModified);
        assert_eq!(conditions(&[(m, "\"x\"")]).verdict(&none), Failed);
    }

    #[test]
    fn a_range_counts_only_for_the_file_it_was_meant_for() {
        let tag = validator().tag.unwrap();
        let weak = format!("W/{tag}");
        for (condition, counts) in [
            (None, true),
            (Some(&*tag), true),
            (Some(DATE), true),
            (Some(&*weak), false),
            (Some("\"x\""), false),
            (Some(LATER), false),
            (Some(EARLIER), false),
            (Some("nonsense"), false),
            (Some(""), false),
        ] {
            let mut fields = vec![(RANGE, "bytes=0-1")];
            fields.extend(condition.map(|condition| (IF_RANGE, condition)));
            assert_eq!(conditions(&fields).range(&validator()).is_some(), counts, "{condition:?}");
        }
        let twice = conditions(&[(RANGE, "bytes=0-1"), (RANGE, "bytes=2-3")]);
        assert_eq!(twice.range(&validator()), None);
        assert_eq!(conditions(&[(RANGE, "bytes=0-1"), (IF_RANGE, "x")]).range(&Validator::of(1, None)), None);
    }
}
