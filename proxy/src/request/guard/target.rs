//! Where a request says it goes.

use super::authority::is_authority;
use crate::request::error::Failure;

/// Longest target. Browsers stop at 2 KiB to 64 KiB; beyond 16 KiB the data belongs in a body.
pub(super) const MAX_TARGET: usize = 16 << 10;

/// Where an absolute target says it goes.
pub(super) struct Absolute<'a> {
    pub(super) scheme: &'a [u8],
    pub(super) authority: &'a [u8],
}

/// Checks the target by its form; returns what an absolute one names.
pub(super) fn check_target<'a>(method: &[u8], target: &'a [u8]) -> Result<Option<Absolute<'a>>, Failure> {
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
pub(super) fn check_path(target: &[u8]) -> Result<(), Failure> {
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
