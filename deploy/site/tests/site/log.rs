//! Where logs go, what they show, and when their files are set aside.

use std::time::Duration;

use tidegate_site::*;

use crate::files::Directory;

fn log(text: &str) -> Log {
    let file = format!("app: a:b\nlog: {text}");
    Directory::new().load(file).unwrap_or_else(|error| panic!("{error}")).log
}

#[test]
fn an_access_log_has_everything_it_is_given() {
    let log = log(
        "{ format: json, access: { format: combined, to: logs/access.log, rotate: { size: 1MiB, age: off, keep: 3, \
         compress: on }, sample: 10, headers: [Accept-Language], redact: { query: [Token], headers: [Cookie] } } }",
    );
    let access = log.access.unwrap();
    assert!(access.file().unwrap().ends_with("logs/access.log") && access.file().unwrap().is_absolute());
    assert_eq!(access.format, AccessFormat::Combined);
    assert_eq!(access.rotate, Some(Rotate { size: Some(1 << 20), age: None, keep: 3, compress: true }));
    assert_eq!((access.sample, &*access.headers), (10, &["accept-language".to_owned()][..]));
    assert_eq!(access.hidden_query, HiddenQuery::Named(vec!["token".to_owned()]));
    assert_eq!(access.hidden_headers, ["cookie"]);
}

#[test]
fn the_access_log_follows_the_other_one() {
    let json = log("{ format: json, to: logs/tidegate.log, rotate: { age: 720h } }");
    let month = Rotate { size: Some(100 << 20), age: Some(Duration::from_secs(720 * 3600)), keep: 14, compress: false };
    assert_eq!(json.rotate, Some(month));
    let access = json.access.as_ref().unwrap();
    assert_eq!((access.format, &access.to, access.rotate), (AccessFormat::Json, &AccessTo::Log, Some(month)));
    assert!(json.file_of("proxy").unwrap().ends_with("logs/tidegate-proxy.log"));
    assert!(json.file_of("appserver").unwrap().ends_with("logs/tidegate-appserver.log"));
    assert_eq!(json.files().len(), 2);
    for (text, to) in [("stdout", AccessTo::Stdout), ("stderr", AccessTo::Stderr), ("log", AccessTo::Log)] {
        assert_eq!(log(&format!("{{ access: {{ to: {text} }} }}")).access.unwrap().to, to);
    }
    assert_eq!(log("{ to: a.log, rotate: off }").rotate, None);
    assert_eq!(log("{ access: { redact: { query: on } } }").access.unwrap().hidden_query, HiddenQuery::All);
}

#[test]
fn wrong_settings_say_what_is_expected() {
    let directory = Directory::new();
    for (text, expected) in [
        ("{ rotate: { keep: 3 } }", "log.rotate: expected only with a file to rotate (log.to or log.access.to)"),
        (
            "{ access: { rotate: { keep: 3 } } }",
            "log.access.rotate: expected only where the access log has a file of its own (to: FILE)",
        ),
        ("{ to: a.log, rotate: { keep: 0 } }", "log.rotate.keep: 0: expected a whole number from 1 to 10000"),
        (
            "{ to: a.log, rotate: { size: 1 } }",
            "log.rotate.size: 1: has no unit: expected a size such as 64KiB, 100MiB or 1GB; bytes are 1B",
        ),
        ("{ access: { sample: 0 } }", "log.access.sample: 0: expected a whole number from 1 to 1000000"),
        ("{ access: { format: common } }", "log.access.format: \"common\": expected text, json or combined"),
        (
            "{ access: { headers: [\"a b\"] } }",
            "log.access.headers[0]: \"a b\": expected a header name such as referer",
        ),
        (
            "{ access: { redact: { query: 1 } } }",
            "log.access.redact.query: 1: expected on, off, or a list of parameters such as [token, email]",
        ),
        ("{ access: { redat: {} } }", "log.access.redat: unknown key: did you mean \"redact\"?"),
    ] {
        assert_eq!(directory.problems(format!("app: a:b\nlog: {text}")), [expected], "{text}");
    }
    let clash = directory.problems("app: a:b\nlog: { to: a.log, access: { to: a-proxy.log } }");
    assert!(
        clash[0].starts_with("log.access: ") && clash[0].ends_with("expected another file, or to: log"),
        "{clash:?}"
    );
}
