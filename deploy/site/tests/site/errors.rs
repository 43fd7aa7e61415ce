//! What a wrong site file says: every kind of mistake and its whole message.

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
fn apps_say_what_was_expected() {
    const WSGI: &str = "module:callable such as shop.wsgi:application";
    says(&[
        ("app: 1", &[&format!("app: 1: expected {WSGI}")]),
        ("app: { wsgi: a:b }", &[&format!("app: a table: expected {WSGI}; an app with settings goes below apps")]),
        ("apps: [shop]", &["apps: a list: expected a table such as { shop: { wsgi: shop.wsgi:application } }"]),
        ("apps: { shop: a:b }", &["apps.shop: \"a:b\": expected a table of keys"]),
        ("apps: { shop: { processes: 1 } }", &[&format!("apps.shop.wsgi: missing: expected {WSGI}")]),
        ("apps: { Shop: { wsgi: a:b } }", &["apps.Shop: expected a name of 1 to 32 of a-z, 0-9 and -"]),
        ("app: shop", &[&format!("app: \"shop\": has no colon: expected {WSGI}")]),
        ("app: app.py:app", &[&format!("app: \"app.py:app\": names a file, not a module: expected {WSGI}")]),
        ("app: src/app:app", &[&format!("app: \"src/app:app\": names a file, not a module: expected {WSGI}")]),
        ("app: my-app:app", &[&format!("app: \"my-app:app\": expected {WSGI}, or module:factory()")]),
        ("app: app:make(1)", &[&format!("app: \"app:make(1)\": expected {WSGI}, or module:factory()")]),
    ]);
}

#[test]
fn settings_of_an_app_say_what_was_expected() {
    for (setting, expected) in [
        (
            "directory: certs/site.pem",
            "directory: \"certs/site.pem\": HERE/certs/site.pem is not a directory: expected the directory of the app's modules",
        ),
        ("python: empty", "python: \"empty\": no HERE/PYTHON: expected auto, an interpreter or a virtualenv directory"),
        ("processes: 0", "processes: 0: expected a whole number from 1 to 512"),
        ("processes: 513", "processes: 513: expected a whole number from 1 to 512"),
        ("processes: many", "processes: \"many\": expected a whole number from 1 to 512, or auto"),
        ("threads: 0", "threads: 0: expected a whole number from 1 to 10000"),
        ("threads: -1", "threads: -1: expected a whole number from 1 to 10000"),
        ("threads: 1.5", "threads: 1.5: expected a whole number from 1 to 10000"),
        (
            "threads: many",
            "threads: \"many\": expected a whole number from 1 to 10000, or a table such as { min: 4, max: 64 }",
        ),
        ("threads: { max: 10001 }", "threads.max: 10001: expected a whole number from 1 to 10000"),
        ("threads: { min: 9, max: 8 }", "threads.min: 9: expected at most threads.max, 8"),
        ("threads: { min: 65 }", "threads.min: 65: expected at most threads.max, 64"),
        ("environment: [A]", "environment: a list: expected a table of NAME: VALUE"),
        ("environment: { A: true }", "environment.A: true or false: expected text; put the value in quotes"),
        ("environment: { A: 1.10 }", "environment.A: a number: expected text; put the value in quotes"),
        (
            "environment: { A B: x }",
            "environment.\"A B\": expected a name of letters, digits and _ that does not start with a digit",
        ),
        (
            "environment: { TIDEGATE_LAUNCH: x }",
            "environment.TIDEGATE_LAUNCH: names that start with TIDEGATE_ are kept for Tidegate itself: expected another name",
        ),
        (
            "environment_file: static",
            "environment_file: \"static\": HERE/static is not a file: expected a file of NAME=VALUE lines",
        ),
        (
            "request_timeout: 30",
            "request_timeout: 30: has no unit: expected a duration such as 500ms, 30s, 2m or 1h; seconds are 30s",
        ),
        ("request_timeout: 0", "request_timeout: 0: expected a duration from 1ms to 24h"),
        ("request_timeout: 25h", "request_timeout: \"25h\": expected a duration from 1ms to 24h"),
        ("request_timeout: [30s]", "request_timeout: a list: expected a duration such as 500ms, 30s, 2m or 1h"),
        (
            "stream_idle_timeout: 1d",
            "stream_idle_timeout: \"1d\": unknown unit \"d\": expected a duration such as 500ms, 30s, 2m or 1h",
        ),
        ("timeout_grace: 0s", "timeout_grace: \"0s\": expected a duration from 1ms to 24h"),
        ("timeout_status: 503", "timeout_status: 503: expected 502 or 504"),
        ("heartbeat: 4s", "heartbeat_timeout: 10s: expected at least three heartbeats of 4s, 12s"),
        ("recycle: 100", "recycle: 100: expected a table of keys"),
        ("recycle: { request: 1 }", "recycle.request: unknown key: did you mean \"requests\"?"),
        ("recycle: { requests: 0 }", "recycle.requests: 0: expected a whole number from 1 to 1000000000000"),
        ("recycle: { lifetime: 1000h }", "recycle.lifetime: \"1000h\": expected a duration from 1ms to 720h"),
        ("recycle: { memory: 1MiB }", "recycle.memory: \"1MiB\": expected a size from 32MiB to 16TiB"),
        (
            "memory_limit: 1GiB, recycle: { memory: 900MiB }",
            "recycle.memory: 900MiB: expected at most 80 % of memory_limit, 1GiB",
        ),
        (
            "memory_limit: 1GiB, recycle: { memory: 2MB }",
            "recycle.memory: \"2MB\": expected a size from 32MiB to 16TiB",
        ),
        ("memory_limit: 0", "memory_limit: 0: expected a size from 32MiB to 16TiB"),
        ("replace: first", "replace: \"first\": expected overlap or stop_first"),
        ("warm_up: /health", "warm_up: \"/health\": expected a list of paths such as [/health]"),
        ("warm_up: [health]", "warm_up[0]: \"health\": does not start with /: expected a path such as /health"),
        (
            "warm_up: [/a, /b c]",
            "warm_up[1]: \"/b c\": holds a space, # or a non-ASCII character: expected a path such as /health",
        ),
        ("queue: 100", "queue: 100: expected a table of keys"),
        ("queue: { size: 0 }", "queue.size: 0: expected a whole number from 1 to 1000000"),
        ("queue: { timeout: 0 }", "queue.timeout: 0: expected a duration from 1ms to 24h"),
        ("slow_request: 5ms", "slow_request: \"5ms\": expected a duration from 10ms to 24h"),
        ("slow_request: on", "slow_request: \"on\": expected a duration such as 500ms, 30s, 2m or 1h"),
        ("validate: 1", "validate: 1: expected on or off"),
        ("cancel_when_client_gone: 1s", "cancel_when_client_gone: \"1s\": expected on or off"),
    ] {
        let directory = Directory::new();
        let python = tidegate_host::venv_python(&directory.path().join("empty"));
        let python = python.strip_prefix(directory.path()).unwrap().display().to_string();
        let expected = format!("apps.shop.{}", expected.replace("PYTHON", &python));
        // std::path::absolute turns slashes on Windows.
        let problems: Vec<String> = directory.problems(format!("apps: {{ shop: {{ wsgi: a:b, {setting} }} }}"));
        let same = |text: &str| text.replace("\\\\", "/").replace('\\', "/");
        assert_eq!(problems.iter().map(|line| same(line)).collect::<Vec<_>>(), [same(&expected)], "{setting}");
    }
}

#[test]
fn a_path_that_is_not_there_says_where_it_was_looked_for() {
    let directory = Directory::new();
    for (setting, key, expected) in [
        ("directory: nowhere", "directory", "the directory of the app's modules"),
        ("python: nowhere", "python", "auto, an interpreter or a virtualenv directory"),
        ("environment_file: nowhere", "environment_file", "a file of NAME=VALUE lines"),
    ] {
        let problems = directory.problems(format!("apps: {{ shop: {{ wsgi: a:b, {setting} }} }}"));
        assert_eq!(problems.len(), 1, "{problems:?}");
        // Between them stands the system's own message.
        assert!(problems[0].starts_with(&format!("apps.shop.{key}: \"nowhere\": HERE/nowhere: ")), "{problems:?}");
        assert!(problems[0].ends_with(&format!(": expected {expected}")), "{problems:?}");
    }
}

#[test]
fn listeners_say_what_was_expected() {
    const ADDRESS: &str = "an address with a port such as \"[::]:443\" or 127.0.0.1:8080";
    for (listeners, expected) in [
        ("443", "listeners: 443: expected a list of { address: \"[::]:443\", protocol: https }"),
        ("[]", "listeners: a list: is empty: expected at least one listener"),
        ("[{ protocol: https }]", &format!("listeners[0].address: missing: expected {ADDRESS}")),
        ("[{ address: 127.0.0.1:1 }]", "listeners[0].protocol: missing: expected https, http or redirect"),
        ("[{ address: 127.0.0.1:1, protocol: h2 }]", "listeners[0].protocol: \"h2\": expected https, http or redirect"),
        (
            "[{ address: \":443\", protocol: https }]",
            &format!("listeners[0].address: \":443\": expected {ADDRESS}; every address is \"[::]:PORT\""),
        ),
        (
            "[{ address: localhost:443, protocol: https }]",
            &format!(
                "listeners[0].address: \"localhost:443\": expected {ADDRESS}; localhost is 127.0.0.1:PORT or \"[::1]:PORT\""
            ),
        ),
        ("[{ address: 443, protocol: https }]", &format!("listeners[0].address: 443: expected {ADDRESS}")),
        (
            "[{ address: 127.0.0.1:80, protocol: redirect }]",
            "listeners[0]: a table: redirects to https: expected an https listener beside it",
        ),
        (
            "[{ address: 127.0.0.1:80, protocol: http, https_port: 443 }]",
            "listeners[0].https_port: 443: expected only with protocol: redirect",
        ),
        (
            "[{ address: 127.0.0.1:1, protocol: https }, { address: 127.0.0.1:1, protocol: http }]",
            "listeners[1].address: 127.0.0.1:1: taken by the listener on 127.0.0.1:1: expected another address or port",
        ),
        (
            "[{ address: \"[::]:1\", protocol: https }, { address: 127.0.0.1:1, protocol: http }]",
            "listeners[1].address: 127.0.0.1:1: taken by the listener on [::]:1 ([::] takes every address, 0.0.0.0 every IPv4 address): expected another address or port",
        ),
        (
            "[{ address: 0.0.0.0:9145, protocol: http }]",
            "metrics: 127.0.0.1:9145: taken by the listener on 0.0.0.0:9145: expected another address or off",
        ),
    ] {
        let problems = Directory::new().problems(format!("app: a:b\nlisteners: {listeners}"));
        assert_eq!(problems, [expected], "{listeners}");
    }
}

#[test]
fn hosts_say_what_was_expected() {
    const NAME: &str = "a host name such as shop.example, \"*.shop.example\" or \"*\"";
    for (hosts, expected) in [
        ("{}", "hosts: a table: expected a list of { names: [shop.example], routes: [...] }".to_owned()),
        (
            "[{ names: [\"a:443\"], routes: [{ path: /, app: app }] }]",
            format!(
                "hosts[0].names[0]: \"a:443\": expected {NAME}, without scheme, port or path; a non-ASCII name in its xn-- form"
            ),
        ),
        (
            "[{ names: a.example, routes: [{ path: /, app: app }] }]",
            "hosts[0].names: \"a.example\": expected a list of host names such as [shop.example, \"*.shop.example\"]"
                .to_owned(),
        ),
        (
            "[{ names: [], routes: [{ path: /, app: app }] }]",
            format!("hosts[0].names: a list: is empty: expected {NAME}"),
        ),
        (
            "[{ names: [a], routes: [{ path: /, app: app }] }, { names: [A], routes: [{ path: /, app: app }] }]",
            "hosts[1].names[0]: \"a\": taken by hosts[0].names[0]: expected each name once".to_owned(),
        ),
        (
            "[{ routes: [{ path: /, app: app }] }, { routes: [{ path: /, app: app }] }]",
            "hosts[1]: \"*\": taken by hosts[0]: expected each name once".to_owned(),
        ),
    ] {
        let problems = Directory::new().problems(format!("app: a:b\nhosts: {hosts}"));
        assert_eq!(problems, [expected], "{hosts}");
    }
}

#[test]
fn routes_say_what_was_expected() {
    const PATH: &str = "a path such as / or /static";
    for (route, expected) in [
        ("{ app: app }", format!(".path: missing: expected {PATH}")),
        ("{ path: static, app: app }", format!(".path: \"static\": does not start with /: expected {PATH}")),
        (
            "{ path: /a/../b, app: app }",
            format!(".path: \"/a/../b\": holds an empty segment, . or ..: expected {PATH}"),
        ),
        ("{ path: /a//b, app: app }", format!(".path: \"/a//b\": holds an empty segment, . or ..: expected {PATH}")),
        (
            "{ path: /a b, app: app }",
            format!(".path: \"/a b\": holds a space or a non-ASCII character: expected {PATH}"),
        ),
        ("{ path: /ä, app: app }", format!(".path: \"/ä\": holds a space or a non-ASCII character: expected {PATH}")),
        ("{ path: /a%20b, app: app }", format!(".path: \"/a%20b\": holds %, ?, # or \\: expected {PATH}")),
        ("{ path: / }", ": has neither app nor files nor redirect: expected one of them, or files and app".to_owned()),
        (
            "{ path: /, app: app, redirect: { to: /b } }",
            ": has redirect beside files or app: expected one of them".to_owned(),
        ),
        (
            "{ path: /, app: app, files: static, fallback: index.html }",
            ".fallback: expected only without app: the app answers what is no file".to_owned(),
        ),
        (
            "{ path: /, files: static, fallback: ../index.html }",
            ".fallback: \"../index.html\": expected a file below the directory such as index.html".to_owned(),
        ),
        (
            "{ path: /, files: static, index: [index.html, b/c] }",
            ".index[1]: \"b/c\": expected a file name such as index.html".to_owned(),
        ),
        (
            "{ path: /, files: static, suffixes: html }",
            ".suffixes: \"html\": expected a suffix with its dot such as .html".to_owned(),
        ),
        ("{ path: /, files: static, listing: maybe }", ".listing: \"maybe\": expected on or off".to_owned()),
        (
            "{ path: /, files: static, cache_control: [{ value: no-cache }] }",
            ".cache_control[0].match: missing: expected a pattern such as \"*.css\" or \"assets/**\", or fingerprinted"
                .to_owned(),
        ),
        (
            "{ path: /, files: static, types: { .foo: foo } }",
            ".types.\".foo\": \"foo\": expected a media type such as application/x-foo".to_owned(),
        ),
        (
            "{ path: /, files: static, types: { a.b: text/x } }",
            ".types.\"a.b\": expected an extension such as .foo".to_owned(),
        ),
        (
            "{ path: /, files: static, charset: utf 8 }",
            ".charset: \"utf 8\": expected a charset such as utf-8, or off".to_owned(),
        ),
        ("{ path: /, app: ap }", ".app: \"ap\": there is no such app: did you mean app?".to_owned()),
        ("{ path: /, app: shop }", ".app: \"shop\": there is no such app: expected one of app".to_owned()),
        ("{ path: /, app: app, index: a.html }", ".index: expected only in a route with files".to_owned()),
        ("{ path: /, files: static, mount: on }", ".mount: expected only in a route with app".to_owned()),
        (
            "{ path: /, files: static, index: a/b }",
            ".index: \"a/b\": expected a file name such as index.html".to_owned(),
        ),
        (
            "{ path: /, files: static, cache_control: é }",
            ".cache_control: \"é\": expected a Cache-Control value such as max-age=3600".to_owned(),
        ),
        ("{ path: /, app: app, mount: maybe }", ".mount: \"maybe\": expected on, off or strip".to_owned()),
        (
            "{ path: /, app: app, max_body: 10 }",
            ".max_body: 10: has no unit: expected a size such as 64KiB, 100MiB or 1GB; bytes are 10B".to_owned(),
        ),
        (
            "{ path: /, app: app, request_timeout: 0 }",
            ".request_timeout: 0: expected a duration from 1ms to 24h".to_owned(),
        ),
    ] {
        // The second route keeps the app reached, so that the first one's mistake stands alone.
        let yaml = format!("app: a:b\nhosts: [{{ routes: [{route}, {{ path: /other, app: app }}] }}]");
        assert_eq!(Directory::new().problems(yaml), [format!("hosts[0].routes[0]{expected}")], "{route}");
    }
    says(&[
        (
            "app: a:b\nhosts: [{ routes: [{ path: /a, app: app }, { path: /a/, app: app }] }]",
            &["hosts[0].routes[1].path: \"/a/\": taken by hosts[0].routes[0].path: expected each path once in a host"],
        ),
        (
            "app: a:b\nhosts: [{ routes: [] }]",
            &[
                "hosts[0].routes: a list: is empty: expected at least one route",
                "app: is not reached by any route: expected a route with app: app",
            ],
        ),
        (
            "apps: { shop: { wsgi: a:b }, admin: { wsgi: a:b } }\nhosts: [{ routes: [{ path: /, app: shop }] }]",
            &["apps.admin: is not reached by any route: expected a route with app: admin"],
        ),
        (
            "hosts: [{ routes: [{ path: /, app: shop }] }]",
            &["hosts[0].routes[0].app: \"shop\": there is no such app: the file has none"],
        ),
        (
            "apps: { shop: { wsgi: a:b } }\nhosts: [{ routes: [{ path: /, app: shpo }] }]",
            &["hosts[0].routes[0].app: \"shpo\": there is no such app: did you mean shop?"],
        ),
        (
            "apps: [shop]\nhosts: [{ routes: [{ path: /, app: shop }] }]",
            &["apps: a list: expected a table such as { shop: { wsgi: shop.wsgi:application } }"],
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
fn an_environment_file_is_named_with_its_line_and_its_content_is_never_shown() {
    let directory = Directory::new();
    let secrets = directory.write("bad.env", b"A=1\nhunter2\n2B=hunter2\n");
    let error = directory.load("apps: { shop: { wsgi: a:b, environment_file: bad.env } }").unwrap_err();
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    let name = |problem: &tidegate_site::Problem| problem.file.file_name().map(ToOwned::to_owned);
    assert!(error.problems().iter().all(|problem| name(problem) == secrets.file_name().map(ToOwned::to_owned)));
    assert!(
        lines[0].ends_with(
            "bad.env:2:1: apps.shop.environment_file: has no =: expected NAME=VALUE, # COMMENT or an empty line"
        ),
        "{lines:?}"
    );
    assert!(
        lines[1].ends_with("bad.env:3:1: apps.shop.environment_file: expected a name of letters, digits and _ that does not start with a digit before ="),
        "{lines:?}"
    );
    assert!(!error.to_string().contains("hunter2"));
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
