//! Requests that two programs could read differently, and what has to become of each. Every one is followed by
//! [`TAIL`]: where the end of the request is misjudged, the tail is a request too many or one too few.

use Verdict::{Once, Refused};

/// What follows the bytes of every entry.
pub(crate) const TAIL: &str = "GET /tail HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What has to become of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    /// Answered with this status and the connection closed; the app sees nothing, of the tail neither.
    Refused(u16),
    /// The app sees exactly this one, and after it the tail: method, target, body.
    Once(&'static str, &'static str, &'static str),
    /// The app sees exactly this one; the connection ends after it.
    Last(&'static str, &'static str, &'static str),
}

/// What it is, its bytes, what has to become of it.
pub(crate) type Entry = (&'static str, &'static str, Verdict);

macro_rules! post {
    ($fields:literal, $body:literal) => {
        concat!("POST /p HTTP/1.1\r\nHost: localhost\r\n", $fields, "\r\n", $body)
    };
}

/// Content-Length against Transfer-Encoding, and each of them misspelt.
pub(crate) const FRAMING: &[Entry] = &[
    ("CL.TE", post!("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), Refused(400)),
    ("TE.CL", post!("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), Refused(400)),
    ("CL.0 with TE", post!("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), Refused(400)),
    (
        "TE in upper case beside CL",
        post!("CONTENT-LENGTH: 5\r\nTRANSFER-ENCODING: CHUNKED\r\n", "0\r\n\r\n"),
        Refused(400),
    ),
    (
        "TE with a space before the colon",
        post!("Content-Length: 5\r\nTransfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        Refused(400),
    ),
    (
        "TE with a tab before the colon",
        post!("Content-Length: 5\r\nTransfer-Encoding\t: chunked\r\n", "0\r\n\r\n"),
        Refused(400),
    ),
    (
        "TE after a vertical tab",
        post!("Content-Length: 5\r\nTransfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
        Refused(400),
    ),
    ("TE after a form feed", post!("Transfer-Encoding: \x0cchunked\r\n", "0\r\n\r\n"), Refused(400)),
    ("TE after a NUL", post!("Transfer-Encoding: \0chunked\r\n", "0\r\n\r\n"), Refused(400)),
    (
        "TE on a folded line",
        post!("Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
        Refused(501),
    ),
    (
        "TE hidden in a folded line",
        post!("Content-Length: 5\r\nX-A: b\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        Refused(400),
    ),
    (
        "TE hidden behind a bare CR",
        post!("Content-Length: 5\r\nX-A: b\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        Refused(400),
    ),
    (
        "TE hidden behind a bare LF",
        post!("Content-Length: 5\r\nX-A: b\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        Refused(400),
    ),
    (
        "TE with an underscore",
        post!("Content-Length: 2\r\nTransfer_Encoding: chunked\r\n", "ab"),
        Once("POST", "/p", "ab"),
    ),
    (
        "a name that only begins like TE",
        post!("Content-Length: 2\r\nTransfer-Encodings: chunked\r\n", "ab"),
        Once("POST", "/p", "ab"),
    ),
    ("TE twice", post!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), Refused(400)),
    (
        "TE twice, one of them unknown",
        post!("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n", "0\r\n\r\n"),
        Refused(400),
    ),
    ("TE list with chunked first", post!("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), Refused(501)),
    ("TE list with chunked last", post!("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"), Refused(501)),
    ("TE list with chunked twice", post!("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), Refused(501)),
    ("TE list with an empty member", post!("Transfer-Encoding: , chunked\r\n", "0\r\n\r\n"), Refused(501)),
    ("TE gzip, chunked", post!("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), Refused(501)),
    ("TE identity", post!("Transfer-Encoding: identity\r\nContent-Length: 2\r\n", "ab"), Refused(501)),
    ("TE quoted", post!("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), Refused(501)),
    ("TE with a parameter", post!("Transfer-Encoding: chunked;foo=bar\r\n", "0\r\n\r\n"), Refused(501)),
    ("TE xchunked", post!("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), Refused(501)),
    ("TE with a comma after it", post!("Transfer-Encoding: chunked,\r\n", "0\r\n\r\n"), Refused(501)),
    ("TE empty", post!("Transfer-Encoding:\r\n", "0\r\n\r\n"), Refused(501)),
    (
        "TE in HTTP/1.0",
        "POST /p HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    ("CL twice, equal", post!("Content-Length: 2\r\nContent-Length: 2\r\n", "ab"), Refused(400)),
    ("CL twice, different", post!("Content-Length: 2\r\nContent-Length: 0\r\n", "ab"), Refused(400)),
    ("CL as a list", post!("Content-Length: 2, 2\r\n", "ab"), Refused(400)),
    ("CL with a sign", post!("Content-Length: +2\r\n", "ab"), Refused(400)),
    ("CL negative", post!("Content-Length: -2\r\n", "ab"), Refused(400)),
    ("CL in hexadecimal", post!("Content-Length: 0x2\r\n", "ab"), Refused(400)),
    ("CL with a fraction", post!("Content-Length: 2.0\r\n", "ab"), Refused(400)),
    ("CL with an exponent", post!("Content-Length: 2e0\r\n", "ab"), Refused(400)),
    ("CL with an underscore in it", post!("Content-Length: 0_2\r\n", "ab"), Refused(400)),
    ("CL with a space in it", post!("Content-Length: 1 2\r\n", "ab"), Refused(400)),
    ("CL empty", post!("Content-Length:\r\n", ""), Refused(400)),
    ("CL beyond 64 bits", post!("Content-Length: 18446744073709551618\r\n", "ab"), Refused(400)),
    ("CL with other digits", post!("Content-Length: \u{662}\r\n", "ab"), Refused(400)),
    ("CL with a space before the colon", post!("Content-Length : 2\r\n", "ab"), Refused(400)),
    ("CL with zeros in front", post!("Content-Length: 002\r\n", "ab"), Once("POST", "/p", "ab")),
    ("CL with blanks around", post!("Content-Length: \t 2 \t\r\n", "ab"), Once("POST", "/p", "ab")),
    (
        "CL named by Connection",
        post!("Content-Length: 2\r\nConnection: Content-Length\r\n", "ab"),
        Once("POST", "/p", "ab"),
    ),
    (
        "Host named by Connection",
        post!("Content-Length: 2\r\nConnection: host, keep-alive\r\n", "ab"),
        Once("POST", "/p", "ab"),
    ),
    ("a body without a length", post!("", ""), Once("POST", "/p", "")),
    ("GET with a body", "GET /g HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nab", Once("GET", "/g", "ab")),
];

/// Bodies in chunks.
pub(crate) const CHUNKS: &[Entry] = &[
    ("a body in chunks", post!("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\n\r\n"), Once("POST", "/p", "ab")),
    (
        "chunked in mixed case",
        post!("Transfer-Encoding: ChUnKeD\r\n", "2\r\nab\r\n0\r\n\r\n"),
        Once("POST", "/p", "ab"),
    ),
    (
        "a size with zeros in front",
        post!("Transfer-Encoding: chunked\r\n", "0002\r\nab\r\n000\r\n\r\n"),
        Once("POST", "/p", "ab"),
    ),
    ("an extension", post!("Transfer-Encoding: chunked\r\n", "2;a=b\r\nab\r\n0;c\r\n\r\n"), Once("POST", "/p", "ab")),
    (
        "an extension in quotes",
        post!("Transfer-Encoding: chunked\r\n", "2;a=\"b;c\"\r\nab\r\n0\r\n\r\n"),
        Once("POST", "/p", "ab"),
    ),
    (
        "trailers",
        post!("Transfer-Encoding: chunked\r\nTrailer: X-A\r\n", "2\r\nab\r\n0\r\nX-A: b\r\n\r\n"),
        Once("POST", "/p", "ab"),
    ),
    (
        "framing in trailers",
        post!("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\nContent-Length: 40\r\n\r\n"),
        Once("POST", "/p", "ab"),
    ),
    ("an extension with a bare LF", post!("Transfer-Encoding: chunked\r\n", "2;\nab\r\n0\r\n\r\n"), Refused(400)),
    ("an extension that hides a request", post!("Transfer-Encoding: chunked\r\n", "0;a\n\r\n\r\n"), Refused(400)),
    ("an extension with a bare CR", post!("Transfer-Encoding: chunked\r\n", "2;a\rb\r\nab\r\n0\r\n\r\n"), Refused(400)),
    ("an extension with a NUL", post!("Transfer-Encoding: chunked\r\n", "2;a\0\r\nab\r\n0\r\n\r\n"), Refused(400)),
    ("a size that ends in a bare LF", post!("Transfer-Encoding: chunked\r\n", "2\nab\r\n0\r\n\r\n"), Refused(400)),
    ("a size that ends in a bare CR", post!("Transfer-Encoding: chunked\r\n", "2\rab\r\n0\r\n\r\n"), Refused(400)),
    ("data that end in a bare LF", post!("Transfer-Encoding: chunked\r\n", "2\r\nab\n0\r\n\r\n"), Refused(400)),
    ("data longer than their size", post!("Transfer-Encoding: chunked\r\n", "2\r\nabc\r\n0\r\n\r\n"), Refused(400)),
    (
        "a last chunk that ends in a bare LF",
        post!("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n0\n\r\n"),
        Refused(400),
    ),
    ("an end in a bare LF", post!("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\n\n"), Refused(400)),
    ("no size", post!("Transfer-Encoding: chunked\r\n", "\r\n\r\n"), Refused(400)),
    ("an extension and no size", post!("Transfer-Encoding: chunked\r\n", ";a\r\n\r\n"), Refused(400)),
    ("a blank before the size", post!("Transfer-Encoding: chunked\r\n", " 2\r\nab\r\n0\r\n\r\n"), Refused(400)),
    ("a blank after the size", post!("Transfer-Encoding: chunked\r\n", "2 \r\nab\r\n0\r\n\r\n"), Refused(400)),
    ("a size with a sign", post!("Transfer-Encoding: chunked\r\n", "+2\r\nab\r\n0\r\n\r\n"), Refused(400)),
    ("a negative size", post!("Transfer-Encoding: chunked\r\n", "-2\r\nab\r\n0\r\n\r\n"), Refused(400)),
    ("a size with a prefix", post!("Transfer-Encoding: chunked\r\n", "0x2\r\nab\r\n0\r\n\r\n"), Refused(400)),
    ("a size that is not hexadecimal", post!("Transfer-Encoding: chunked\r\n", "g\r\nab\r\n0\r\n\r\n"), Refused(400)),
    (
        "a size beyond 64 bits",
        post!("Transfer-Encoding: chunked\r\n", "10000000000000002\r\nab\r\n0\r\n\r\n"),
        Refused(400),
    ),
    ("a size that wraps", post!("Transfer-Encoding: chunked\r\n", "fffffffffffffffe\r\nab\r\n0\r\n\r\n"), Refused(400)),
    (
        "a trailer with a space before the colon",
        post!("Transfer-Encoding: chunked\r\n", "0\r\nX-A : b\r\n\r\n"),
        Refused(400),
    ),
    ("a trailer without a colon", post!("Transfer-Encoding: chunked\r\n", "0\r\nnonsense\r\n\r\n"), Refused(400)),
    ("a folded trailer", post!("Transfer-Encoding: chunked\r\n", "0\r\nX-A: b\r\n c\r\n\r\n"), Refused(400)),
    ("a trailer that ends in a bare LF", post!("Transfer-Encoding: chunked\r\n", "0\r\nX-A: b\n\r\n"), Refused(400)),
    ("a request in place of trailers", post!("Transfer-Encoding: chunked\r\n", "0\r\n"), Refused(400)),
];
