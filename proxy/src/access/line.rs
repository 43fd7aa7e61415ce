//! A request's record as a line: text, JSON or the combined format. Clients choose much of what is in it, so
//! everything but printable ASCII is escaped: no client can end a line, forge a field or steer
//! a terminal.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_site::AccessFormat;
use time::OffsetDateTime;

use super::Record;
use super::combined::combined;
use super::look::Look;

/// A thread's memory for making lines: they cost no allocation, and one calendar computation
/// a second.
#[derive(Debug)]
pub(super) struct Scratch {
    line: Vec<u8>,
    second: u64,
    stamp: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { line: Vec::with_capacity(512), second: u64::MAX, stamp: Vec::with_capacity(20) }
    }

    /// The line of a request.
    pub(super) fn line(&mut self, record: &Record<'_>, look: &Look) -> &[u8] {
        self.line.clear();
        match look.format {
            AccessFormat::Text => self.text(record, look),
            AccessFormat::Json => self.json(record, look),
            AccessFormat::Combined => combined(&mut self.line, record, look),
        }
        &self.line
    }

    /// `2026-11-22T17:00:00.123Z INFO  proxy 192.0.2.1 "GET / HTTP/1.1" 200 5 took=0.001200 ...`
    fn text(&mut self, record: &Record<'_>, look: &Look) {
        self.stamp(record.time);
        let line = &mut self.line;
        put(line, format_args!(" INFO  proxy {} \"", record.client));
        if record.method.is_empty() {
            line.push(b'-');
        } else {
            escape(line, record.method, Escape::Text);
            line.push(b' ');
            escape(line, &look.target(record.target), Escape::Text);
            line.push(b' ');
            escape(line, record.protocol, Escape::Text);
        }
        put(line, format_args!("\" {} {} took=", record.status, record.sent));
        seconds(line, record.duration);
        if let Some(wait) = record.queue_wait {
            line.extend_from_slice(b" queued=");
            seconds(line, wait);
        }
        if !record.host.is_empty() {
            line.extend_from_slice(b" host=");
            escape(line, record.host, Escape::Word);
        }
        if let Some(app) = record.app {
            put(line, format_args!(" app={app}"));
        }
        if let Some(worker) = record.worker {
            put(line, format_args!(" worker={worker}"));
        }
        if let Some(certificate) = record.certificate {
            line.extend_from_slice(b" certificate=");
            escape(line, certificate, Escape::Word);
        }
        if let Some(cause) = record.cause {
            put(line, format_args!(" cause={}", cause.label()));
        }
        if !record.request_id.is_empty() {
            line.extend_from_slice(b" request_id=");
            escape(line, record.request_id, Escape::Word);
        }
        if !record.trace_id.is_empty() {
            put(line, format_args!(" trace_id={}", record.trace_id));
        }
        if !record.user.is_empty() {
            line.extend_from_slice(b" user=");
            escape(line, record.user, Escape::Word);
        }
        for (name, hidden) in &look.headers {
            if let Some(value) = record.headers.and_then(|headers| look.header(headers, name, *hidden)) {
                put(line, format_args!(" {name}=\""));
                escape(line, &value, Escape::Text);
                line.push(b'"');
            }
        }
        line.push(b'\n');
    }

    /// The same as an object; what does not apply is left out.
    fn json(&mut self, record: &Record<'_>, look: &Look) {
        self.line.extend_from_slice(b"{\"time\":\"");
        self.stamp(record.time);
        let line = &mut self.line;
        line.extend_from_slice(b"\",\"level\":\"info\",\"process\":\"proxy\",\"message\":\"request\"");
        put(line, format_args!(",\"client\":\"{}\"", record.client));
        string(line, "method", record.method);
        string(line, "uri", &look.target(record.target));
        string(line, "protocol", record.protocol);
        string(line, "host", record.host);
        put(line, format_args!(",\"status\":{},\"sent\":{},\"took\":", record.status, record.sent));
        seconds(line, record.duration);
        if let Some(wait) = record.queue_wait {
            line.extend_from_slice(b",\"queued\":");
            seconds(line, wait);
        }
        string(line, "app", record.app.unwrap_or_default());
        if let Some(worker) = record.worker {
            put(line, format_args!(",\"worker\":{worker}"));
        }
        string(line, "certificate", record.certificate.unwrap_or_default());
        string(line, "cause", record.cause.map(|cause| cause.label()).unwrap_or_default());
        string(line, "request_id", record.request_id);
        string(line, "trace_id", record.trace_id);
        string(line, "user", record.user);
        if let Some(headers) = record.headers.filter(|_| !look.headers.is_empty()) {
            line.extend_from_slice(b",\"headers\":{");
            let empty = line.len();
            for (name, hidden) in &look.headers {
                if let Some(value) = look.header(headers, name, *hidden) {
                    string(line, name.as_str(), &value);
                }
            }
            // Members come with a comma before them.
            if line.len() > empty {
                line.remove(empty);
            }
            line.push(b'}');
        }
        line.extend_from_slice(b"}\n");
    }

    /// Appends the time in UTC, to the millisecond.
    fn stamp(&mut self, time: SystemTime) {
        // A clock before 1970 is shown as 1970.
        let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if time.as_secs() != self.second {
            self.second = time.as_secs();
            let moment = OffsetDateTime::from(UNIX_EPOCH + Duration::from_secs(self.second));
            let (date, clock) = (moment.date(), moment.time());
            self.stamp.clear();
            put(
                &mut self.stamp,
                format_args!(
                    "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
                    date.year(),
                    u8::from(date.month()),
                    date.day(),
                    clock.hour(),
                    clock.minute(),
                    clock.second(),
                ),
            );
        }
        self.line.extend_from_slice(&self.stamp);
        put(&mut self.line, format_args!(".{:03}Z", time.subsec_millis()));
    }
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    /// Between quotes: `"` and `\` are escaped.
    Text,
    /// After `key=`: spaces too.
    Word,
}

/// Bytes other than printable ASCII become `\xNN`.
fn escape(line: &mut Vec<u8>, text: &str, escape: Escape) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
            b' ' if escape == Escape::Word => line.extend_from_slice(b"\\x20"),
            b' '..=b'~' => line.push(byte),
            _ => put(line, format_args!("\\x{byte:02x}")),
        }
    }
}

/// A JSON member after others; none if it has no value.
fn string(line: &mut Vec<u8>, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    put(line, format_args!(",\"{name}\":\""));
    for character in value.chars() {
        match character {
            '"' => line.extend_from_slice(b"\\\""),
            '\\' => line.extend_from_slice(b"\\\\"),
            // One byte each.
            ' '..='~' => line.push(character as u8),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    put(line, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }
    line.push(b'"');
}

fn seconds(line: &mut Vec<u8>, duration: Duration) {
    put(line, format_args!("{}.{:06}", duration.as_secs(), duration.subsec_micros()));
}

pub(super) fn put(line: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = line.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
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
        let parsed: serde_json::Value =
            serde_json::from_str(&made(&record, &look(AccessFormat::Json, &names))).unwrap();
        assert_eq!(parsed["headers"], serde_json::json!({"accept": "a b\"", "cookie": "redacted"}));
        assert_eq!((&parsed["trace_id"], &parsed["user"]), (&"4bf9".into(), &"joe".into()));
        let none: serde_json::Value =
            serde_json::from_str(&made(&record, &look(AccessFormat::Json, &["absent"]))).unwrap();
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

    #[test]
    fn a_stamp_follows_the_clock() {
        let mut scratch = Scratch::new();
        for (millis, stamp) in [
            (0, "1970-01-01T00:00:00.000Z "),
            (999, "1970-01-01T00:00:00.999Z "),
            (951_782_400_000, "2000-02-29T00:00:00.000Z "),
            (1_795_366_800_123, "2026-11-22T17:00:00.123Z "),
            (1_795_366_801_000, "2026-11-22T17:00:01.000Z "),
        ] {
            let record = Record { time: UNIX_EPOCH + Duration::from_millis(millis), ..record() };
            assert!(scratch.line(&record, &look(AccessFormat::Text, &[])).starts_with(stamp.as_bytes()), "{stamp}");
        }
        let before = Record { time: UNIX_EPOCH - Duration::from_secs(1), ..record() };
        assert!(scratch.line(&before, &look(AccessFormat::Text, &[])).starts_with(b"1970-01-01T00:00:00.000Z "));
    }
}
