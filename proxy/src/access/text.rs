//! A request as a line of text, for people. Called by `line`.

use super::Record;
use super::append::{put, seconds};
use super::look::Look;
use super::stamp::Stamp;

/// `2026-11-22T17:00:00.123Z INFO  proxy 192.0.2.1 "GET / HTTP/1.1" 200 5 took=0.001200 ...`
pub(super) fn text(line: &mut Vec<u8>, stamp: &mut Stamp, record: &Record<'_>, look: &Look) {
    stamp.put(line, record.time);
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
