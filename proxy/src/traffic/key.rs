//! What a limit counts by, as a hash. Called by `rate` and `gate`.
//!
//! The hash's keys are random in each process: nobody outside can choose addresses or fields that fall
//! on another's bucket.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;

use tidegate_site::LimitKey;

use super::Subject;

/// The hash of what `key` looks at in a request.
pub(super) fn hash(key: &LimitKey, subject: &Subject<'_>, state: &RandomState) -> u64 {
    let mut hasher = state.build_hasher();
    match key {
        LimitKey::Address => address(subject.client, &mut hasher),
        LimitKey::Route => subject.prefix.hash(&mut hasher),
        LimitKey::Header(name) => match subject.headers.get(name) {
            Some(value) => value.as_bytes().hash(&mut hasher),
            None => address(subject.client, &mut hasher),
        },
    }
    // 0 stands for no key.
    hasher.finish().max(1)
}

/// A household or a host has a network of 64 bits at least, and may use every address of it.
fn address(client: IpAddr, hasher: &mut impl Hasher) {
    match client {
        IpAddr::V4(address) => address.octets().hash(hasher),
        IpAddr::V6(address) => address.octets()[..8].hash(hasher),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName};

    use super::*;

    #[test]
    fn what_counts_together_has_one_hash() {
        let state = RandomState::new();
        let field = LimitKey::Header(HeaderName::from_static("x-key"));
        let of = |key: &LimitKey, client: &str, prefix: &str, value: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers
                .extend(value.map(|value| (HeaderName::from_static("x-key"), http::HeaderValue::from_static(value))));
            hash(key, &Subject { client: client.parse().unwrap(), headers: &headers, prefix }, &state)
        };
        for (key, one, other, same) in [
            (LimitKey::Address, ("192.0.2.1", "/a", None), ("192.0.2.1", "/b", Some("x")), true),
            (LimitKey::Address, ("192.0.2.1", "", None), ("192.0.2.2", "", None), false),
            (LimitKey::Address, ("2001:db8::1", "", None), ("2001:db8::2:2", "", None), true),
            (LimitKey::Address, ("2001:db8::1", "", None), ("2001:db8:0:1::1", "", None), false),
            (LimitKey::Route, ("192.0.2.1", "/a", None), ("192.0.2.2", "/a", None), true),
            (LimitKey::Route, ("192.0.2.1", "/a", None), ("192.0.2.1", "/b", None), false),
            (field.clone(), ("192.0.2.1", "", Some("x")), ("192.0.2.2", "", Some("x")), true),
            (field.clone(), ("192.0.2.1", "", Some("x")), ("192.0.2.1", "", Some("y")), false),
            (field.clone(), ("192.0.2.1", "", None), ("192.0.2.1", "/a", None), true),
            (field.clone(), ("192.0.2.1", "", None), ("192.0.2.2", "", None), false),
        ] {
            let hashes = [one, other].map(|(client, prefix, value)| of(&key, client, prefix, value));
            assert_eq!(hashes[0] == hashes[1], same, "{key:?} {one:?} {other:?}");
        }
    }
}
