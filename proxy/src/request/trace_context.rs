//! The trace that a request belongs to (W3C Trace Context, level 1): taken over from a well-formed `traceparent`, else
//! begun here. Called by the request's story where `trace_context` is on. The proxy makes no span of its own, so what it
//! took over goes on to the app unchanged, `tracestate` with it.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::headers::unique;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-` and the trace id before the parent's.
const ID: std::ops::Range<usize> = 3..35;
/// Version, trace id, parent id and flags with the dashes between them.
const LENGTH: usize = 55;

/// A `traceparent` that is well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceContext {
    parent: String,
    /// Whether it began here; then no `tracestate` belongs to it.
    is_new: bool,
}

impl TraceContext {
    /// The client's, or a new one.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(TRACEPARENT).iter();
        match (values.next().and_then(|value| value.to_str().ok()), values.next()) {
            (Some(parent), None) if is_well_formed(parent) => Self { parent: parent.to_owned(), is_new: false },
            _ => Self::new(),
        }
    }

    /// Recorded (flag 01), because the tracers of apps follow their parent's word: a trace that is not would switch
    /// theirs off.
    fn new() -> Self {
        let (process, number) = unique();
        // Zero is not allowed for either; the process's number is never zero twice in a row.
        let parent = number.rotate_left(17) | 1;
        Self { parent: format!("00-{process:016x}{number:016x}-{parent:016x}-01"), is_new: true }
    }

    /// The trace id: 32 hexadecimal digits.
    pub(crate) fn id(&self) -> &str {
        &self.parent[ID]
    }

    /// Puts it into the header of a request to an app.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        if !self.is_new {
            return;
        }
        headers.remove(TRACESTATE);
        if let Ok(value) = HeaderValue::from_str(&self.parent) {
            headers.insert(TRACEPARENT, value);
        }
    }
}

/// Whether the first four fields can be read, by the rules of version 00 and by those for versions to come
/// (section 3.2 and "Versioning of traceparent").
fn is_well_formed(parent: &str) -> bool {
    let bytes = parent.as_bytes();
    if bytes.len() < LENGTH || bytes[2] != b'-' || bytes[35] != b'-' || bytes[52] != b'-' {
        return false;
    }
    let is_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |part: &[u8]| part.iter().all(|&byte| byte == b'0');
    let (version, trace, span, flags) = (&bytes[..2], &bytes[ID], &bytes[36..52], &bytes[53..LENGTH]);
    let length_fits = match version {
        b"ff" => false,
        b"00" => bytes.len() == LENGTH,
        // What a later version has more is behind another dash.
        _ => bytes.get(LENGTH).is_none_or(|&byte| byte == b'-'),
    };
    length_fits && [version, trace, span, flags].into_iter().all(is_hex) && !is_zero(trace) && !is_zero(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_well_formed_parents_are_taken_over() {
        let later = format!("cc{}-what-comes", &GOOD[2..]);
        let same_length = format!("01{}", &GOOD[2..]);
        let cases = [
            (GOOD.to_owned(), true),
            (later, true),
            (same_length, true),
            (format!("{GOOD}-more"), false),
            (format!("cc{}x", &GOOD[2..]), false),
            (format!("ff{}", &GOOD[2..]), false),
            (GOOD.to_uppercase(), false),
            (GOOD[..54].to_owned(), false),
            (GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)), false),
            (GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)), false),
            (GOOD.replace('-', "_"), false),
            (GOOD.replace("-01", "-0g"), false),
            (String::new(), false),
        ];
        for (parent, taken) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, parent.parse().unwrap());
            headers.insert(TRACESTATE, "a=1".parse().unwrap());
            let context = TraceContext::of(&headers);
            assert_eq!(!context.is_new, taken, "{parent}");
            context.apply(&mut headers);
            assert_eq!(headers.contains_key(TRACESTATE), taken, "{parent}");
            assert_eq!(headers[TRACEPARENT].to_str().unwrap() == parent, taken, "{parent}");
            assert!(is_well_formed(headers[TRACEPARENT].to_str().unwrap()));
            assert!(!taken || context.id() == "4bf92f3577b34da6a3ce929d0e0e4736");
        }
    }

    #[test]
    fn two_parents_are_none_and_new_ones_differ() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, GOOD.parse().unwrap());
        headers.append(TRACEPARENT, GOOD.parse().unwrap());
        let (one, two) = (TraceContext::of(&headers), TraceContext::of(&headers));
        assert!(one.is_new && two.is_new && one.id() != two.id());
        one.apply(&mut headers);
        assert_eq!(headers.get_all(TRACEPARENT).iter().count(), 1);
    }
}
