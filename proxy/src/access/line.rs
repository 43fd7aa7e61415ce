//! A request's record as a line: text, JSON or the combined format. Clients choose much of what is in it, so
//! everything but printable ASCII is escaped: no client can end a line, forge a field or steer
//! a terminal.

use tidegate_site::AccessFormat;

use super::Record;
use super::combined::combined;
use super::json::json;
use super::look::Look;
use super::stamp::Stamp;
use super::text::text;

/// A thread's memory for making lines: they cost no allocation, and one calendar computation
/// a second.
#[derive(Debug)]
pub(super) struct Scratch {
    line: Vec<u8>,
    stamp: Stamp,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { line: Vec::with_capacity(512), stamp: Stamp::new() }
    }

    /// The line of a request.
    pub(super) fn line(&mut self, record: &Record<'_>, look: &Look) -> &[u8] {
        self.line.clear();
        match look.format {
            AccessFormat::Text => text(&mut self.line, &mut self.stamp, record, look),
            AccessFormat::Json => json(&mut self.line, &mut self.stamp, record, look),
            AccessFormat::Combined => combined(&mut self.line, record, look),
        }
        &self.line
    }
}

#[cfg(test)]
mod tests;
