//! The header of an HTTP/1.x request as it came, byte for byte.

use tidegate_site::Limits;

use super::authority::{is_authority, same_authority};
use super::target::{MAX_TARGET, check_target};
use super::token::is_token;
use super::{Framing, Shape, check_length};
use crate::request::error::Failure;

/// What the fields of a request say about framing and host, collected in one pass.
#[derive(Default)]
struct Seen<'a> {
    host: Option<&'a [u8]>,
    content_length: bool,
    transfer_encoding: bool,
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
