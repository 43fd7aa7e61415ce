//! The combined log format, as Apache's mod_log_config defines it and every log analyser reads it:
//! `%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"`. The time is in UTC. Called by `line`.

use std::borrow::Cow;

use time::OffsetDateTime;

use super::Record;
use super::append::put;
use super::look::Look;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Appends a request's line.
pub(super) fn combined(line: &mut Vec<u8>, record: &Record<'_>, look: &Look) {
    put(line, format_args!("{} - ", record.client));
    word(line, record.user);
    let time = OffsetDateTime::from(record.time.max(std::time::UNIX_EPOCH));
    let (date, clock) = (time.date(), time.time());
    put(
        line,
        format_args!(
            " [{:02}/{}/{:04}:{:02}:{:02}:{:02} +0000] \"",
            date.day(),
            MONTHS[usize::from(u8::from(date.month())) - 1],
            date.year(),
            clock.hour(),
            clock.minute(),
            clock.second(),
        ),
    );
    if record.method.is_empty() {
        line.push(b'-');
    } else {
        escape(line, record.method);
        line.push(b' ');
        escape(line, &look.target(record.target));
        line.push(b' ');
        // HTTP/2 is written with a minor version where the format is parsed by rule.
        escape(line, if record.protocol == "HTTP/2" { "HTTP/2.0" } else { record.protocol });
    }
    put(line, format_args!("\" {} ", record.status));
    if record.sent == 0 {
        line.push(b'-');
    } else {
        put(line, format_args!("{}", record.sent));
    }
    for value in [look.referer(record.headers), look.agent(record.headers)] {
        line.extend_from_slice(b" \"");
        escape(line, &value.filter(|value| !value.is_empty()).unwrap_or(Cow::Borrowed("-")));
        line.push(b'"');
    }
    line.push(b'\n');
}

/// A field that stands without quotes: a space would shift those behind it.
fn word(line: &mut Vec<u8>, text: &str) {
    if text.is_empty() {
        line.push(b'-');
        return;
    }
    for (at, part) in text.split(' ').enumerate() {
        if at > 0 {
            line.extend_from_slice(b"\\x20");
        }
        escape(line, part);
    }
}

/// As Apache escapes: C's letters where there is one, `\xhh` for other bytes that are not printable ASCII.
fn escape(line: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            0x08 => line.extend_from_slice(b"\\b"),
            0x0b => line.extend_from_slice(b"\\v"),
            b' '..=b'~' => line.push(byte),
            _ => put(line, format_args!("\\x{byte:02x}")),
        }
    }
}
