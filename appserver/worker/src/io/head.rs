//! A request's head in and a response's head out, for `bare`.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::request;
use http::response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use hyper::ext::ReasonPhrase;

use super::body::ReplyBody;
use super::connection::MAX_HEADERS;

/// What a connection begins with.
pub(super) enum Head {
    /// Not all of it is there.
    Partial,
    /// A request without a body.
    Bare(Box<request::Parts>),
    /// Anything else.
    Other,
}

/// Takes a request's head out of what was read, if it has one without a body. What is anything else stays.
pub(super) fn take(buffer: &mut BytesMut) -> Head {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    let end = match parsed.parse_with_uninit_headers(buffer, &mut fields) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) => return Head::Partial,
        Err(_) => return Head::Other,
    };
    let (Some(method), Some(target), Some(1)) = (parsed.method, parsed.path, parsed.version) else {
        return Head::Other;
    };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else { return Head::Other };
    let at = |part: &[u8]| {
        let start = part.as_ptr().addr() - buffer.as_ptr().addr();
        start..start + part.len()
    };
    let target = at(target.as_bytes());
    let mut places = Vec::with_capacity(parsed.headers.len());
    let mut lengths = 0;
    for field in parsed.headers.iter() {
        let Ok(name) = HeaderName::from_bytes(field.name.as_bytes()) else { return Head::Other };
        lengths += usize::from(name == CONTENT_LENGTH);
        let with_body = name == CONTENT_LENGTH && field.value != b"0" || name == TRANSFER_ENCODING || name == EXPECT;
        if with_body || lengths > 1 || name == CONNECTION || name == UPGRADE {
            return Head::Other;
        }
        places.push((name, at(field.value)));
    }
    if method == Method::CONNECT {
        return Head::Other;
    }
    let Ok(uri) = Uri::try_from(&buffer[target]) else { return Head::Other };
    let bytes = buffer.split_to(end).freeze();
    match parts(method, uri, places, &bytes) {
        Some(parts) => Head::Bare(Box::new(parts)),
        None => {
            let rest = std::mem::take(buffer);
            buffer.extend_from_slice(&bytes);
            buffer.extend_from_slice(&rest);
            Head::Other
        }
    }
}

/// Whether a head that was partial may be whole now that there is more behind its first `searched` bytes.
pub(super) fn may_be_whole(buffer: &[u8], searched: usize) -> bool {
    let new = &buffer[searched.saturating_sub(2).min(buffer.len())..];
    new.windows(2).any(|two| two == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n")
}

fn parts(
    method: Method,
    uri: Uri,
    places: Vec<(HeaderName, std::ops::Range<usize>)>,
    bytes: &Bytes,
) -> Option<request::Parts> {
    let (mut parts, ()) = Request::new(()).into_parts();
    let mut headers = HeaderMap::with_capacity(places.len());
    for (name, place) in places {
        headers.append(name, HeaderValue::from_maybe_shared(bytes.slice(place)).ok()?);
    }
    (parts.method, parts.uri, parts.headers) = (method, uri, headers);
    Some(parts)
}

/// How the end of a response's body is told (RFC 9112 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body, or its length is among the headers.
    Said,
    /// A length that is still to be said.
    Length(usize),
    /// Chunks.
    Chunked,
}

impl Framing {
    pub(super) fn of(head: &response::Parts, body: &ReplyBody, method: &Method) -> Self {
        if is_without_content(head.status) || head.headers.contains_key(CONTENT_LENGTH) {
            return Self::Said;
        }
        match body {
            // What a GET would have had is not known.
            ReplyBody::Empty if *method == Method::HEAD => Self::Said,
            ReplyBody::Empty => Self::Length(0),
            ReplyBody::Full(bytes) => Self::Length(bytes.len()),
            ReplyBody::Streamed(_) => Self::Chunked,
        }
    }
}

/// Whether nothing follows the head (RFC 9112 section 6.3).
pub(super) fn is_bodyless(status: StatusCode, method: &Method) -> bool {
    *method == Method::HEAD || is_without_content(status)
}

fn is_without_content(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// The bytes of a response's head.
pub(super) fn encode(head: &response::Parts, framing: Framing, is_last: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status.as_str().as_bytes());
    out.push(b' ');
    match head.extensions.get::<ReasonPhrase>() {
        Some(reason) => out.extend_from_slice(reason.as_bytes()),
        None => out.extend_from_slice(head.status.canonical_reason().unwrap_or_default().as_bytes()),
    }
    out.extend_from_slice(b"\r\n");
    for (name, value) in &head.headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if is_last {
        out.extend_from_slice(b"connection: close\r\n");
    }
    match framing {
        Framing::Said => out.extend_from_slice(b"\r\n"),
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n"),
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n\r\n");
        }
    }
}
