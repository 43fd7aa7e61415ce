//! Tables of requests that pass and of requests that must not.

use http::{HeaderMap, Method, Uri};

use super::target::{MAX_TARGET, check_path};
use super::*;
use crate::request::fuzz::LIMITS;

/// The status of the refusal, or 0.
fn raw(request: &str) -> u16 {
    check_raw(request.as_bytes(), LIMITS).map_or_else(|failure| failure.status.as_u16(), |_| 0)
}

#[test]
fn ordinary_requests_pass() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET /a%20b?q={1}|`^&r=[]\\ HTTP/1.1\r\nHost:a:8443\r\n\r\n",
        "GET /\u{e4}?\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: shop.example \r\nContent-Length: 12\r\nX-Tab: a\tb\r\nX-Empty:\r\n\r\n",
        "POST /x HTTP/1.1\r\nhost: [::1]:8443\r\ntransfer-encoding: Chunked\r\n\r\n",
        "GET http://shop.example/x?y HTTP/1.1\r\nHost: SHOP.example:80\r\n\r\n",
        "GET https://shop.example:443 HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "PROPFIND /dav HTTP/1.1\r\nHost: a_b\r\n\r\n",
        "M-SEARCH /a HTTP/1.1\r\nHost: 127.0.0.1:1\r\nX-Latin: caf\u{e9}\r\n\r\n",
    ] {
        assert_eq!(raw(request), 0, "{request:?}");
    }
}

#[test]
fn ambiguous_requests_are_refused() {
    for (request, status) in [
        // Line ends and folding.
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n\tX: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n", 400),
        ("", 400),
        ("\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\nrest", 400),
        // Names and values.
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX(y): b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\u{e9}: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\x0bb\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n", 400),
        // Framing.
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\ncontent-length: 0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 501),
        // Host.
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [zz]\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: ..\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: caf\u{e9}\r\n\r\n", 400),
        // Request line and target.
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /\r\nHost: a\r\n\r\n", 400),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1x\r\nHost: a\r\n\r\n", 400),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /a\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /<a> HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET ../a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET https://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n", 400),
        ("GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ] {
        assert_eq!(raw(request), status, "{request:?}");
    }
}

#[test]
fn a_target_that_is_not_utf8_is_refused() {
    assert!(check_raw(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", LIMITS).is_err());
    assert!(check_raw(b"GET / HTTP/1.1\r\nHost: a\r\nX: \xff\r\n\r\n", LIMITS).is_ok());
}

#[test]
fn every_target_that_passes_is_one_that_uri_takes_whole() {
    for byte in 0..=0xff_u8 {
        for target in [[b"/a".as_slice(), &[byte], b"b"].concat(), [b"/?".as_slice(), &[byte], b"b"].concat()] {
            if check_path(&target).is_ok() {
                let uri = Uri::try_from(&target[..]).expect("a target that passed");
                assert_eq!(uri.path_and_query().unwrap().as_str().as_bytes(), target, "{byte:#x}");
            }
        }
    }
}

#[test]
fn limits_have_their_own_statuses() {
    let target = |length| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length));
    assert_eq!(raw(&target(MAX_TARGET - 1)), 0);
    assert_eq!(raw(&target(MAX_TARGET)), 414);
    let value = |length| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length));
    assert_eq!(raw(&value(60_000)), 0);
    assert_eq!(raw(&value(70_000)), 431);
    let fields = |count| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count));
    assert_eq!(raw(&fields(99)), 0);
    assert_eq!(raw(&fields(100)), 431);
}

/// The status of the refusal of an HTTP/2 request, or 0.
fn parsed(method: &str, uri: &str, fields: &[(&'static str, &str)]) -> u16 {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let checked = check_parsed(&method, &uri.parse().unwrap(), &headers, LIMITS);
    checked.map_or_else(|failure| failure.status.as_u16(), |()| 0)
}

#[test]
fn http2_requests_are_held_to_the_same_rules() {
    for (method, uri, fields, status) in [
        ("GET", "https://a/", &[][..], 0),
        ("GET", "https://a/", &[("host", "a")], 0),
        ("GET", "https://A:443/x?y", &[("host", "a")], 0),
        ("GET", "/", &[("host", "a")], 0),
        ("POST", "https://a/", &[("content-length", "3"), ("te", "trailers")], 0),
        ("OPTIONS", "*", &[("host", "a")], 0),
        ("GET", "/", &[], 400),
        ("GET", "https://a/", &[("host", "b")], 400),
        ("GET", "https://a/", &[("host", "a:444")], 400),
        ("GET", "https://a/", &[("host", "a"), ("host", "a")], 400),
        ("GET", "https://u@a/", &[], 400),
        ("GET", "/", &[("host", "a b")], 400),
        ("GET", "*", &[("host", "a")], 400),
        ("GET", "https://a/", &[("connection", "close")], 400),
        ("GET", "https://a/", &[("keep-alive", "1")], 400),
        ("GET", "https://a/", &[("proxy-connection", "close")], 400),
        ("GET", "https://a/", &[("upgrade", "websocket")], 400),
        ("POST", "https://a/", &[("transfer-encoding", "chunked")], 400),
        ("GET", "https://a/", &[("te", "gzip")], 400),
        ("POST", "https://a/", &[("content-length", "3"), ("content-length", "3")], 400),
        ("POST", "https://a/", &[("content-length", "3x")], 400),
        ("CONNECT", "a:443", &[], 501),
    ] {
        assert_eq!(parsed(method, uri, fields), status, "{method} {uri} {fields:?}");
    }
    let long = format!("https://a/{}", "x".repeat(MAX_TARGET));
    assert_eq!(parsed("GET", &long, &[]), 414);
    assert_eq!(parsed("GET", "https://a/", &[("x", &"y".repeat(70_000))]), 431);
    assert_eq!(parsed("GET", "https://a/", &[("x", "y"); 101]), 431);
}
