//! What is taken off a request or a response between client and worker: hop-by-hop fields, fields
//! that only Tidegate may speak, and spellings that an app could not tell from those. Also the
//! request id. Called by the request's story; adds nothing itself.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName};
use tidegate_contract::INTERNAL_HEADER;

/// The request id's field, in requests and responses.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Hop-by-hop fields (RFC 9110 section 7.6.1), and `Proxy`, which CGI-like code takes for the
/// environment variable HTTP_PROXY.
const HOP_BY_HOP: [&str; 7] = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy"];

/// Fields that a Connection field cannot take away: without them the message means another one.
const KEPT: [&str; 4] = ["host", "content-length", "content-type", "cache-control"];

/// Fields whose meaning to the app is set by Tidegate, so no other spelling may carry them.
const OURS: [&str; 10] = [
    "forwarded",
    "x-real-ip",
    "x-request-id",
    "traceparent",
    "tracestate",
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
];

/// Removes from a client's request what must not reach a worker. The X-Forwarded-* fields are
/// dealt with by `forwarded.rs`.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    strip(headers, |name, headers| is_hop_by_hop(name) || name == INTERNAL_HEADER || is_alias(name, headers));
}

/// Removes what only a server that has verified a client's certificate may say, however it is spelled: apps behind
/// other servers were told of it in such fields.
pub(crate) fn strip_client_identity(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_client_identity(name.as_str())).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
}

/// `SSL-Client-...` or `X-SSL-Client-...`.
fn is_client_identity(name: &str) -> bool {
    let name = name.strip_prefix("x-").or_else(|| name.strip_prefix("x_")).unwrap_or(name);
    name.len() >= 11 && name.is_char_boundary(11) && dashed_is(&name[..11], "ssl-client-")
}

/// Removes from a worker's response what must not reach a client.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    strip(headers, |name, _| is_hop_by_hop(name) || dashed_is(name, INTERNAL_HEADER));
}

/// Removes the fields that Connection lists and those that `refused` picks. Allocates only if
/// there is something to remove.
fn strip(headers: &mut HeaderMap, refused: impl Fn(&str, &HeaderMap) -> bool) {
    let mut doomed: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(CONNECTION) {
        for token in value.as_bytes().split(|&byte| byte == b',') {
            let token = token.trim_ascii();
            if token.eq_ignore_ascii_case(b"close") || token.eq_ignore_ascii_case(b"keep-alive") {
                continue;
            }
            if let Ok(name) = HeaderName::from_bytes(token)
                && !KEPT.contains(&name.as_str())
                && headers.contains_key(&name)
            {
                doomed.push(name);
            }
        }
    }
    doomed.extend(headers.keys().filter(|name| refused(name.as_str(), headers)).cloned());
    for name in doomed {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.contains(&name) || name.starts_with("proxy-")
}

/// Whether a name with underscores becomes, in a WSGI environ, the same key as a name that
/// Tidegate speaks for or as another field of this request.
fn is_alias(name: &str, headers: &HeaderMap) -> bool {
    if !name.contains('_') {
        return false;
    }
    let dashed = name.replace('_', "-");
    dashed == INTERNAL_HEADER
        || dashed.starts_with("x-forwarded-")
        || is_hop_by_hop(&dashed)
        || OURS.contains(&dashed.as_str())
        || headers.contains_key(dashed.as_str())
}

/// Whether `name` is `wanted` once its underscores are dashes.
fn dashed_is(name: &str, wanted: &str) -> bool {
    name.len() == wanted.len()
        && name.bytes().zip(wanted.bytes()).all(|(byte, wanted)| byte == wanted || (byte == b'_' && wanted == b'-'))
}

/// The client's request id if it is well formed, so that a caller's logs and ours meet; else a new
/// one. An id is a name for finding log lines, never proof of anything.
pub(crate) fn request_id(headers: &HeaderMap) -> String {
    let mut values = headers.get_all(REQUEST_ID).iter();
    match (values.next().and_then(|value| value.to_str().ok()), values.next()) {
        (Some(id), None) if is_request_id(id) => id.to_owned(),
        _ => new_request_id(),
    }
}

/// `[A-Za-z0-9._-]{1,128}`, as the dispatch header requires.
pub(crate) fn is_request_id(id: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=128).contains(&id.len()) && id.bytes().all(legal)
}

const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";

/// 32 hexadecimal digits, unlike those of any other request of this process.
pub(crate) fn new_request_id() -> String {
    let (process, number) = unique();
    // By hand: a formatter would cost a tenth of what a small file does.
    let mut id = vec![0; 32];
    let bytes = process.to_be_bytes().into_iter().chain(number.to_be_bytes());
    for (digits, byte) in id.chunks_exact_mut(2).zip(bytes) {
        digits[0] = HEXADECIMAL[usize::from(byte >> 4)];
        digits[1] = HEXADECIMAL[usize::from(byte & 15)];
    }
    String::from_utf8(id).unwrap_or_default()
}

/// This process's random number, and a counter behind a bijection that makes neighbours look
/// different. Unique without a system call for each request.
pub(crate) fn unique() -> (u64, u64) {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    static SEED: LazyLock<(u64, u64)> = LazyLock::new(|| {
        use std::hash::{BuildHasher as _, RandomState};
        // The standard library's hash keys come from the system's random numbers.
        (RandomState::new().hash_one(1_u8), RandomState::new().hash_one(2_u8))
    });
    let (process, start) = *SEED;
    (process, mix(start.wrapping_add(COUNTER.fetch_add(1, Ordering::Relaxed))))
}

/// A permutation of the 64-bit numbers: each step can be undone.
fn mix(mut number: u64) -> u64 {
    number ^= number >> 32;
    number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number ^= number >> 29;
    number = number.wrapping_mul(0xd6e8_feb8_6659_fd93);
    number ^ (number >> 32)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    type Fields = [(&'static str, &'static str)];

    fn headers(fields: &Fields) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn hop_by_hop_and_internal_fields_leave_a_request() {
        let cases: &[(&Fields, &[&str])] = &[
            (&[("host", "a"), ("accept", "*/*")], &["accept", "host"]),
            (&[("host", "a"), ("connection", "keep-alive"), ("keep-alive", "timeout=5")], &["host"]),
            (
                &[("connection", "close, X-Mine , upgrade"), ("x-mine", "1"), ("upgrade", "h2c"), ("cookie", "a")],
                &["cookie"],
            ),
            (
                &[("connection", "host, content-length"), ("host", "a"), ("content-length", "1")],
                &["content-length", "host"],
            ),
            (&[("connection", "x-a"), ("connection", "x-b"), ("x-a", "1"), ("x-b", "1"), ("x-c", "1")], &["x-c"]),
            (&[("connection", "@, ,x y")], &[]),
            (&[("te", "trailers"), ("trailer", "x"), ("transfer-encoding", "chunked")], &[]),
            (&[("proxy-authorization", "x"), ("proxy-connection", "x"), ("proxy", "http://evil")], &[]),
            (&[("x-tidegate", "n=1"), ("x_tidegate", "n=1"), ("x-tidegate-demo", "1")], &["x-tidegate-demo"]),
            (
                &[("x_forwarded_for", "1"), ("x-forwarded_proto", "1"), ("x_request_id", "1"), ("content_length", "1")],
                &[],
            ),
            (&[("transfer_encoding", "chunked"), ("x_real_ip", "1"), ("forwarded", "for=1")], &["forwarded"]),
            (&[("api_key", "1"), ("x_user", "evil"), ("x-user", "good")], &["api_key", "x-user"]),
        ];
        for (fields, left) in cases {
            let mut map = headers(fields);
            strip_request(&mut map);
            assert_eq!(names(&map), *left, "{fields:?}");
        }
    }

    #[test]
    fn nobody_claims_a_verified_certificate_in_any_spelling() {
        let mut map = headers(&[
            ("ssl-client-verify", "SUCCESS"),
            ("ssl_client_s_dn", "CN=root"),
            ("x-ssl-client-cert", "x"),
            ("x_ssl_client_verify", "x"),
            ("x-ssl_client-s-dn", "x"),
            ("x_ssl-client-fingerprint", "x"),
            ("ssl-client", "kept"),
            ("x-ssl-clientele", "kept"),
        ]);
        strip_client_identity(&mut map);
        assert_eq!(names(&map), ["ssl-client", "x-ssl-clientele"]);
    }

    #[test]
    fn a_response_keeps_what_is_the_apps() {
        let mut map = headers(&[
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("x-tidegate", "cause=app_error"),
            ("x_tidegate", "x"),
            ("content_md5", "x"),
            ("set-cookie", "a=b"),
            ("set-cookie", "c=d"),
        ]);
        strip_response(&mut map);
        assert_eq!(names(&map), ["content_md5", "set-cookie"]);
        assert_eq!(map.get_all("set-cookie").iter().count(), 2);
    }

    #[test]
    fn only_a_well_formed_id_is_taken_over() {
        let long = "x".repeat(128);
        for (id, taken) in
            [("a-1.B_2", true), (&*long, true), ("", false), ("a b", false), ("a\"b", false), ("a=b", false)]
        {
            let mut map = HeaderMap::new();
            map.insert(REQUEST_ID, id.parse().unwrap());
            assert_eq!(request_id(&map) == id, taken, "{id:?}");
        }
        assert!(!is_request_id(&"x".repeat(129)));
        assert!(is_request_id(&request_id(&headers(&[("x-request-id", "a"), ("x-request-id", "b")]))));
    }

    #[test]
    fn new_ids_are_well_formed_and_differ() {
        let ids: HashSet<_> = (0..10_000).map(|_| new_request_id()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 32 && is_request_id(id)));
    }
}
