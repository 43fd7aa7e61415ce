//! Refuses requests whose framing or address two programs could read differently (request
//! smuggling), and those over the header limits. Called first in a request's story: with the raw
//! bytes for HTTP/1.x, because pingora accepts more than may be passed on, and with the parsed
//! request for HTTP/2. Never changes a request, allocates only to refuse.

mod authority;
mod chunks;
mod parsed;
mod raw;
mod target;
mod token;

pub(crate) use self::authority::{is_authority, split_port};
pub(crate) use self::chunks::Chunks;
pub(crate) use self::parsed::check_parsed;
pub(crate) use self::raw::check_raw;
use super::error::Failure;

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

/// Digits only, within 64 bits. A list of equal values is refused too: it has no honest sender.
fn check_length(value: &[u8]) -> Result<(), Failure> {
    let parsed = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match parsed.and_then(|text| text.parse::<u64>().ok()) {
        Some(_) => Ok(()),
        None => Err(Failure::bad_request("malformed Content-Length")),
    }
}

#[cfg(test)]
mod tests;
