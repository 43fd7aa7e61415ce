//! One request in every format, and what clients try to put into it.

use std::time::{Duration, UNIX_EPOCH};

use tidegate_contract::Cause;

use super::*;

fn record() -> Record<'static> {
    Record {
        time: UNIX_EPOCH + Duration::from_millis(1_795_366_800_123),
        client: "2001:db8::1".parse().unwrap(),
        method: "GET",
        target: "/a?b=c",
        protocol: "HTTP/2",
        host: "shop.example",
        status: 200,
        sent: 1234,
        duration: Duration::from_micros(1_012_345),
        queue_wait: Some(Duration::from_micros(7)),
        app: Some("shop"),
        worker: Some(0),
        certificate: None,
        cause: None,
        request_id: "a-1",
        trace_id: "",
        user: "",
        headers: None,
    }
}

fn bare() -> Record<'static> {
    Record {
        method: "",
        target: "",
        protocol: "",
        host: "",
        status: 400,
        sent: 0,
        queue_wait: None,
        app: None,
        worker: None,
        certificate: Some("CN=A B,O=C"),
        cause: Some(Cause::BadRequest),
        request_id: "",
        ..record()
    }
}

fn look(format: AccessFormat, headers: &[&str]) -> Look {
    Look::of(&tidegate_site::AccessLog {
        format,
        to: tidegate_site::AccessTo::Stderr,
        rotate: None,
        sample: 1,
        headers: headers.iter().map(|&name| name.to_owned()).collect(),
        hidden_query: tidegate_site::HiddenQuery::None,
        hidden_headers: vec!["cookie".to_owned()],
    })
}

fn made(record: &Record<'_>, look: &Look) -> String {
    String::from_utf8(Scratch::new().line(record, look).to_vec()).unwrap()
}

fn text(record: &Record<'_>) -> String {
    made(record, &look(AccessFormat::Text, &[]))
}

fn json(record: &Record<'_>) -> String {
    made(record, &look(AccessFormat::Json, &[]))
}

#[test]
fn the_combined_format_is_apaches() {
    let combined = |record: &Record<'_>| made(record, &look(AccessFormat::Combined, &[]));
    assert_eq!(
        combined(&record()),
        "2001:db8::1 - - [22/Nov/2026:17:00:00 +0000] \"GET /a?b=c HTTP/2.0\" 200 1234 \"-\" \"-\"\n"
    );
    assert_eq!(combined(&bare()), "2001:db8::1 - - [22/Nov/2026:17:00:00 +0000] \"-\" 400 - \"-\" \"-\"\n");
    let mut headers = http::HeaderMap::new();
    headers.insert("referer", "https://a.example/?q=\"\\".parse().unwrap());
    headers.insert("user-agent", http::HeaderValue::from_bytes(b"a\tb\xe4\"").unwrap());
    let full = Record { user: "jo e\n", protocol: "HTTP/1.1", headers: Some(&headers), ..record() };
    assert_eq!(
        combined(&full),
        "2001:db8::1 - jo\\x20e\\n [22/Nov/2026:17:00:00 +0000] \"GET /a?b=c HTTP/1.1\" 200 1234 \
         \"https://a.example/?q=\\\"\\\\\" \"a\\tb\\xef\\xbf\\xbd\\\"\"\n"
    );
}

#[test]
fn headers_trace_and_user_are_added() {
    let mut headers = http::HeaderMap::new();
    headers.insert("accept", "a b\"".parse().unwrap());
    headers.insert("cookie", "secret".parse().unwrap());
    let record = Record { user: "joe", trace_id: "4bf9", headers: Some(&headers), ..record() };
    let names = ["accept", "cookie", "absent"];
    assert!(
        made(&record, &look(AccessFormat::Text, &names))
            .ends_with(" request_id=a-1 trace_id=4bf9 user=joe accept=\"a b\\\"\" cookie=\"redacted\"\n")
    );
    let parsed: serde_json::Value = serde_json::from_str(&made(&record, &look(AccessFormat::Json, &names))).unwrap();
    assert_eq!(parsed["headers"], serde_json::json!({"accept": "a b\"", "cookie": "redacted"}));
    assert_eq!((&parsed["trace_id"], &parsed["user"]), (&"4bf9".into(), &"joe".into()));
    let none: serde_json::Value = serde_json::from_str(&made(&record, &look(AccessFormat::Json, &["absent"]))).unwrap();
    assert_eq!(none["headers"], serde_json::json!({}));
}

#[test]
fn a_request_is_one_line_of_text() {
    assert_eq!(
        text(&record()),
        "2026-11-22T17:00:00.123Z INFO  proxy 2001:db8::1 \"GET /a?b=c HTTP/2\" 200 1234 \
         took=1.012345 queued=0.000007 host=shop.example app=shop worker=0 request_id=a-1\n"
    );
    assert_eq!(
        text(&bare()),
        "2026-11-22T17:00:00.123Z INFO  proxy 2001:db8::1 \"-\" 400 0 took=1.012345 \
         certificate=CN=A\\x20B,O=C cause=bad_request\n"
    );
}

#[test]
fn a_request_is_one_object() {
    assert_eq!(
        json(&record()),
        "{\"time\":\"2026-11-22T17:00:00.123Z\",\"level\":\"info\",\"process\":\"proxy\",\
         \"message\":\"request\",\"client\":\"2001:db8::1\",\"method\":\"GET\",\"uri\":\"/a?b=c\",\
         \"protocol\":\"HTTP/2\",\"host\":\"shop.example\",\"status\":200,\"sent\":1234,\
         \"took\":1.012345,\"queued\":0.000007,\"app\":\"shop\",\"worker\":0,\
         \"request_id\":\"a-1\"}\n"
    );
    let parsed: serde_json::Value = serde_json::from_str(&json(&bare())).unwrap();
    assert_eq!(parsed["cause"], "bad_request");
    assert_eq!(parsed["certificate"], "CN=A B,O=C");
    assert_eq!(parsed.get("app"), None);
}

#[test]
fn clients_cannot_forge_a_line() {
    for (hostile, in_text, in_word) in [
        ("/a\r\nb", "/a\\x0d\\x0ab", "/a\\x0d\\x0ab"),
        ("\" 200 \\", "\\\" 200 \\\\", "\\\"\\x20200\\x20\\\\"),
        ("\u{1b}[2J\u{7f}", "\\x1b[2J\\x7f", "\\x1b[2J\\x7f"),
        ("\u{202e}é", "\\xe2\\x80\\xae\\xc3\\xa9", "\\xe2\\x80\\xae\\xc3\\xa9"),
    ] {
        let record = Record { target: hostile, host: hostile, ..record() };
        let line = text(&record);
        assert!(line.contains(&format!("\"GET {in_text} HTTP/2\"")), "{line}");
        assert!(line.contains(&format!(" host={in_word} app=")), "{line}");

        let line = json(&record);
        assert!(line.is_ascii() && line.matches('\n').count() == 1, "{line}");
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["uri"], hostile);
    }
    let smile = Record { host: "\u{1f600}", ..record() };
    let parsed: serde_json::Value = serde_json::from_str(&json(&smile)).unwrap();
    assert_eq!(parsed["host"], "\u{1f600}");
}
