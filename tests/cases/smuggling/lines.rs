//! Requests whose line ends, fields, host, target or expectations could be read in two ways.

use super::corpus::Entry;
use super::corpus::Verdict::{Last, Once, Refused};

/// Line ends, names and values.
pub(crate) const FIELDS: &[Entry] = &[
    ("a bare LF after the request line", "GET / HTTP/1.1\nHost: localhost\r\n\r\n", Refused(400)),
    ("a bare LF after a field", "GET / HTTP/1.1\r\nHost: localhost\n\r\n", Refused(400)),
    ("a bare LF for the empty line", "GET / HTTP/1.1\r\nHost: localhost\r\n\n", Refused(400)),
    ("bare LF everywhere", "GET / HTTP/1.1\nHost: localhost\n\n", Refused(400)),
    ("a bare LF before the request", "\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("a bare CR before the request", "\rGET / HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("a bare CR for a line end", "GET / HTTP/1.1\rHost: localhost\r\r\n\r\n", Refused(400)),
    ("CR CR LF", "GET / HTTP/1.1\r\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("empty lines before the request", "\r\n\r\nGET /e HTTP/1.1\r\nHost: localhost\r\n\r\n", Once("GET", "/e", "")),
    ("a blank before the first field", "GET / HTTP/1.1\r\n Host: localhost\r\n\r\n", Refused(400)),
    ("a tab before the first field", "GET / HTTP/1.1\r\n\tX-A: b\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("a folded value", "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n", Refused(400)),
    ("a folded empty value", "GET / HTTP/1.1\r\nHost: localhost\r\nX-A:\r\n \r\n\r\n", Refused(400)),
    ("a folded host", "GET / HTTP/1.1\r\nHost:\r\n localhost\r\n\r\n", Refused(400)),
    ("a blank before the colon", "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", Refused(400)),
    ("a NUL in a name", "GET / HTTP/1.1\r\nHost: localhost\r\nX\0A: b\r\n\r\n", Refused(400)),
    ("a NUL in a value", "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\0c\r\n\r\n", Refused(400)),
    ("an escape in a value", "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: \x1b[2J\r\n\r\n", Refused(400)),
    ("a DEL in a value", "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: \x7f\r\n\r\n", Refused(400)),
    ("letters outside ASCII in a name", "GET / HTTP/1.1\r\nHost: localhost\r\nX-\u{e4}: b\r\n\r\n", Refused(400)),
    ("a comma in a name", "GET / HTTP/1.1\r\nHost: localhost\r\nX,A: b\r\n\r\n", Refused(400)),
    ("no name", "GET / HTTP/1.1\r\nHost: localhost\r\n: b\r\n\r\n", Refused(400)),
    ("no colon", "GET / HTTP/1.1\r\nHost: localhost\r\nX-A b\r\n\r\n", Refused(400)),
];

/// Who is asked: Host against the target.
pub(crate) const HOSTS: &[Entry] = &[
    ("no host", "GET / HTTP/1.1\r\n\r\n", Refused(400)),
    ("an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", Refused(400)),
    ("two hosts", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n", Refused(400)),
    ("the same host twice", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("a list of hosts", "GET / HTTP/1.1\r\nHost: localhost, other\r\n\r\n", Refused(400)),
    ("two hosts and a blank", "GET / HTTP/1.1\r\nHost: localhost other\r\n\r\n", Refused(400)),
    ("a host with a user", "GET / HTTP/1.1\r\nHost: localhost@other\r\n\r\n", Refused(400)),
    ("a host with a path", "GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n", Refused(400)),
    ("a host with a query", "GET / HTTP/1.1\r\nHost: localhost?x\r\n\r\n", Refused(400)),
    ("a host with a fragment", "GET / HTTP/1.1\r\nHost: localhost#x\r\n\r\n", Refused(400)),
    ("a host with a scheme", "GET / HTTP/1.1\r\nHost: http://localhost\r\n\r\n", Refused(400)),
    ("a host with an escape", "GET / HTTP/1.1\r\nHost: local%68ost\r\n\r\n", Refused(400)),
    ("a host outside ASCII", "GET / HTTP/1.1\r\nHost: l\u{f6}calhost\r\n\r\n", Refused(400)),
    ("a host with a backslash", "GET / HTTP/1.1\r\nHost: localhost\\other\r\n\r\n", Refused(400)),
    ("an empty port", "GET / HTTP/1.1\r\nHost: localhost:\r\n\r\n", Refused(400)),
    ("a port out of range", "GET / HTTP/1.1\r\nHost: localhost:65536\r\n\r\n", Refused(400)),
    ("a port of letters", "GET / HTTP/1.1\r\nHost: localhost:http\r\n\r\n", Refused(400)),
    ("two ports", "GET / HTTP/1.1\r\nHost: localhost:80:80\r\n\r\n", Refused(400)),
    ("an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", Refused(400)),
    ("an absolute target", "GET http://localhost/a HTTP/1.1\r\nHost: localhost\r\n\r\n", Once("GET", "/a", "")),
    ("an absolute target of another host", "GET http://other/ HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    (
        "an absolute target of another port",
        "GET http://localhost:81/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        Refused(400),
    ),
    ("an absolute target with a user", "GET http://localhost@other/ HTTP/1.1\r\nHost: other\r\n\r\n", Refused(400)),
    ("an absolute target without a host", "GET http:///a HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    (
        "an absolute target of another scheme",
        "GET gopher://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        Refused(400),
    ),
    (
        "an absolute target with a backslash",
        "GET http://localhost\\@other/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        Refused(400),
    ),
    ("an absolute target that names no one's host header", "GET http://localhost/ HTTP/1.1\r\n\r\n", Refused(400)),
];

/// Methods and targets.
pub(crate) const TARGETS: &[Entry] = &[
    ("a semicolon", "GET /a;b=c?d;e HTTP/1.1\r\nHost: localhost\r\n\r\n", Once("GET", "/a;b=c?d;e", "")),
    ("two slashes in front", "GET //other/a HTTP/1.1\r\nHost: localhost\r\n\r\n", Once("GET", "//other/a", "")),
    (
        "escapes stay escapes",
        "GET /a%2fb%00%0d%0a HTTP/1.1\r\nHost: localhost\r\n\r\n",
        Once("GET", "/a%2fb%00%0d%0a", ""),
    ),
    ("a question mark in the query", "GET /a?b?c HTTP/1.1\r\nHost: localhost\r\n\r\n", Once("GET", "/a?b?c", "")),
    ("a fragment", "GET /a#b HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("a blank in the target", "GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("a request line in the target", "GET / HTTP/1.1 HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("a tab for a blank", "GET\t/ HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("two blanks", "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("a blank after the version", "GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n", Refused(400)),
    ("a NUL in the target", "GET /a\0b HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("a bare CR in the target", "GET /a\rb HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("no slash", "GET a HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("only a query", "GET ?a HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("a star", "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("no target", "GET HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("no version", "GET /\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("a version in lower case", "GET / http/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("version 1.2", "GET / HTTP/1.2\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("version 1.10", "GET / HTTP/1.10\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("version 2.0", "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refused(400)),
    ("a method with a parenthesis", "G(T / HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("a method in lower case is another method", "get /m HTTP/1.1\r\nHost: localhost\r\n\r\n", Once("get", "/m", "")),
    ("CONNECT", "CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n", Refused(501)),
    ("CONNECT with a path", "CONNECT / HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(501)),
];

/// Expect, Upgrade and who stays.
pub(crate) const CONNECTIONS: &[Entry] = &[
    (
        "an upgrade to h2c",
        "GET /u HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        Once("GET", "/u", ""),
    ),
    (
        "an upgrade to WebSocket",
        "GET /u HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        Once("GET", "/u", ""),
    ),
    (
        "an unknown expectation",
        "POST /x HTTP/1.1\r\nHost: localhost\r\nExpect: cookies\r\nContent-Length: 2\r\n\r\nab",
        Once("POST", "/x", "ab"),
    ),
    (
        "100-continue and the body at once",
        "POST /x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nab",
        Once("POST", "/x", "ab"),
    ),
    (
        "100-continue twice",
        "POST /x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue, 100-continue\r\nContent-Length: 2\r\n\r\nab",
        Once("POST", "/x", "ab"),
    ),
    (
        "100-continue without a body",
        "GET /x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n",
        Once("GET", "/x", ""),
    ),
    (
        "100-continue in HTTP/1.0",
        "POST /x HTTP/1.0\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
        Last("POST", "/x", "ab"),
    ),
    ("close", "GET /c HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", Last("GET", "/c", "")),
    (
        "close in a list",
        "GET /c HTTP/1.1\r\nHost: localhost\r\nConnection: TE, Close\r\nTE: trailers\r\n\r\n",
        Last("GET", "/c", ""),
    ),
    (
        "Proxy-Connection says nothing",
        "GET /c HTTP/1.1\r\nHost: localhost\r\nProxy-Connection: close\r\n\r\n",
        Once("GET", "/c", ""),
    ),
    ("a Proxy header", "GET /c HTTP/1.1\r\nHost: localhost\r\nProxy: http://other\r\n\r\n", Once("GET", "/c", "")),
    ("HTTP/1.0", "GET /c HTTP/1.0\r\nHost: localhost\r\n\r\n", Last("GET", "/c", "")),
    (
        "HTTP/1.0 that stays",
        "GET /c HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
        Once("GET", "/c", ""),
    ),
];
