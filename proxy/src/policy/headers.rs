//! `headers`: fields removed, set and added, in requests to apps and in responses. Pure functions,
//! called by `policy` and by the making of an app's request.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use tidegate_site::{HeaderEdits, Rules};

/// Makes the changes to a request that is about to go to an app. A password that was checked here
/// goes along only where the rule says so.
pub(crate) fn edit_request(rules: &Rules, fields: &mut HeaderMap) {
    if rules.basic_auth.as_ref().is_some_and(|auth| !auth.forward) {
        fields.remove(AUTHORIZATION);
    }
    if let Some(headers) = &rules.headers {
        edit_for_app(&headers.request, fields);
    }
}

fn edit_for_app(edits: &HeaderEdits, fields: &mut HeaderMap) {
    // To an app x_user and x-user are one: a client's other spelling must not stay beside ours.
    let named = edits.remove.iter().chain(edits.set.iter().map(|(name, _)| name));
    for name in named {
        remove_aliases(name, fields);
    }
    edit(edits, fields);
}

/// Removes, sets and adds, in this order.
pub(super) fn edit(edits: &HeaderEdits, fields: &mut HeaderMap) {
    for name in &edits.remove {
        fields.remove(name);
    }
    for (name, value) in &edits.set {
        fields.insert(name.clone(), value.clone());
    }
    for (name, value) in &edits.add {
        fields.append(name.clone(), value.clone());
    }
}

/// Removes what becomes the same key as `name` in a WSGI environ.
fn remove_aliases(name: &HeaderName, fields: &mut HeaderMap) {
    let is_alias =
        |other: &HeaderName| other.as_str().contains('_') && other.as_str().replace('_', "-") == name.as_str();
    let aliases: Vec<HeaderName> = fields.keys().filter(|other| is_alias(other)).cloned().collect();
    for alias in aliases {
        fields.remove(alias);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in all {
            fields.append(*name, value.parse().unwrap());
        }
        fields
    }

    fn pairs(all: &[(&'static str, &'static str)]) -> Vec<(HeaderName, http::HeaderValue)> {
        all.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn fields_are_removed_then_set_then_added() {
        let edits = HeaderEdits {
            remove: vec![HeaderName::from_static("server"), HeaderName::from_static("x-both")],
            set: pairs(&[("x-set", "1"), ("x-both", "set")]),
            add: pairs(&[("x-set", "2"), ("vary", "cookie")]),
        };
        let mut given = fields(&[("server", "x"), ("x-set", "a"), ("x-set", "b"), ("x-both", "x"), ("vary", "accept")]);
        edit(&edits, &mut given);
        let expected =
            fields(&[("x-set", "1"), ("x-set", "2"), ("x-both", "set"), ("vary", "accept"), ("vary", "cookie")]);
        assert_eq!(given, expected);
    }

    #[test]
    fn another_spelling_of_a_set_field_does_not_reach_the_app() {
        let request = HeaderEdits {
            remove: vec![HeaderName::from_static("x-secret")],
            set: pairs(&[("x-user", "ours")]),
            add: vec![],
        };
        let mut given = fields(&[("x_user", "evil"), ("x-secret", "a"), ("x_secret", "b"), ("x_other", "kept")]);
        edit_for_app(&request, &mut given);
        assert_eq!(given, fields(&[("x-user", "ours"), ("x_other", "kept")]));
    }
}
