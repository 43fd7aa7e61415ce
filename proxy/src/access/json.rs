//! A request as a line of JSON, for programs. Called by `line`.

use super::Record;
use super::append::{put, seconds};
use super::look::Look;
use super::stamp::Stamp;

/// The line of a request: an object; what does not apply is left out.
pub(super) fn json(line: &mut Vec<u8>, stamp: &mut Stamp, record: &Record<'_>, look: &Look) {
    line.extend_from_slice(b"{\"time\":\"");
    stamp.put(line, record.time);
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
