//! Rules of hosts and routes: what they become, how a route's replace its host's, and what wrong ones say.

use http::{HeaderName, HeaderValue};
use tidegate_site::{HeaderEdits, Headers, Rules};

use crate::files::Directory;

/// A host with these keys, and one route with those.
fn hosts(host: &str, route: &str) -> String {
    format!("app: a:b\nhosts:\n  - {{ {host} routes: [{{ path: /, app: app, {route} }}] }}")
}

/// The rules of the host and of its route.
#[track_caller]
fn rules(host: &str, route: &str) -> (Rules, Rules) {
    let site = Directory::new().load(hosts(host, route)).unwrap_or_else(|error| panic!("{error}"));
    let host = &site.hosts[0];
    (Rules::clone(&host.rules), Rules::clone(&host.routes[0].rules))
}

/// Loads a file with each of these keys in a route and compares all its messages.
#[track_caller]
fn says(cases: &[(&str, &[&str])]) {
    let directory = Directory::new();
    for (route, expected) in cases {
        let expected: Vec<String> = expected.iter().map(|message| format!("hosts[0].routes[0].{message}")).collect();
        assert_eq!(directory.problems(hosts("", route)), expected, "{route}");
    }
}

fn field(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), HeaderValue::from_static(value))
}

#[test]
fn a_routes_own_key_replaces_its_hosts() {
    let set = |value| {
        let response = HeaderEdits { set: vec![field("x-a", value)], ..HeaderEdits::default() };
        Some(Headers { response, ..Headers::default() })
    };
    let headers = |host, route| {
        let (host, route) = rules(host, route);
        (host.headers, route.headers)
    };
    const HOST: &str = "headers: { response: { set: { X-A: host } } },";
    assert_eq!(rules("", ""), (Rules::default(), Rules::default()));
    assert_eq!(headers(HOST, ""), (set("host"), set("host")));
    assert_eq!(headers(HOST, "headers: { response: { set: { x-a: route } } }"), (set("host"), set("route")));
    assert_eq!(headers(HOST, "headers: {}"), (set("host"), None));
}

#[test]
fn header_edits_say_what_is_wrong_with_them() {
    says(&[
        ("headers: { response: { sets: {} } }", &["headers.response.sets: unknown key: did you mean \"set\"?"]),
        (
            "headers: { response: { set: { X-A: 1 } } }",
            &["headers.response.set.X-A: 1: expected the field's value as text; a number or a switch needs quotes"],
        ),
        (
            "headers: { response: { set: { X-A: \"a\\r\\nX-B: b\" } } }",
            &["headers.response.set.X-A: \"a\\r\\nX-B: b\": holds a control character: expected the field's value as \
               text; a number or a switch needs quotes; in double quotes a backslash starts an escape, so write paths \
               with / or in single quotes"],
        ),
        (
            "headers: { response: { set: { X-A: a, x-a: b } } }",
            &["headers.response.set.x-a: the same field as one above it: expected each name once"],
        ),
        (
            "headers: { response: { add: { Content-Length: '1' } } }",
            &["headers.response.add.Content-Length: says where a message ends or concerns one \
               connection: Tidegate sets it; expected another field"],
        ),
        (
            "headers: { request: { remove: [Host] } }",
            &["headers.request.remove[0]: \"Host\": says which site is asked for: expected another field"],
        ),
    ]);
}
