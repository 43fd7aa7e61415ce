//! `basic_auth`: the name and password of a request (RFC 7617). Called by `policy`. An unknown user costs the same
//! check as a known one, so that the time of an answer does not tell who is there.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tidegate_site::BasicAuth;

use super::Asked;
use crate::request::error::Failure;

/// The user that a request comes from, with the right password.
pub(super) async fn check(auth: &BasicAuth, asked: Asked<'_>) -> Result<Arc<str>, Failure> {
    let refused = || Failure::unauthorized(auth.challenge.clone());
    let passwords = asked.passwords;
    let Some((name, password)) = credentials(asked.headers) else {
        passwords.metrics.missing.inc();
        return Err(refused());
    };
    // There is at least one.
    let Some(decoy) = auth.users.values().next() else { return Err(refused()) };
    if passwords.check(&name, &password, auth.users.get(&name), decoy).await? {
        return Ok(name.into());
    }
    tracing::info!(client = %asked.facts.origin.client, user = name, request_id = %asked.facts.id, "wrong name or password");
    Err(refused())
}

/// Name and password, if there is exactly one such field and it is well formed.
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (field, None) = (fields.next()?, fields.next()) else { return None };
    let (scheme, encoded) = field.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let name = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((name, decoded[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_well_formed_field_counts() {
        let both = |name: &str, password: &str| Some((name.to_owned(), password.as_bytes().to_vec()));
        for (fields, expected) in [
            (&["Basic am9lOnNlY3JldA=="][..], both("joe", "secret")),
            (&["basic  am9lOnNlY3JldA=="], both("joe", "secret")),
            (&["Basic am9lOmE6Yg=="], both("joe", "a:b")),
            (&["Basic OnNlY3JldA=="], both("", "secret")),
            (&["Basic Wm/DqzpzZWNyZXQ="], both("Zo\u{eb}", "secret")),
            (&["Basic am9l"], None),
            (&["Basic am9lOnNlY3JldA==", "Basic am9lOnNlY3JldA=="], None),
            (&["Bearer am9lOnNlY3JldA=="], None),
            (&["Basic"], None),
            (&["Basic !"], None),
            (&["Basic Wm/rOnNlY3JldA=="], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(AUTHORIZATION, field.parse().unwrap());
            }
            assert_eq!(credentials(&headers), expected, "{fields:?}");
        }
    }
}
