//! Bytes to a YAML tree. Called by [`crate::load`] alone. Turns what editors on Windows do (byte
//! order marks, UTF-16) and what YAML is known to trip people with into messages that say what to
//! write instead.

use std::path::Path;

use serde_yaml::Value;

use crate::error::{ConfigError, Problem};

/// The shortest site file, for messages.
pub(crate) const LEAST: &str = "`app: module:callable`, such as `app: shop.wsgi:application`";

/// Reads a file's bytes as one YAML document.
pub(crate) fn parse(file: &Path, bytes: &[u8]) -> Result<Value, ConfigError> {
    let text = text(bytes).map_err(|message| ConfigError::of_file(file, message))?;
    let value = serde_yaml::from_str(text).map_err(|error| {
        let position = error.location().map(|place| (place.line(), place.column()));
        ConfigError::new(vec![Problem {
            file: file.to_owned(),
            key: String::new(),
            position,
            message: explain(&error.to_string(), position, text),
        }])
    })?;
    if matches!(value, Value::Null) {
        return Err(ConfigError::of_file(file, format!("is empty: expected at least {LEAST}")));
    }
    Ok(value)
}

/// The text of a file, without a byte order mark.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, &'static str> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err("is UTF-16: save it as UTF-8 (Windows PowerShell's > and Out-File write UTF-16)");
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|_| "is not UTF-8: save it as UTF-8")
}

fn explain(message: &str, position: Option<(usize, usize)>, text: &str) -> String {
    // The position is already at the front of the line.
    let plain = match position {
        Some((line, column)) => message.replacen(&format!(" at line {line} column {column}"), "", 1),
        None => message.to_owned(),
    };
    let line = position.and_then(|(line, _)| text.lines().nth(line.saturating_sub(1))).unwrap_or("");
    let hint = if message.contains("escape character") || message.contains("hexadecimal") {
        "in double quotes a backslash starts an escape; write paths with / or in single quotes"
    } else if line.trim_start_matches(' ').starts_with('\t') {
        "indent with spaces, not tabs"
    } else if line.contains("[:") {
        "put an address that starts with [ in quotes, such as \"[::]:443\""
    } else if line.contains(": *") || line.contains("[*") || line.contains("- *") || line.contains(", *") {
        "put a value that starts with * in quotes, such as \"*.shop.example\""
    } else {
        return plain;
    };
    format!("{plain}: {hint}")
}
