//! `cors`: what scripts of other sites may do, by the Fetch standard. Preflights are answered here and never
//! reach an app. Pure functions, called by `policy`.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tidegate_site::{Cors, Origins, RequestFields};

use super::Asked;
use crate::reply::{Body, Reply};

/// The answer to a preflight. Fields that every response gets are added by [`grant`].
pub(super) fn preflight(cors: &Cors, asked: Asked<'_>) -> Option<Reply> {
    let is_preflight = asked.facts.method == Method::OPTIONS
        && asked.headers.contains_key(ORIGIN)
        && asked.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if !is_preflight {
        return None;
    }
    let mut headers = HeaderMap::new();
    if is_allowed(cors, asked.headers.get(ORIGIN)) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, cors.methods.clone());
        let fields = match &cors.headers {
            // By name: with credentials a star would be a field of that name.
            RequestFields::Any => asked.headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned(),
            RequestFields::These(fields) => fields.clone(),
        };
        if let Some(fields) = fields {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, fields);
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs()));
    }
    headers.insert(VARY, HeaderValue::from_static("Access-Control-Request-Method, Access-Control-Request-Headers"));
    Some(Reply { status: StatusCode::NO_CONTENT, headers, body: Body::Full(Bytes::new()) })
}

/// Says in a response what the script of this origin may do with it. Whatever the app says of that is gone: two
/// answers are none.
pub(super) fn grant(cors: &Cors, origin: Option<&HeaderValue>, fields: &mut HeaderMap) {
    for name in [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS] {
        fields.remove(name);
    }
    if cors.origins != Origins::Any {
        // Also where there is no origin: a cache must not give that response to a script.
        vary_by_origin(fields);
    }
    let Some(origin) = origin.filter(|origin| is_allowed(cors, Some(origin))) else { return };
    let allowed = if cors.origins == Origins::Any { HeaderValue::from_static("*") } else { origin.clone() };
    fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    if cors.credentials {
        fields.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    if let Some(expose) = &cors.expose {
        fields.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
    }
}

fn is_allowed(cors: &Cors, origin: Option<&HeaderValue>) -> bool {
    match &cors.origins {
        Origins::Any => true,
        Origins::These(known) => origin.is_some_and(|origin| known.iter().any(|known| origin == known.as_str())),
    }
}

fn vary_by_origin(fields: &mut HeaderMap) {
    let named = |value: &HeaderValue| {
        let mut names = value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"))
    };
    if !fields.get_all(VARY).iter().any(named) {
        fields.append(VARY, HeaderValue::from_static("Origin"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vary_names_the_origin_once() {
        for (given, expected) in [
            (&[][..], &["Origin"][..]),
            (&["Cookie"], &["Cookie", "Origin"]),
            (&["Cookie, origin"], &["Cookie, origin"]),
            (&["*"], &["*"]),
            (&["X-Origin"], &["X-Origin", "Origin"]),
        ] {
            let mut fields = HeaderMap::new();
            for value in given {
                fields.append(VARY, HeaderValue::from_static(value));
            }
            vary_by_origin(&mut fields);
            assert_eq!(fields.get_all(VARY).iter().collect::<Vec<_>>(), expected, "{given:?}");
        }
    }
}
