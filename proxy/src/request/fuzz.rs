//! What the fuzz targets of `tests/fuzz` run of the request's first steps: each compares a check with another way to
//! see the same, and panics where they differ. Only built for fuzzing.

use std::net::SocketAddr;

use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};

use tidegate_site::Limits;

use super::forwarded;
use super::guard::{self, Chunks, Framing, is_authority};
use crate::negotiate::Accepted;

/// What passes the raw check, an independent parser reads whole, with one host and one framing.
pub fn raw_header(mut data: &[u8], limits: &Limits) {
    while let Some(rest) = data.strip_prefix(b"\r\n") {
        data = rest;
    }
    let Some(end) = memchr::memmem::find(data, b"\r\n\r\n") else { return };
    let bytes = &data[..end + 4];
    let Ok(framing) = guard::check_raw(bytes, limits) else { return };
    let mut fields = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut fields);
    let read = request.parse(bytes).map(|status| status.is_complete().then(|| status.unwrap()));
    assert_eq!(read, Ok(Some(bytes.len())));
    assert!(http::Uri::try_from(request.path.unwrap_or_default()).is_ok());
    let count = |name: &str| request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
    assert!(count("host") <= 1 && (request.version == Some(0) || count("host") == 1));
    assert!(count("content-length") + count("transfer-encoding") <= 1);
    assert_eq!(framing == Framing::Chunked, count("transfer-encoding") == 1);
    for field in request.headers.iter() {
        assert!(!field.value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
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
}

/// Any Accept-Encoding has an answer.
pub fn accept_encoding(data: &[u8]) {
    let headers = fields(data, &[http::header::ACCEPT_ENCODING]);
    let accepted = Accepted::of(&headers);
    // What is chosen among all is taken where there is nothing else, too.
    if let Some(chosen) = accepted.choose(|_| true) {
        assert_eq!(accepted.choose(|coding| coding == chosen), Some(chosen));
    }
    assert_eq!(accepted.choose(|_| false), None);
}
