//! Validators of a file (ETag, Last-Modified) and the conditions of a request against them, in the
//! order of RFC 9110 section 13.2.2. Pure; called by `mod.rs`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::negotiate::Coding;

/// The first second that an HTTP date cannot say: the year 10000.
const END_OF_DATES: u64 = 253_402_300_800;

/// What identifies the state of a file.
#[derive(Debug)]
pub(super) struct Validator {
    tag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
    /// Whole seconds since 1970.
    modified: Option<u64>,
}

impl Validator {
    /// The validator of a file of this length and time of modification, in a content coding or plain:
    /// each form has a tag of its own (RFC 9110 section 8.8.3.3).
    ///
    /// The tag is a strong one, as nginx's and Apache's are: a weak one could not resume a
    /// download (If-Range). The price is a file rewritten within one tick of the file system's
    /// clock without a change of length, in the middle of a download.
    pub(super) fn of(length: u64, modified: Option<SystemTime>, coding: Option<Coding>) -> Self {
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let since = since.filter(|since| since.as_secs() < END_OF_DATES);
        let (dash, coding) = coding.map_or(("", ""), |coding| ("-", coding.name()));
        let tag = |since: Duration| format!("\"{:x}-{length:x}{dash}{coding}\"", since.as_nanos());
        let date = |since: Duration| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(since.as_secs()));
        Self {
            tag: since.and_then(|since| HeaderValue::try_from(tag(since)).ok()),
            last_modified: since.and_then(|since| HeaderValue::try_from(date(since)).ok()),
            modified: since.map(|since| since.as_secs()),
        }
    }

    /// The entity tag, with its quotes.
    pub(super) fn tag(&self) -> Option<&HeaderValue> {
        self.tag.as_ref()
    }

    /// The value of Last-Modified.
    pub(super) fn last_modified(&self) -> Option<&HeaderValue> {
        self.last_modified.as_ref()
    }

    /// Whether a list of entity tags names this one; weak tags count only in a weak comparison.
    fn is_in<'v>(&self, list: impl IntoIterator<Item = &'v HeaderValue>, weak: bool) -> bool {
        let own = self.tag.as_ref().map(HeaderValue::as_bytes);
        list.into_iter().any(|line| {
            line.as_bytes().trim_ascii() == b"*"
                || Tags(line.as_bytes()).any(|(is_weak, tag)| (weak || !is_weak) && Some(tag) == own)
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
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditions<'h>(pub(super) &'h HeaderMap);

impl<'h> Conditions<'h> {
    /// Evaluates everything but If-Range.
    pub(super) fn verdict(self, validator: &Validator) -> Verdict {
        let modified_since = |name: HeaderName| Some(validator.modified? > seconds(self.single(&name)?)?);
        if self.0.contains_key(IF_MATCH) {
            if !validator.is_in(self.0.get_all(IF_MATCH), false) {
                return Verdict::Failed;
            }
        } else if modified_since(IF_UNMODIFIED_SINCE) == Some(true) {
            return Verdict::Failed;
        }
        if self.0.contains_key(IF_NONE_MATCH) {
            if validator.is_in(self.0.get_all(IF_NONE_MATCH), true) {
                return Verdict::NotModified;
            }
        } else if modified_since(IF_MODIFIED_SINCE) == Some(false) {
            return Verdict::NotModified;
        }
        Verdict::Send
    }

    /// The Range field, if If-Range lets it count: its tag or date has to be exactly the file's, and a
    /// date has to name one state of the file (`date_is_strong`, RFC 9110 section 13.1.5).
    pub(super) fn range(self, validator: &Validator, date_is_strong: bool) -> Option<&'h HeaderValue> {
        let range = self.single(&RANGE)?;
        let Some(condition) = self.0.get(IF_RANGE) else { return Some(range) };
        let value = condition.as_bytes().trim_ascii();
        let holds = if value.starts_with(b"\"") || value.starts_with(b"W/") {
            validator.tag().map(HeaderValue::as_bytes) == Some(value)
        } else {
            date_is_strong && validator.modified.is_some() && seconds(condition) == validator.modified
        };
        holds.then_some(range)
    }

    /// A field that may be there once; a second one makes it meaningless.
    fn single(self, name: &HeaderName) -> Option<&'h HeaderValue> {
        let mut values = self.0.get_all(name).iter();
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }
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
        Validator::of(255, Some(modified), None)
    }

    fn tag() -> String {
        validator().tag().unwrap().to_str().unwrap().to_owned()
    }

    fn fields(fields: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn validators_name_time_and_length() {
        assert_eq!(validator().last_modified().unwrap(), DATE);
        let other = |length, nanos| Validator::of(length, Some(UNIX_EPOCH + Duration::from_nanos(nanos)), None).tag;
        // Windows counts time in steps of 100 ns.
        assert_eq!(other(16, 25_600).unwrap(), "\"6400-10\"");
        let coded = Validator::of(16, Some(UNIX_EPOCH + Duration::from_nanos(25_600)), Some(Coding::Brotli));
        assert_eq!(coded.tag().unwrap(), "\"6400-10-br\"");
        assert_ne!(other(16, 25_600), other(17, 25_600));
        assert_ne!(other(16, 25_600), other(16, 25_700));
        for time in
            [None, Some(UNIX_EPOCH - Duration::from_secs(1)), Some(UNIX_EPOCH + Duration::from_secs(END_OF_DATES))]
        {
            let validator = Validator::of(1, time, None);
            assert_eq!((validator.tag(), validator.last_modified()), (None, None));
        }
    }

    #[test]
    fn conditions_are_evaluated_in_order() {
        use Verdict::{Failed, NotModified, Send};
        let tag = tag();
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
        for (given, verdict) in cases {
            assert_eq!(Conditions(&fields(given)).verdict(&validator()), *verdict, "{given:?}");
        }
        // A file without validators is sent, unless a match was demanded.
        let none = Validator::of(1, None, None);
        assert_eq!(Conditions(&fields(&[(ms, LATER)])).verdict(&none), Send);
        assert_eq!(Conditions(&fields(&[(nm, "*")])).verdict(&none), NotModified);
        assert_eq!(Conditions(&fields(&[(m, "\"x\"")])).verdict(&none), Failed);
    }

    #[test]
    fn a_range_counts_only_for_the_file_it_was_meant_for() {
        let tag = tag();
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
            let mut given = vec![(RANGE, "bytes=0-1")];
            given.extend(condition.map(|condition| (IF_RANGE, condition)));
            let given = fields(&given);
            assert_eq!(Conditions(&given).range(&validator(), true).is_some(), counts, "{condition:?}");
            let by_date = condition == Some(DATE);
            assert_eq!(Conditions(&given).range(&validator(), false).is_some(), counts && !by_date, "{condition:?}");
        }
        let twice = fields(&[(RANGE, "bytes=0-1"), (RANGE, "bytes=2-3")]);
        assert_eq!(Conditions(&twice).range(&validator(), true), None);
        let meaningless = fields(&[(RANGE, "bytes=0-1"), (IF_RANGE, "x")]);
        assert_eq!(Conditions(&meaningless).range(&Validator::of(1, None, None), true), None);
    }
}
