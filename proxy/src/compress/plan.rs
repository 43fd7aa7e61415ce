//! Whether a response is compressed, and what that changes in its header. Pure; called by `compress` when the header is
//! complete but for what frames the body.

use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use tidegate_site::{Compress, CompressionLevel, ContentCoding};

use crate::negotiate::{Accepted, Coding, vary_on};

/// Digests of the body as it is sent: they are of another one after it was compressed.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// How a response is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    pub(super) coding: Coding,
    pub(super) level: CompressionLevel,
}

/// Decides by the request's fields, the response's, and the length of its body where it is known. Changes the response's
/// fields accordingly: `Vary` also where another client would have got another body. `is_free` says whether there is
/// room for one more.
pub(super) fn plan(
    settings: &Compress,
    request: &HeaderMap,
    status: StatusCode,
    headers: &mut HeaderMap,
    length: Option<u64>,
    is_free: impl FnOnce() -> bool,
) -> Option<Plan> {
    if status == StatusCode::NOT_MODIFIED {
        // RFC 9110 section 15.4.5: as in the response that the client has.
        vary_on(headers, "Accept-Encoding");
        return None;
    }
    if length.is_some_and(|length| length < settings.min_size.max(1)) || !may(settings, status, headers) {
        return None;
    }
    vary_on(headers, "Accept-Encoding");
    let accepted = Accepted::of(request);
    let coding = accepted.best_of(settings.codings.iter().map(|&coding| offered(coding)))?;
    if !is_free() {
        return None;
    }
    headers.insert(CONTENT_ENCODING, coding.header());
    // Ranges are of the body as the app or the file has it.
    headers.remove(ACCEPT_RANGES);
    for digest in DIGESTS {
        headers.remove(digest);
    }
    weaken(headers);
    Some(Plan { coding, level: settings.level })
}

fn may(settings: &Compress, status: StatusCode, headers: &HeaderMap) -> bool {
    let is_whole = !status.is_informational()
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT);
    is_whole
        && !headers.contains_key(CONTENT_RANGE)
        && headers.get(CONTENT_ENCODING).is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
        && headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| settings.takes(value))
        && !forbids_transforming(headers)
}

/// RFC 9111 section 5.2.2.6.
fn forbids_transforming(headers: &HeaderMap) -> bool {
    headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let mut directives = value.as_bytes().split(|&byte| byte == b',');
        directives.any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
    })
}

/// A strong tag promises the same bytes, which another coding is not (RFC 9110 section 8.8.3).
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(ETAG) else { return };
    if tag.as_bytes().starts_with(b"W/") {
        return;
    }
    match HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()) {
        Ok(weak) => headers.insert(ETAG, weak),
        Err(_) => headers.remove(ETAG),
    };
}

fn offered(coding: ContentCoding) -> Coding {
    match coding {
        ContentCoding::Zstd => Coding::Zstd,
        ContentCoding::Brotli => Coding::Brotli,
        ContentCoding::Gzip => Coding::Gzip,
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT_ENCODING, VARY};
    use tidegate_site::MediaPattern;

    use super::*;

    fn settings() -> Compress {
        Compress {
            codings: vec![ContentCoding::Zstd, ContentCoding::Gzip],
            min_size: 100,
            types: vec![MediaPattern::Starting("text/".to_owned())],
            level: CompressionLevel::Balanced,
        }
    }

    fn decide(
        status: u16,
        accept: &'static str,
        length: Option<u64>,
        fields: &[(&'static str, &'static str)],
    ) -> (Option<Coding>, HeaderMap) {
        let mut request = HeaderMap::new();
        request.insert(ACCEPT_ENCODING, HeaderValue::from_static(accept));
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let status = StatusCode::from_u16(status).unwrap();
        let plan = plan(&settings(), &request, status, &mut headers, length, || true);
        (plan.map(|plan| plan.coding), headers)
    }

    const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");

    #[test]
    fn what_may_be_compressed_is_and_what_may_not_is_left_alone() {
        type Fields = &'static [(&'static str, &'static str)];
        type Case = (u16, &'static str, Option<u64>, Fields, Option<Coding>, bool);
        // Status, Accept-Encoding, length, fields; coding, whether Vary is set.
        let cases: &[Case] = &[
            (200, "gzip, zstd", Some(1000), &[HTML], Some(Coding::Zstd), true),
            (200, "gzip, br", Some(1000), &[HTML], Some(Coding::Gzip), true),
            (200, "gzip, zstd;q=0.5", None, &[HTML], Some(Coding::Gzip), true),
            (404, "gzip", None, &[HTML], Some(Coding::Gzip), true),
            (200, "br", Some(1000), &[HTML], None, true),
            (200, "", Some(1000), &[HTML], None, true),
            (200, "gzip", Some(99), &[HTML], None, false),
            (200, "gzip", Some(100), &[HTML], Some(Coding::Gzip), true),
            (200, "gzip", Some(1000), &[("content-type", "image/png")], None, false),
            (200, "gzip", Some(1000), &[], None, false),
            (200, "gzip", Some(1000), &[HTML, ("content-encoding", "br")], None, false),
            (200, "gzip", Some(1000), &[HTML, ("content-encoding", "identity")], Some(Coding::Gzip), true),
            (200, "gzip", Some(1000), &[HTML, ("cache-control", "max-age=1, No-Transform")], None, false),
            (206, "gzip", Some(1000), &[HTML, ("content-range", "bytes 0-1/2")], None, false),
            (200, "gzip", Some(1000), &[HTML, ("content-range", "bytes 0-1/2")], None, false),
            (204, "gzip", None, &[HTML], None, false),
            (304, "gzip", None, &[], None, true),
        ];
        for (status, accept, length, fields, coding, varies) in cases {
            let (found, headers) = decide(*status, accept, *length, fields);
            assert_eq!((found, headers.contains_key(VARY)), (*coding, *varies), "{status} {accept} {fields:?}");
            let told = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
            assert!(coding.is_none_or(|coding| told == Some(coding.name())));
        }
    }

    #[test]
    fn what_was_said_of_the_plain_body_is_taken_back() {
        let fields: &[(&'static str, &'static str)] =
            &[HTML, ("etag", "\"a\""), ("accept-ranges", "bytes"), ("content-md5", "x"), ("last-modified", "d")];
        let (_, headers) = decide(200, "gzip", None, fields);
        assert_eq!(headers[ETAG], "W/\"a\"");
        assert!(!headers.contains_key(ACCEPT_RANGES) && !headers.contains_key("content-md5"));
        assert!(headers.contains_key("last-modified"));
        let (_, weak) = decide(200, "gzip", None, &[HTML, ("etag", "W/\"a\"")]);
        assert_eq!(weak[ETAG], "W/\"a\"");
        let (_, plain) = decide(200, "", None, fields);
        assert_eq!((&plain[ETAG], plain.contains_key(ACCEPT_RANGES)), (&HeaderValue::from_static("\"a\""), true));
    }
}
