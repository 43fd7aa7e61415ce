//! Rules of hosts and routes: what they become, how a route's replace its host's, and what wrong ones say.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tidegate_site::{Cors, HeaderEdits, Headers, Origins, RequestFields, Rules};

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

#[test]
fn access_and_browser_rules_are_taken() {
    let (host, route) = rules(
        "allow: [10.0.0.0/8, '::1'], deny: [10.1.2.3/16], security_headers: on, hsts: on, cors: { origins: '*' },",
        "allow: [], security_headers: off, hsts: off, cors: off",
    );
    assert_eq!(host.allow, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    assert_eq!((host.deny.clone(), route.deny), (vec!["10.1.0.0/16".parse().unwrap()], host.deny));
    assert_eq!((host.security_headers, host.hsts), (true, Some(HeaderValue::from_static("max-age=31536000"))));
    assert_eq!((route.allow, route.security_headers, route.hsts, route.cors), (vec![], false, None, None));
    let cors = Cors {
        origins: Origins::Any,
        methods: HeaderValue::from_static("GET, HEAD, POST"),
        headers: RequestFields::These(None),
        expose: None,
        credentials: false,
        max_age: Duration::from_secs(600),
    };
    assert_eq!(host.cors, Some(cors));

    for (written, value) in [
        ("{ max_age: 1h }", "max-age=3600"),
        ("{ max_age: 0 }", "max-age=0"),
        ("{ include_subdomains: on }", "max-age=31536000; includeSubDomains"),
        ("{ max_age: 17520h, include_subdomains: on, preload: on }", "max-age=63072000; includeSubDomains; preload"),
    ] {
        let (_, route) = rules("", &format!("hsts: {written}"));
        assert_eq!(route.hsts, Some(HeaderValue::from_static(value)), "{written}");
    }

    let (_, route) = rules(
        "",
        "cors: { origins: ['HTTPS://App.example', 'http://a.example:80', 'https://b.example:8443'], \
         methods: [get, DELETE], headers: '*', expose: [X-A, X-B], credentials: on, max_age: 1m }",
    );
    let origins = ["https://app.example", "http://a.example", "https://b.example:8443"];
    let cors = Cors {
        origins: Origins::These(origins.map(str::to_owned).to_vec()),
        methods: HeaderValue::from_static("GET, DELETE"),
        headers: RequestFields::Any,
        expose: Some(HeaderValue::from_static("X-A, X-B")),
        credentials: true,
        max_age: Duration::from_secs(60),
    };
    assert_eq!(route.cors, Some(cors));
}

#[test]
fn access_and_browser_rules_say_what_was_expected() {
    const ORIGIN: &str =
        "expected an origin such as https://app.example, with its port where it has one, without a path";
    const ORIGINS: &str = "a list of origins such as [https://app.example], or \"*\"";
    says(&[
        (
            "allow: [10.0.0.0/33]",
            &["allow[0]: \"10.0.0.0/33\": expected an address or a network such as 10.0.0.0/8 or \"::1\""],
        ),
        ("deny: all", &["deny: \"all\": expected a list of addresses and networks such as [10.0.0.0/8, \"::1\"]"]),
        ("security_headers: strict", &["security_headers: \"strict\": expected on or off"]),
        ("hsts: 1y", &["hsts: \"1y\": expected on, off or a table such as { max_age: 8760h, include_subdomains: on }"]),
        (
            "hsts: { preload: on }",
            &[
                "hsts.preload: on: browsers' lists take hosts with include_subdomains: on and a max_age of 8760h or more: \
               expected both beside it",
            ],
        ),
        ("cors: { methods: [GET] }", &[&format!("cors.origins: missing: expected {ORIGINS}")]),
        ("cors: { origins: [] }", &[&format!("cors.origins: a list: is empty: expected {ORIGINS}")]),
        ("cors: { origins: [app.example] }", &[&format!("cors.origins[0]: \"app.example\": {ORIGIN}")]),
        (
            "cors: { origins: ['https://app.example/'] }",
            &[&format!("cors.origins[0]: \"https://app.example/\": {ORIGIN}")],
        ),
        ("cors: { origins: ['null'] }", &[&format!("cors.origins[0]: \"null\": {ORIGIN}")]),
        (
            "cors: { origins: '*', credentials: on }",
            &[
                "cors.credentials: on, and origins is \"*\": every site could act as its visitors: expected a list of origins",
            ],
        ),
        (
            "cors: { origins: '*', headers: ['a b'] }",
            &["cors.headers[0]: \"a b\": expected a list of field names such as [Content-Type, X-Token]"],
        ),
    ]);
}
