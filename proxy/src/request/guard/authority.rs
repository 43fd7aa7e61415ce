//! Host and port, as Host, the target or a proxy's header names them.

use std::net::Ipv6Addr;

/// A host name has at most 253 bytes; a port adds six.
const MAX_AUTHORITY: usize = 260;

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
pub(super) fn same_authority(one: &[u8], other: &[u8], scheme: &[u8]) -> bool {
    let default: &[u8] = if scheme.eq_ignore_ascii_case(b"http") { b"80" } else { b"443" };
    let (host, port) = split_port(one);
    let (other_host, other_port) = split_port(other);
    host.eq_ignore_ascii_case(other_host) && port.unwrap_or(default) == other_port.unwrap_or(default)
}
