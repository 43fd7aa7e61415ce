//! What is wrong below `app` and `apps`.

use super::says;
use crate::files::Directory;

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
