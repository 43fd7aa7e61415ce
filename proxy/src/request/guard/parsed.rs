//! A request of HTTP/2 as the library has parsed it.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method, Uri};
use tidegate_site::Limits;

use super::authority::{is_authority, same_authority};
use super::check_length;
use super::target::{MAX_TARGET, check_path};
use crate::request::error::Failure;

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
