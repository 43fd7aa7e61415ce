//! Visits the fields of one event and writes them as text or JSON. Called by `format`; keeps
//! nothing between events.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};

use crate::{BLOCKS, escape};

/// The field that `tracing` puts an event's text in.
const MESSAGE: &str = "message";

/// Which part of a record a pass over its fields writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Text: the message.
    Message,
    /// Text: `key=value` of the other fields.
    Fields,
    /// Text: fields of several lines, below the record.
    Blocks,
    /// JSON: everything, as members of an object that has members already.
    Json,
}

impl Pass {
    /// Whether this pass writes the field, if it is a string.
    fn shows(self, name: &str) -> bool {
        match self {
            Self::Message => name == MESSAGE,
            Self::Fields => name != MESSAGE && !BLOCKS.contains(&name),
            Self::Blocks => BLOCKS.contains(&name),
            Self::Json => true,
        }
    }
}

pub(crate) struct Record<'a> {
    pub(crate) out: &'a mut dyn Write,
    pub(crate) pass: Pass,
    pub(crate) result: fmt::Result,
}

impl Record<'_> {
    fn string(&mut self, field: &Field, value: &str) {
        if self.result.is_ok() && self.pass.shows(field.name()) {
            self.result = self.write_string(field.name(), value);
        }
    }

    fn write_string(&mut self, name: &str, value: &str) -> fmt::Result {
        match self.pass {
            Pass::Message => escape::text(self.out, value),
            Pass::Fields => {
                write!(self.out, " {name}=")?;
                if needs_quotes(value) {
                    self.out.write_char('"')?;
                    escape::text(self.out, value)?;
                    self.out.write_char('"')
                } else {
                    escape::text(self.out, value)
                }
            }
            Pass::Blocks => value.lines().try_for_each(|line| {
                self.out.write_str("\n    ")?;
                escape::text(self.out, line)
            }),
            Pass::Json => {
                write!(self.out, ",\"{name}\":")?;
                escape::json(self.out, value)
            }
        }
    }

    fn plain(&mut self, field: &Field, value: &dyn fmt::Display) {
        if self.result.is_err() {
            return;
        }
        self.result = match self.pass {
            Pass::Fields => write!(self.out, " {}={value}", field.name()),
            Pass::Json => write!(self.out, ",\"{}\":{value}", field.name()),
            Pass::Message | Pass::Blocks => Ok(()),
        };
    }
}

/// Whether a value without quotes could be taken for more than one field. A string shown by
/// `Debug` has its quotes.
fn needs_quotes(value: &str) -> bool {
    let quoted = value.len() > 1 && value.starts_with('"') && value.ends_with('"');
    value.is_empty() || (!quoted && value.contains([' ', '"', '=']))
}

impl Visit for Record<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.string(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.plain(field, &value);
        } else {
            self.string(field, &value.to_string());
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.string(field, &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.pass.shows(field.name()) {
            self.string(field, &format!("{value:?}"));
        }
    }
}
