//! `security_headers` and `hsts`: what tells browsers to be careful. What an app or a file's rules say
//! themselves is left as it is. Pure functions, called by `policy`.

use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Fields that stand for themselves, after OWASP's Secure Headers Project; docs/configuration.md says what each is for.
const ALONE: [(HeaderName, HeaderValue); 5] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin-allow-popups")),
    (HeaderName::from_static("x-permitted-cross-domain-policies"), HeaderValue::from_static("none")),
];

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Adds the fields that a response lacks. `shared`: scripts of other sites may use it.
pub(super) fn add(fields: &mut HeaderMap, shared: bool) {
    for (name, value) in ALONE {
        fields.entry(name).or_insert(value);
    }
    let resources = if shared { "cross-origin" } else { "same-site" };
    fields.entry(RESOURCE_POLICY).or_insert(HeaderValue::from_static(resources));
    // Both say who may frame a page, and a browser that knows the first ignores the second: one of ours must
    // not loosen what the app says with the other.
    if !fields.contains_key(CONTENT_SECURITY_POLICY) && !fields.contains_key(X_FRAME_OPTIONS) {
        fields.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'self'"));
        fields.insert(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    }
}

/// Adds Strict-Transport-Security unless the response has one. Only for responses over https: browsers ignore
/// others (RFC 6797 section 8.1), and section 7.2 forbids them.
pub(super) fn require_https(fields: &mut HeaderMap, value: &HeaderValue) {
    fields.entry(STRICT_TRANSPORT_SECURITY).or_insert_with(|| value.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_app_says_stays() {
        for (said, csp, frames) in [
            (&[][..], Some("frame-ancestors 'self'"), Some("SAMEORIGIN")),
            (&[("x-frame-options", "DENY")], None, Some("DENY")),
            (&[("content-security-policy", "default-src 'self'")], Some("default-src 'self'"), None),
        ] {
            let mut fields = HeaderMap::new();
            for (name, value) in said {
                fields.insert(*name, HeaderValue::from_static(value));
            }
            fields.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            add(&mut fields, false);
            let is = |name: HeaderName, value: Option<&str>| {
                assert_eq!(fields.get(name).map(|value| value.to_str().unwrap()), value, "{said:?}");
            };
            is(CONTENT_SECURITY_POLICY, csp);
            is(X_FRAME_OPTIONS, frames);
            is(REFERRER_POLICY, Some("no-referrer"));
            is(X_CONTENT_TYPE_OPTIONS, Some("nosniff"));
        }
    }
}
