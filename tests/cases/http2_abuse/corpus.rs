//! HTTP/2 requests that are malformed, or that two programs could read differently, and what has to become of each.

use tidegate_tests::client::frames::{Fate, GET, flag, frame, kind, literal};

/// What has to become of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    /// One of these; the app sees nothing.
    Refused(&'static [Fate]),
    /// Answered with 200, and the app sees exactly this one: method, target, body.
    Once(&'static str, &'static str, &'static str),
}

use Verdict::{Once, Refused};

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
const COMPRESSION_ERROR: u32 = 9;

/// The request is refused: an answer, or the end of the stream or of the connection.
const MALFORMED: Verdict = Refused(&[Fate::Answered(400), Fate::Reset(PROTOCOL_ERROR), Fate::GoneAway(PROTOCOL_ERROR)]);
/// The connection ends.
const ILLEGAL: Verdict = Refused(&[Fate::GoneAway(PROTOCOL_ERROR)]);

/// The same; the library names the cause of most of these, but not of all.
const COMPRESSED: Verdict = Refused(&[Fate::GoneAway(COMPRESSION_ERROR), Fate::GoneAway(PROTOCOL_ERROR)]);

/// A request on stream 1.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) what: &'static str,
    /// Its frames, as they go over the wire.
    pub(crate) bytes: Vec<u8>,
    pub(crate) verdict: Verdict,
}

fn entry(what: &'static str, bytes: Vec<u8>, verdict: Verdict) -> Entry {
    Entry { what, bytes, verdict }
}

fn headers(fields: &[(&str, &str)], ends: bool) -> Vec<u8> {
    let flags = flag::END_HEADERS | if ends { flag::END_STREAM } else { 0 };
    frame(kind::HEADERS, flags, 1, &literal(fields))
}

fn data(bytes: &[u8], ends: bool) -> Vec<u8> {
    frame(kind::DATA, if ends { flag::END_STREAM } else { 0 }, 1, bytes)
}

/// An ordinary GET with more fields.
fn get(more: &[(&str, &str)]) -> Vec<u8> {
    headers(&[GET, more].concat(), true)
}

/// A GET of these pseudo-headers alone.
fn pseudo(method: &str, scheme: &str, authority: &str, path: &str) -> Vec<u8> {
    headers(&[(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)], true)
}

/// A POST with more fields, then what follows.
fn post(more: &[(&str, &str)], rest: &[Vec<u8>]) -> Vec<u8> {
    let fields = [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", "/p")];
    let mut bytes = headers(&[&fields[..], more].concat(), false);
    bytes.extend(rest.concat());
    bytes
}

/// Pseudo-headers and fields.
pub(crate) fn fields() -> Vec<Entry> {
    vec![
        entry("an ordinary GET", get(&[]), Once("GET", "/p", "")),
        entry("the same host in both places", get(&[("host", "localhost")]), Once("GET", "/p", "")),
        entry("TE: trailers", get(&[("te", "trailers")]), Once("GET", "/p", "")),
        entry("two cookies", get(&[("cookie", "a=b"), ("cookie", "c=d")]), Once("GET", "/p", "")),
        entry("no method", headers(&GET[1..], true), MALFORMED),
        entry("no scheme", headers(&[GET[0], GET[2], GET[3]], true), MALFORMED),
        entry("no path", headers(&GET[..3], true), MALFORMED),
        entry("no authority and no host", headers(&[GET[0], GET[1], GET[3]], true), MALFORMED),
        entry("a method twice", headers(&[&GET[..1], GET].concat(), true), MALFORMED),
        entry("a path twice", headers(&[GET, &[(":path", "/q")]].concat(), true), MALFORMED),
        entry("an authority twice", headers(&[GET, &[(":authority", "other")]].concat(), true), MALFORMED),
        entry("an unknown pseudo-header", headers(&[&[(":forwarded", "x")], GET].concat(), true), MALFORMED),
        entry("a response's pseudo-header", headers(&[GET, &[(":status", "200")]].concat(), true), MALFORMED),
        entry(
            "a pseudo-header after a field",
            headers(&[&GET[..3], &[("x", "y")], &GET[3..]].concat(), true),
            MALFORMED,
        ),
        entry("an empty path", pseudo("GET", "https", "localhost", ""), MALFORMED),
        entry("an empty method", pseudo("", "https", "localhost", "/"), MALFORMED),
        entry("a method with a blank", pseudo("GET /x", "https", "localhost", "/"), MALFORMED),
        entry("a path without a slash", pseudo("GET", "https", "localhost", "p"), MALFORMED),
        entry("an absolute path", pseudo("GET", "https", "localhost", "https://other/"), MALFORMED),
        entry("a path with a blank", pseudo("GET", "https", "localhost", "/a b"), MALFORMED),
        entry("a request in the path", pseudo("GET", "https", "localhost", "/ HTTP/1.1\r\nHost: a\r\n\r\n"), MALFORMED),
        entry("a path with a NUL", pseudo("GET", "https", "localhost", "/\0"), MALFORMED),
        // The HTTP/2 library drops it before anyone sees it.
        entry("a path with a fragment", pseudo("GET", "https", "localhost", "/a#b"), Once("GET", "/a", "")),
        entry("a star without OPTIONS", pseudo("GET", "https", "localhost", "*"), MALFORMED),
        entry("an authority with a user", pseudo("GET", "https", "user@localhost", "/"), MALFORMED),
        entry("an authority with a path", pseudo("GET", "https", "localhost/x", "/"), MALFORMED),
        entry("an empty authority", pseudo("GET", "https", "", "/"), MALFORMED),
        entry("an authority with a line end", pseudo("GET", "https", "localhost\r\nx: y", "/"), MALFORMED),
        entry("a scheme with a request", pseudo("GET", "https://localhost/ HTTP/1.1\r\n", "localhost", "/"), MALFORMED),
        entry("another host", get(&[("host", "other")]), MALFORMED),
        entry("two hosts", get(&[("host", "localhost"), ("host", "localhost")]), MALFORMED),
        entry("a name in upper case", get(&[("X-A", "b")]), MALFORMED),
        entry("an empty name", get(&[("", "b")]), MALFORMED),
        entry("a name with a colon", get(&[("x:y", "b")]), MALFORMED),
        entry("a name with a blank", get(&[("x y", "b")]), MALFORMED),
        entry("a name with a line end", get(&[("x\r\ny", "b")]), MALFORMED),
        entry("a value with a line end", get(&[("x", "a\r\ntransfer-encoding: chunked")]), MALFORMED),
        entry("a value with a NUL", get(&[("x", "a\0b")]), MALFORMED),
        entry("Connection", get(&[("connection", "close")]), MALFORMED),
        entry("Keep-Alive", get(&[("keep-alive", "timeout=5")]), MALFORMED),
        entry("Proxy-Connection", get(&[("proxy-connection", "keep-alive")]), MALFORMED),
        entry("Upgrade", get(&[("upgrade", "h2c")]), MALFORMED),
        entry("TE: gzip", get(&[("te", "gzip")]), MALFORMED),
        entry("Transfer-Encoding", post(&[("transfer-encoding", "chunked")], &[data(b"0\r\n\r\n", true)]), MALFORMED),
        entry(
            "CONNECT",
            headers(&[(":method", "CONNECT"), (":authority", "other:443")], true),
            Refused(&[Fate::Answered(501), Fate::Reset(PROTOCOL_ERROR)]),
        ),
        entry(
            "extended CONNECT, which was not offered",
            headers(&[&[(":method", "CONNECT"), (":protocol", "websocket")], &GET[1..]].concat(), true),
            Refused(&[Fate::Reset(PROTOCOL_ERROR), Fate::Answered(400), Fate::Answered(501)]),
        ),
        entry("a protocol without CONNECT", headers(&[GET, &[(":protocol", "websocket")]].concat(), true), MALFORMED),
    ]
}

/// Bodies and trailers.
pub(crate) fn bodies() -> Vec<Entry> {
    let trailers = |fields: &[(&str, &str)]| headers(fields, true);
    vec![
        entry("a body", post(&[("content-length", "2")], &[data(b"ab", true)]), Once("POST", "/p", "ab")),
        entry("a body without a length", post(&[], &[data(b"a", false), data(b"b", true)]), Once("POST", "/p", "ab")),
        entry("trailers", post(&[], &[data(b"ab", false), trailers(&[("x", "y")])]), Once("POST", "/p", "ab")),
        entry(
            "framing in trailers",
            post(&[], &[data(b"ab", false), trailers(&[("content-length", "9")])]),
            Once("POST", "/p", "ab"),
        ),
        entry(
            "padding",
            post(&[], &[frame(kind::DATA, flag::PADDED | flag::END_STREAM, 1, b"\x03ab\0\0\0")]),
            Once("POST", "/p", "ab"),
        ),
        entry("a body longer than its length", post(&[("content-length", "2")], &[data(b"abc", true)]), MALFORMED),
        entry("a body shorter than its length", post(&[("content-length", "3")], &[data(b"ab", true)]), MALFORMED),
        entry("a length and no body", headers(&[GET, &[("content-length", "5")]].concat(), true), MALFORMED),
        entry(
            "two lengths",
            post(&[("content-length", "2"), ("content-length", "3")], &[data(b"ab", true)]),
            MALFORMED,
        ),
        entry(
            "two equal lengths",
            post(&[("content-length", "2"), ("content-length", "2")], &[data(b"ab", true)]),
            MALFORMED,
        ),
        entry("a list of lengths", post(&[("content-length", "2, 2")], &[data(b"ab", true)]), MALFORMED),
        entry("a length with a sign", post(&[("content-length", "+2")], &[data(b"ab", true)]), MALFORMED),
        entry("an empty length", post(&[("content-length", "")], &[data(b"ab", true)]), MALFORMED),
        entry(
            "pseudo-headers in trailers",
            post(&[], &[data(b"ab", false), trailers(&[(":path", "/q")])]),
            Once("POST", "/p", "ab"),
        ),
        entry(
            "trailers that do not end the stream",
            post(&[], &[data(b"ab", false), headers(&[("x", "y")], false)]),
            Refused(&[Fate::Reset(PROTOCOL_ERROR), Fate::Answered(400), Fate::GoneAway(PROTOCOL_ERROR)]),
        ),
        entry(
            "too much padding",
            post(&[], &[frame(kind::DATA, flag::PADDED | flag::END_STREAM, 1, b"\x09ab")]),
            ILLEGAL,
        ),
    ]
}

/// Frames out of place.
pub(crate) fn frames() -> Vec<Entry> {
    let get = |stream, flags| frame(kind::HEADERS, flags, stream, &literal(GET));
    let whole = flag::END_HEADERS | flag::END_STREAM;
    vec![
        entry("HEADERS on stream 0", get(0, whole), ILLEGAL),
        entry("HEADERS on an even stream", get(2, whole), ILLEGAL),
        entry("DATA on stream 0", frame(kind::DATA, flag::END_STREAM, 0, b"ab"), ILLEGAL),
        entry("DATA on an idle stream", frame(kind::DATA, flag::END_STREAM, 1, b"ab"), ILLEGAL),
        entry("CONTINUATION without HEADERS", frame(kind::CONTINUATION, flag::END_HEADERS, 1, &literal(GET)), ILLEGAL),
        entry(
            "a frame between HEADERS and CONTINUATION",
            [get(1, flag::END_STREAM), frame(kind::PING, 0, 0, &[0; 8])].concat(),
            ILLEGAL,
        ),
        entry(
            "CONTINUATION of another stream",
            [get(1, flag::END_STREAM), frame(kind::CONTINUATION, flag::END_HEADERS, 3, b"")].concat(),
            ILLEGAL,
        ),
        entry(
            "PUSH_PROMISE from a client",
            frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &[&[0, 0, 0, 2][..], &literal(GET)].concat()),
            ILLEGAL,
        ),
        entry(
            "a PING of seven bytes",
            frame(kind::PING, 0, 0, &[0; 7]),
            Refused(&[Fate::GoneAway(FRAME_SIZE_ERROR), Fate::GoneAway(PROTOCOL_ERROR)]),
        ),
        entry("a PING on a stream", frame(kind::PING, 0, 1, &[0; 8]), ILLEGAL),
        entry("SETTINGS on a stream", frame(kind::SETTINGS, 0, 1, &[]), ILLEGAL),
        entry(
            "SETTINGS of five bytes",
            frame(kind::SETTINGS, 0, 0, &[0; 5]),
            Refused(&[Fate::GoneAway(FRAME_SIZE_ERROR), Fate::GoneAway(PROTOCOL_ERROR)]),
        ),
        entry("an acknowledgement nobody waits for", frame(kind::SETTINGS, flag::ACK, 0, &[]).repeat(2), ILLEGAL),
        entry(
            "a window that overflows",
            frame(kind::WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
            Refused(&[Fate::GoneAway(FLOW_CONTROL_ERROR)]),
        ),
        entry("a window update of nothing", frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4]), ILLEGAL),
        entry(
            "a frame that is too large",
            frame(kind::DATA, 0, 1, &[0; 20_000]),
            Refused(&[Fate::GoneAway(FRAME_SIZE_ERROR)]),
        ),
        entry("HPACK that is none", frame(kind::HEADERS, whole, 1, &[0xff; 20]), COMPRESSED),
        entry("an index beyond the table", frame(kind::HEADERS, whole, 1, &[0xfe]), COMPRESSED),
        entry("a stream that depends on itself", frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 1, 0]), MALFORMED),
        entry("RST_STREAM of an idle stream", frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 8]), ILLEGAL),
        entry(
            "DATA after the end of the stream",
            [get(1, whole), data(b"GET", false)].concat(),
            Refused(&[Fate::Reset(STREAM_CLOSED), Fate::GoneAway(STREAM_CLOSED), Fate::GoneAway(PROTOCOL_ERROR)]),
        ),
    ]
}
