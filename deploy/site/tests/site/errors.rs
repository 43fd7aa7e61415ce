//! What a wrong site file says: every kind of mistake and its whole message. Here stand those of the file as a whole and of
//! its smaller sections.

mod apps;
mod hosts;
mod listeners;
mod routes;

use crate::files::Directory;

/// Loads each file and compares all its messages.
#[track_caller]
fn says(cases: &[(&str, &[&str])]) {
    let directory = Directory::new();
    for (yaml, expected) in cases {
        assert_eq!(directory.problems(yaml), *expected, "in:\n{yaml}");
    }
}

#[test]
fn unknown_keys_are_named_with_what_was_probably_meant() {
    says(&[
        ("app: a:b\nlistener: []", &["listener: unknown key: did you mean \"listeners\"?"]),
        ("apps: { shop: { wsgi: a:b, thread: 4 } }", &["apps.shop.thread: unknown key: did you mean \"threads\"?"]),
        (
            "apps: { shop: { wsgi: a:b, threads: { most: 4 } } }",
            &["apps.shop.threads.most: unknown key: expected one of min, max"],
        ),
        ("app: a:b\n1: x", &["1: a key has to be text; put it in quotes"]),
        (
            "app: a:b\nlimits: { \"body size\": 1KiB }",
            &["limits.\"body size\": unknown key: did you mean \"body_size\"?"],
        ),
    ]);
}

#[test]
fn the_top_level_says_what_is_missing_or_not_supported() {
    const NOTHING: &str = "is empty: expected at least `app: module:callable`, such as `app: shop.wsgi:application`";
    const NO_APP: &str =
        "nothing to serve: expected at least `app: module:callable`, such as `app: shop.wsgi:application`";
    says(&[
        ("", &[NOTHING]),
        ("# only a comment\n", &[NOTHING]),
        ("version: 1", &[NO_APP]),
        ("apps: {}", &[NO_APP]),
        ("- a", &["a list: expected a table of keys"]),
        ("version: 2\napp: a:b", &["version: 2: not supported: this Tidegate reads version 1"]),
        ("version: \"1\"\napp: a:b", &["version: \"1\": not supported: this Tidegate reads version 1"]),
        (
            "app: a:b\napps: { shop: { wsgi: a:b } }",
            &["app: the short form of apps: expected either app or apps, not both"],
        ),
        (
            "apps: { shop: { wsgi: a:b }, admin: { wsgi: a:b } }",
            &["hosts: missing: expected routes that say which path each of shop, admin answers"],
        ),
    ]);
}

#[test]
fn the_rest_says_what_was_expected() {
    for (setting, expected) in [
        ("limits: { connections: 0 }", "limits.connections: 0: expected a whole number from 1 to 1000000"),
        ("limits: { header_size: 2MiB }", "limits.header_size: \"2MiB\": expected a size from 1KiB to 1MiB"),
        ("limits: { min_send_rate: 2GiB }", "limits.min_send_rate: \"2GiB\": expected a size from 0 to 1GiB"),
        ("limits: { header_fields: 257 }", "limits.header_fields: 257: expected a whole number from 1 to 256"),
        (
            "limits: { body_size: 10M }",
            "limits.body_size: \"10M\": ambiguous unit \"M\": expected a size such as 64KiB, 100MiB or 1GB; 10MiB counts in 1024s, 10MB in 1000s",
        ),
        (
            "trusted_proxies: [proxy.example]",
            "trusted_proxies[0]: \"proxy.example\": expected an address or a network such as 10.0.0.0/8 or \"::1\"",
        ),
        ("metrics: 9145", "metrics: 9145: expected an address with a port such as 127.0.0.1:9145, or off"),
        ("log: { level: trace }", "log.level: \"trace\": expected error, warn, info or debug"),
        ("log: { access: 1 }", "log.access: 1: expected on, off, or a table such as { to: logs/access.log }"),
        ("log: { format: xml }", "log.format: \"xml\": expected text or json"),
        ("state_dir: \"\"", "state_dir: \"\": is empty: expected a directory"),
        (
            "state_dir: \"C:\\new\"",
            "state_dir: \"C:\\new\": holds a control character: expected a directory; in double quotes a backslash starts an escape, so write paths with / or in single quotes",
        ),
    ] {
        assert_eq!(Directory::new().problems(format!("app: a:b\n{setting}")), [expected], "{setting}");
    }
}

#[test]
fn independent_problems_are_reported_together() {
    says(&[(
        "listen: []\nlisteners: [{ address: x, protocol: y }]\napps: { shop: { wsgi: shop, threads: 0 } }\n\
         hosts: [{ names: [\"a b\"], routes: [{ path: x, app: shop }] }]\nmetrics: maybe\nlog: { level: all }\n",
        &[
            "listen: unknown key: did you mean \"listeners\"?",
            "listeners[0].address: \"x\": expected an address with a port such as \"[::]:443\" or 127.0.0.1:8080",
            "listeners[0].protocol: \"y\": expected https, http or redirect",
            "apps.shop.wsgi: \"shop\": has no colon: expected module:callable such as shop.wsgi:application",
            "apps.shop.threads: 0: expected a whole number from 1 to 10000",
            "hosts[0].names[0]: \"a b\": expected a host name such as shop.example, \"*.shop.example\" or \"*\", without scheme, port or path; a non-ASCII name in its xn-- form",
            "hosts[0].routes[0].path: \"x\": does not start with /: expected a path such as / or /static",
            "metrics: \"maybe\": expected an address with a port such as 127.0.0.1:9145, or off",
            "log.level: \"all\": expected error, warn, info or debug",
        ],
    )]);
}

#[test]
fn syntax_errors_have_line_and_column_and_say_what_to_write() {
    for (yaml, position, words) in [
        ("app: a:b\nstate_dir: \"C:\\apps\\shop\"\n", ":2:", "write paths with / or in single quotes"),
        ("app: a:b\nstate_dir: \"C:\\shop\"\n", ":2:", "write paths with / or in single quotes"),
        ("app: a:b\nstate_dir: \"C:\\users\\x\"\n", ":2:", "write paths with / or in single quotes"),
        ("app: a:b\nlimits:\n\tconnections: 1\n", ":3:", "indent with spaces, not tabs"),
        ("app: a:b\nmetrics: [::]:9145\n", ":2:", "in quotes, such as \"[::]:443\""),
        ("app: a:b\nhosts:\n- names: [*.shop.example]\n", ":3:", "in quotes, such as \"*.shop.example\""),
        ("app: a:b\napp: c:d\n", ":1:1", "duplicate entry"),
        ("app: a:b\nlimits:\n  connections: 1\n  connections: 2\n", ":3:3", "duplicate entry"),
        ("app: a:b\n---\napp: a:b\n", "", "more than one document"),
        ("app: [a\n", ":2:1", "did not find expected"),
    ] {
        let problems = Directory::new().problems(yaml);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(position), "{yaml}: {problems:?}");
        assert!(problems[0].contains(words), "{yaml}: {problems:?}");
    }
}

#[test]
fn files_that_are_not_text_say_so() {
    let directory = Directory::new();
    assert_eq!(
        directory.problems(b"\xFF\xFEa\0".as_slice()),
        ["is UTF-16: save it as UTF-8 (Windows PowerShell's > and Out-File write UTF-16)"]
    );
    assert_eq!(directory.problems(b"app: \xE9:b".as_slice()), ["is not UTF-8: save it as UTF-8"]);
    let missing = tidegate_site::load(&directory.path().join("none.yaml")).unwrap_err();
    assert!(missing.to_string().contains("none.yaml: cannot be read: "), "{missing}");
}

#[test]
fn a_runtime_directory_too_long_for_sockets_is_found_out_at_once() {
    let directory = Directory::new();
    let long = "d".repeat(90);
    let sockets_are_files =
        matches!(tidegate_host::Endpoint::local(directory.path(), "x"), tidegate_host::Endpoint::Unix(_));
    let result = directory.load(format!("app: a:b\nruntime_dir: {long}"));
    if sockets_are_files {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(": runtime_dir: ") && message.contains(" bytes too long: expected"), "{message}");
    } else {
        assert!(result.is_ok());
    }
}
