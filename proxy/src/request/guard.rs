//! Refuses requests whose framing or address two programs could read differently (request
//! smuggling), and those over the header limits. Called first in a request's story: with the raw
//! bytes for HTTP/1.x, because pingora accepts more than may be passed on, and with the parsed
//! request for HTTP/2. Never changes a request, allocates only to refuse.

mod chunks;

use std::net::Ipv6Addr;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method, Uri};
use tidegate_site::Limits;

pub(crate) use self::chunks::Chunks;
use super::error::Failure;

/// Longest target. Browsers stop at 2 KiB to 64 KiB; beyond 16 KiB the data belongs in a body.
const MAX_TARGET: usize = 16 << 10;

/// A host name has at most 253 bytes; a port adds six.
const MAX_AUTHORITY: usize = 260;

/// What the fields of a request say about framing and host, collected in one pass.
#[derive(Default)]
struct Seen<'a> {
    host: Option<&'a [u8]>,
    content_length: bool,
    transfer_encoding: bool,
}

/// How the body that follows a header is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// In chunks.
    Chunked,
    /// By Content-Length.
    Length,
    /// There is none.
    None,
}

/// What a header that passed the check is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// How its body is framed.
    pub(crate) framing: Framing,
    /// How many fields it has.
    pub(crate) fields: usize,
}

/// Checks the raw header of an HTTP/1.x request, from the request line to the empty line.
pub(crate) fn check_raw(bytes: &[u8], limits: &Limits) -> Result<Shape, Failure> {
    // Empty lines before a request line are allowed (RFC 9112 section 2.2).
    let mut rest = bytes;
    while let Some(after) = rest.strip_prefix(b"\r\n") {
        rest = after;
    }
    let line = take_line(&mut rest)?;
    let (method, target, minor) = request_line(line)?;
    if target.len() > MAX_TARGET {
        return Err(Failure::target_too_long());
    }
    if bytes.len() > limits.header_size {
        return Err(Failure::header_too_large("header over its size limit"));
    }
    let absolute = check_target(method, target)?;

    let mut seen = Seen::default();
    let mut fields = 0;
    loop {
        let line = take_line(&mut rest)?;
        if line.is_empty() {
            break;
        }
        fields += 1;
        if fields > limits.header_fields {
            return Err(Failure::header_too_large("more header fields than allowed"));
        }
        field(line, minor, &mut seen)?;
    }
    if !rest.is_empty() {
        return Err(Failure::bad_request("bytes after the header"));
    }
    if seen.transfer_encoding && seen.content_length {
        return Err(Failure::bad_request("both Content-Length and Transfer-Encoding"));
    }
    match (seen.host, absolute) {
        (None, _) if minor == 1 => Err(Failure::bad_request("no Host")),
        (Some(host), Some(target)) if !same_authority(host, target.authority, target.scheme) => {
            Err(Failure::bad_request("Host differs from the target's authority"))
        }
        _ => {
            let framing = match (seen.transfer_encoding, seen.content_length) {
                (true, _) => Framing::Chunked,
                (false, true) => Framing::Length,
                (false, false) => Framing::None,
            };
            Ok(Shape { framing, fields })
        }
    }
}

/// Cuts off the next line, which has to end with CR LF.
fn take_line<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Failure> {
    let Some(end) = memchr::memchr(b'\n', rest) else {
        return Err(Failure::bad_request("header without an end"));
    };
    let (line, after) = rest.split_at(end);
    *rest = &after[1..];
    line.strip_suffix(b"\r").ok_or_else(|| Failure::bad_request("line ends with a bare LF"))
}

/// Splits `METHOD SP TARGET SP HTTP/1.x`: exactly two spaces.
fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], u8), Failure> {
    let malformed = || Failure::bad_request("malformed request line");
    let first = memchr::memchr(b' ', line).ok_or_else(malformed)?;
    let (method, rest) = (&line[..first], &line[first + 1..]);
    let second = memchr::memchr(b' ', rest).ok_or_else(malformed)?;
    let (target, version) = (&rest[..second], &rest[second + 1..]);
    let minor = match version {
        b"HTTP/1.1" => 1,
        b"HTTP/1.0" => 0,
        _ => return Err(malformed()),
    };
    if target.is_empty() || !is_token(method) {
        return Err(malformed());
    }
    Ok((method, target, minor))
}

/// Where an absolute target says it goes.
struct Absolute<'a> {
    scheme: &'a [u8],
    authority: &'a [u8],
}

/// Checks the target by its form; returns what an absolute one names.
fn check_target<'a>(method: &[u8], target: &'a [u8]) -> Result<Option<Absolute<'a>>, Failure> {
    if method == b"CONNECT" {
        return Err(Failure::not_implemented("CONNECT"));
    }
    if target == b"*" {
        return if method == b"OPTIONS" { Ok(None) } else { Err(Failure::bad_request("target * without OPTIONS")) };
    }
    if target[0] == b'/' {
        return check_path(target).map(|()| None);
    }
    let malformed = || Failure::bad_request("malformed target");
    let colon = memchr::memchr(b':', target).ok_or_else(malformed)?;
    let scheme = &target[..colon];
    let rest = target[colon..].strip_prefix(b"://").ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return Err(malformed());
    }
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !is_authority(authority) {
        return Err(Failure::bad_request("malformed authority in the target"));
    }
    check_path(path)?;
    Ok(Some(Absolute { scheme, authority }))
}

/// Accepts in path and query what `http::Uri` accepts, less the fragment, which it would drop.
fn check_path(target: &[u8]) -> Result<(), Failure> {
    let mut query = false;
    let mut high = false;
    for &byte in target {
        match byte {
            0..=b' ' | 0x7f | b'#' | b'<' | b'>' => return Err(Failure::bad_request("illegal byte in the target")),
            b'`' if !query => return Err(Failure::bad_request("illegal byte in the target")),
            b'"' if query => return Err(Failure::bad_request("illegal byte in the target")),
            b'?' => query = true,
            0x80.. => high = true,
            _ => {}
        }
    }
    if high && std::str::from_utf8(target).is_err() {
        return Err(Failure::bad_request("target is not UTF-8"));
    }
    Ok(())
}

/// Checks one field line and notes what it says.
fn field<'a>(line: &'a [u8], minor: u8, seen: &mut Seen<'a>) -> Result<(), Failure> {
    if line[0] == b' ' || line[0] == b'\t' {
        return Err(Failure::bad_request("folded header line"));
    }
    let colon = memchr::memchr(b':', line).ok_or_else(|| Failure::bad_request("header line without a colon"))?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err(Failure::bad_request("malformed header name"));
    }
    // A fold over the whole value, without an early exit, is what the compiler vectorises.
    if value.iter().fold(false, |bad, &byte| bad | ((byte < b' ') & (byte != b'\t')) | (byte == 0x7f)) {
        return Err(Failure::bad_request("control character in a header value"));
    }
    match name.len() {
        4 if name.eq_ignore_ascii_case(b"host") => {
            let value = value.trim_ascii();
            if seen.host.replace(value).is_some() {
                return Err(Failure::bad_request("more than one Host"));
            }
            if !is_authority(value) {
                return Err(Failure::bad_request("malformed Host"));
            }
        }
        14 if name.eq_ignore_ascii_case(b"content-length") => {
            if std::mem::replace(&mut seen.content_length, true) {
                return Err(Failure::bad_request("more than one Content-Length"));
            }
            check_length(value.trim_ascii())?;
        }
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
            if minor == 0 {
                return Err(Failure::bad_request("Transfer-Encoding in HTTP/1.0"));
            }
            if std::mem::replace(&mut seen.transfer_encoding, true) {
                return Err(Failure::bad_request("more than one Transfer-Encoding"));
            }
            if !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(Failure::not_implemented("a Transfer-Encoding other than chunked"));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Checks a parsed request of HTTP/2, whose framing is not in its fields (RFC 9113 section 8).
pub(crate) fn check_parsed(method: &Method, uri: &Uri, headers: &HeaderMap, limits: &Limits) -> Result<(), Failure> {
    if *method == Method::CONNECT {
        return Err(Failure::not_implemented("CONNECT"));
    }
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() > MAX_TARGET {
        return Err(Failure::target_too_long());
    }
    if headers.len() > limits.header_fields {
        return Err(Failure::header_too_large("more header fields than allowed"));
    }
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size + target.len() > limits.header_size {
        return Err(Failure::header_too_large("header over its size limit"));
    }
    if target == "*" {
        if *method != Method::OPTIONS {
            return Err(Failure::bad_request("target * without OPTIONS"));
        }
    } else if !target.starts_with('/') {
        return Err(Failure::bad_request("malformed target"));
    } else {
        check_path(target.as_bytes())?;
    }
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        if headers.contains_key(name) {
            return Err(Failure::bad_request("connection header in HTTP/2"));
        }
    }
    if headers.contains_key("keep-alive") || headers.contains_key("proxy-connection") {
        return Err(Failure::bad_request("connection header in HTTP/2"));
    }
    if headers.get_all(TE).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"trailers")) {
        return Err(Failure::bad_request("TE other than trailers in HTTP/2"));
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next() {
        check_length(length.as_bytes())?;
        if lengths.next().is_some() {
            return Err(Failure::bad_request("more than one Content-Length"));
        }
    }
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Failure::bad_request("more than one Host"));
    }
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    if authority.is_some_and(|authority| !is_authority(authority)) {
        return Err(Failure::bad_request("malformed authority"));
    }
    if host.is_some_and(|host| !is_authority(host.as_bytes())) {
        return Err(Failure::bad_request("malformed Host"));
    }
    match (host, authority) {
        (None, None) => Err(Failure::bad_request("no authority and no Host")),
        (Some(host), Some(authority)) => {
            let scheme = uri.scheme_str().unwrap_or("https").as_bytes();
            if same_authority(host.as_bytes(), authority, scheme) {
                return Ok(());
            }
            Err(Failure::bad_request("Host differs from the authority"))
        }
        _ => Ok(()),
    }
}

/// Digits only, within 64 bits. A list of equal values is refused too: it has no honest sender.
fn check_length(value: &[u8]) -> Result<(), Failure> {
    let parsed = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match parsed.and_then(|text| text.parse::<u64>().ok()) {
        Some(_) => Ok(()),
        None => Err(Failure::bad_request("malformed Content-Length")),
    }
}

/// Whether this is `host` or `host:port`, with a name of letters, digits, `-`, `.`, `_` and `~`, an
/// IPv4 address or an IPv6 literal in brackets. No user information, no empty port.
pub(crate) fn is_authority(value: &[u8]) -> bool {
    if value.len() > MAX_AUTHORITY {
        return false;
    }
    let (host, port) = split_port(value);
    if port.is_some_and(|port| !is_port(port)) {
        return false;
    }
    if let Some(rest) = host.strip_prefix(b"[") {
        let literal = rest.strip_suffix(b"]").and_then(|literal| std::str::from_utf8(literal).ok());
        return literal.is_some_and(|literal| literal.parse::<Ipv6Addr>().is_ok());
    }
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    // `.` and `..` are directories wherever a host becomes part of a path.
    !host.is_empty() && host[0] != b'.' && host.iter().all(legal)
}

/// `host` and `port` of an authority; the port is whatever follows the colon.
pub(crate) fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let from = if authority.first() == Some(&b'[') { memchr::memchr(b']', authority).unwrap_or(0) } else { 0 };
    match memchr::memchr(b':', &authority[from..]) {
        Some(colon) => (&authority[..from + colon], Some(&authority[from + colon + 1..])),
        None => (authority, None),
    }
}

/// 1 to 65535, in at most five digits.
fn is_port(port: &[u8]) -> bool {
    let digits = !port.is_empty() && port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    digits && std::str::from_utf8(port).is_ok_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Whether two authorities name the same host and port, given the scheme's default port.
fn same_authority(one: &[u8], other: &[u8], scheme: &[u8]) -> bool {
    let default: &[u8] = if scheme.eq_ignore_ascii_case(b"http") { b"80" } else { b"443" };
    let (host, port) = split_port(one);
    let (other_host, other_port) = split_port(other);
    host.eq_ignore_ascii_case(other_host) && port.unwrap_or(default) == other_port.unwrap_or(default)
}

/// Which bytes a token may have (RFC 9110 section 5.6.2).
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let letter = byte as u8;
        table[byte] = letter.is_ascii_alphanumeric()
            || matches!(
                letter,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    table
};

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| TOKEN[usize::from(byte)])
}

#[cfg(test)]
mod tests;
