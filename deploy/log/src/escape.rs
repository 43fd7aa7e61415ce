//! Escapes what could forge a record or steer a terminal. Called by both formats; never fails
//! but by its writer.

use std::fmt::{self, Write};

/// Whether `c` may end a line, move a cursor or turn the direction of text.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes `text` with control characters as `\n`, `\t` or `\u{1b}`. Backslashes stay single:
/// Windows paths would be unreadable otherwise, and JSON is there for machines.
pub(crate) fn text(out: &mut dyn Write, text: &str) -> fmt::Result {
    for (clean, dirty) in pieces(text) {
        out.write_str(clean)?;
        match dirty {
            Some('\n') => out.write_str("\\n")?,
            Some('\r') => out.write_str("\\r")?,
            Some('\t') => out.write_str("\\t")?,
            Some(c) => write!(out, "\\u{{{:x}}}", u32::from(c))?,
            None => {}
        }
    }
    Ok(())
}

/// Writes `text` as a JSON string, quotes included.
pub(crate) fn json(out: &mut dyn Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || is_unsafe(c)) {
        let (clean, tail) = rest.split_at(at);
        out.write_str(clean)?;
        let mut characters = tail.chars();
        match characters.next() {
            Some('"') => out.write_str("\\\"")?,
            Some('\\') => out.write_str("\\\\")?,
            Some('\n') => out.write_str("\\n")?,
            // Everything unsafe lies in the basic plane, so four digits do.
            Some(c) => write!(out, "\\u{:04x}", u32::from(c))?,
            None => {}
        }
        rest = characters.as_str();
    }
    out.write_str(rest)?;
    out.write_char('"')
}

/// Runs of safe characters, each with the unsafe one that ends it.
fn pieces(text: &str) -> impl Iterator<Item = (&str, Option<char>)> {
    text.split_inclusive(is_unsafe).map(|piece| match piece.chars().next_back() {
        Some(last) if is_unsafe(last) => (&piece[..piece.len() - last.len_utf8()], Some(last)),
        _ => (piece, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_the_log() {
        let cases = [
            ("plain ä €", "plain ä €", "\"plain ä €\""),
            ("a\r\n2026 INFO forged", "a\\r\\n2026 INFO forged", "\"a\\u000d\\n2026 INFO forged\""),
            ("\u{1b}[2J", "\\u{1b}[2J", "\"\\u001b[2J\""),
            ("C:\\app \"x\"", "C:\\app \"x\"", "\"C:\\\\app \\\"x\\\"\""),
            ("\u{202e}txt", "\\u{202e}txt", "\"\\u202etxt\""),
            ("", "", "\"\""),
        ];
        for (input, as_text, as_json) in cases {
            let (mut plain, mut machine) = (String::new(), String::new());
            text(&mut plain, input).unwrap();
            json(&mut machine, input).unwrap();
            assert_eq!((plain.as_str(), machine.as_str()), (as_text, as_json));
        }
    }
}
