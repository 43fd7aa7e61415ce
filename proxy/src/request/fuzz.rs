//! What the fuzz targets of `tests/fuzz` run of the request's first steps: each compares a check with another way to
//! see the same, and panics where they differ. Built for fuzzing and for tests alone.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, FORWARDED, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use tidegate_site::Limits;

use super::forwarded;
use super::guard::{self, Chunks, Framing, is_authority};
use crate::negotiate::{Accepted, Coding};
use crate::session::parse_bare;

/// The defaults where the header is concerned; nothing else is looked at.
pub(crate) const LIMITS: &Limits = &Limits {
    static_cache: 0,
    header_size: 65_536,
    header_fields: 100,
    connections_per_address: None,
    connections: 0,
    handshake_timeout: Duration::ZERO,
    header_timeout: Duration::ZERO,
    keep_alive: Duration::ZERO,
    client_timeout: Duration::ZERO,
    min_receive_rate: 0,
    min_send_rate: 0,
    body_size: 0,
    http2_streams: 0,
    drain_timeout: Duration::ZERO,
    buffer: tidegate_site::BufferLimits { memory: 0, disk: 0, response: 0, directory: std::path::PathBuf::new() },
};

/// What passes the raw check, an independent parser (hyper's and pingora's) reads as the same single request: whole, with one
/// host and one framing, and a target of which nothing is lost.
pub fn raw_header(mut data: &[u8]) {
    while let Some(rest) = data.strip_prefix(b"\r\n") {
        data = rest;
    }
    let Some(end) = memchr::memmem::find(data, b"\r\n\r\n") else { return };
    let bytes = &data[..end + 4];
    let Ok(shape) = guard::check_raw(bytes, LIMITS) else { return };
    let mut fields = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut fields);
    let read = request.parse(bytes).map(|status| status.is_complete().then(|| status.unwrap()));
    assert_eq!(read, Ok(Some(bytes.len())));
    let values = |name: &str| -> Vec<&[u8]> {
        let fields = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        fields.map(|field| field.value.trim_ascii()).collect()
    };
    let (hosts, lengths, codings) = (values("host"), values("content-length"), values("transfer-encoding"));
    assert!(hosts.len() <= 1 && (request.version == Some(0) || hosts.len() == 1));
    assert!(lengths.len() + codings.len() <= 1);
    assert!(lengths.iter().all(|length| length.iter().all(u8::is_ascii_digit)));
    assert_eq!(shape.fields, request.headers.len());
    match shape.framing {
        Framing::Chunked => {
            assert!(request.version == Some(1) && codings.len() == 1 && codings[0].eq_ignore_ascii_case(b"chunked"));
        }
        Framing::Length => assert!(codings.is_empty() && lengths.len() == 1),
        Framing::None => assert!(codings.is_empty() && lengths.is_empty()),
    }
    for field in request.headers.iter() {
        assert!(!field.value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
    target(request.path.unwrap_or_default(), hosts.first().copied());
    if shape.framing == Framing::None
        && let Some(parts) = parse_bare(&Bytes::copy_from_slice(bytes), shape.fields)
    {
        assert_eq!(Some(parts.method.as_str()), request.method);
        assert_eq!(parts.uri.path_and_query().map(|target| target.as_str()), request.path);
        assert_eq!(parts.headers.len(), request.headers.len());
        for name in parts.headers.keys() {
            let read: Vec<&[u8]> = parts.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
            assert_eq!(read, values(name.as_str()));
        }
    }
}

/// A target that has passed is one that `http` takes whole; the host that it names is the one that the field names.
fn target(target: &str, host: Option<&[u8]>) {
    let uri = Uri::try_from(target).unwrap_or_else(|error| panic!("{target}: {error}"));
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    match (uri.authority(), host) {
        (None, _) => assert_eq!(path, target),
        (Some(named), host) => {
            // `http` gives a target without a path the path `/`.
            assert!(target.ends_with(path.strip_prefix('/').unwrap_or(path)), "{target}");
            assert!(is_authority(named.as_str().as_bytes()), "{target}");
            let host = host.map(|host| Uri::try_from(host).unwrap_or_else(|error| panic!("{host:?}: {error}")));
            assert!(host.is_none_or(|uri| uri.host().is_some_and(|host| host.eq_ignore_ascii_case(named.host()))));
        }
    }
}

/// A chunked body is judged alike however it is cut, and what passes an independent decoder reads to the same end.
pub fn chunks(data: &[u8]) {
    let Some((size, message)) = data.split_first() else { return };
    let mut whole = Chunks::new();
    let judged = whole.check(message).map(|()| whole.is_done());
    let mut cut = Chunks::new();
    let in_pieces = message.chunks(usize::from(*size).max(1)).try_for_each(|piece| cut.check(piece));
    assert_eq!(in_pieces.map(|()| cut.is_done()), judged);
    if judged != Ok(true) {
        return;
    }
    let mut single = Chunks::new();
    let end = message.iter().position(|byte| single.check(&[*byte]).is_ok() && single.is_done());
    let mut rest = message;
    loop {
        let Ok(httparse::Status::Complete((head, size))) = httparse::parse_chunk_size(rest) else {
            panic!("no chunk at {rest:?}");
        };
        rest = &rest[head..];
        if size == 0 {
            break;
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        assert_eq!(&rest[size..size + 2], b"\r\n");
        rest = &rest[size + 2..];
    }
    let mut fields = [httparse::EMPTY_HEADER; 4096];
    match httparse::parse_headers(rest, &mut fields) {
        Ok(httparse::Status::Complete((trailers, _))) => {
            assert_eq!(Some(message.len() - rest.len() + trailers), end.map(|last| last + 1));
        }
        other => panic!("no trailers at {rest:?}: {other:?}"),
    }
}

/// Lines of a number, that picks one of the names, and a value.
pub(crate) fn fields(data: &[u8], names: &[HeaderName]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Some((name, value)) = line.split_first()
            && let Ok(value) = HeaderValue::from_bytes(value)
        {
            headers.append(names[usize::from(*name) % names.len()].clone(), value);
        }
    }
    headers
}

/// Nobody who is not trusted is believed, and whatever is believed is well formed.
pub fn forwarded(data: &[u8]) {
    let name = HeaderName::from_static;
    let names = [
        name("x-forwarded-for"),
        name("x-forwarded-proto"),
        name("x-forwarded-host"),
        name("x-forwarded-port"),
        FORWARDED,
        HOST,
        name("x-real-ip"),
    ];
    let headers = fields(data, &names);
    let peer = SocketAddr::from(([127, 0, 0, 1], 40_000));
    let told = forwarded::origin(peer, false, &headers, &[]);
    assert!(told.client == peer.ip() && told.client_port == peer.port() && !told.https && told.host.is_none());
    for trusted in ["127.0.0.0/8", "0.0.0.0/0"] {
        let Ok(trusted) = trusted.parse() else { return };
        let told = forwarded::origin(peer, false, &headers, &[trusted]);
        assert!(told.host.as_ref().is_none_or(|host| is_authority(host.as_bytes())), "{told:?}");
        let mut sent = headers.clone();
        forwarded::apply(&mut sent, &told, 443);
        assert!(!sent.contains_key(FORWARDED));
        let clients: Vec<_> = sent.get_all("x-forwarded-for").iter().collect();
        assert_eq!(clients, [told.client.to_string().as_str()]);
    }
    nothing_hides_what_is_appended(peer, headers);
}

/// A trusted proxy puts the address of who connected to it behind what the client has sent, at the end of the last line or
/// in a line of its own. That address is believed, whatever stands before it.
fn nothing_hides_what_is_appended(peer: SocketAddr, mut headers: HeaderMap) {
    let told = |headers: &HeaderMap| {
        let trusted = "127.0.0.0/8".parse().map(|network| vec![network]).unwrap_or_default();
        forwarded::origin(peer, false, headers, &trusted).client.to_string()
    };
    for (name, entry, others) in [
        ("x-forwarded-for", "203.0.113.7", &[][..]),
        ("forwarded", "for=203.0.113.7", &["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]),
    ] {
        for other in others {
            headers.remove(*other);
        }
        let name = HeaderName::from_static(name);
        let mut sent: Vec<HeaderValue> = headers.get_all(&name).iter().cloned().collect();
        headers.append(&name, HeaderValue::from_static(entry));
        assert_eq!(told(&headers), "203.0.113.7", "{headers:?}");
        let last = sent.pop().map(|value| [value.as_bytes(), b", ", entry.as_bytes()].concat());
        let last = last.and_then(|line| HeaderValue::try_from(line).ok());
        headers.remove(&name);
        for value in sent.into_iter().chain(last.or_else(|| Some(HeaderValue::from_static(entry)))) {
            headers.append(&name, value);
        }
        assert_eq!(told(&headers), "203.0.113.7", "{headers:?}");
    }
}

/// Any Accept-Encoding has an answer, and it is one that was asked for.
pub fn accept_encoding(data: &[u8]) {
    let headers = fields(data, &[ACCEPT_ENCODING]);
    let accepted = Accepted::of(&headers);
    let says = |name: &str| {
        headers.get_all(ACCEPT_ENCODING).iter().any(|value| {
            let value = value.as_bytes().to_ascii_lowercase();
            memchr::memmem::find(&value, name.as_bytes()).is_some()
        })
    };
    for coding in Coding::ALL {
        if accepted.choose(|one| one == coding).is_some() {
            assert!(says(coding.name()) || says("*"), "{coding:?}: {headers:?}");
        }
    }
    // What is chosen among all is taken where there is nothing else, too.
    if let Some(chosen) = accepted.choose(|_| true) {
        assert_eq!(accepted.choose(|coding| coding == chosen), Some(chosen));
    }
    assert_eq!(accepted.choose(|_| false), None);
}
