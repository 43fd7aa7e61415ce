//! Columns of text for `tidegate status`. Knows nothing of what they hold.

use std::fmt::Write as _;

use crate::style::Style;

/// How a cell is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
}

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(crate) fn new(text: impl ToString) -> Self {
        Self::toned(text, Tone::Plain)
    }

    pub(crate) fn toned(text: impl ToString, tone: Tone) -> Self {
        Self { text: text.to_string(), tone }
    }
}

/// The table's lines, columns two spaces apart, as wide as their widest cell.
pub(crate) fn render<const N: usize>(head: [&str; N], rows: &[[Cell; N]], style: Style) -> String {
    let mut widths = head.map(|name| name.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    let mut out = String::new();
    for (index, name) in head.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(out, "{}{}", style.quiet(name), gap(name, widths[index], index + 1 == N));
    }
    out.push('\n');
    for row in rows {
        let start = out.len();
        for (index, cell) in row.iter().enumerate() {
            let text = &cell.text;
            let _ = match cell.tone {
                Tone::Plain => write!(out, "{text}"),
                Tone::Good => write!(out, "{}", style.good(text)),
                Tone::Warning => write!(out, "{}", style.warning(text)),
                Tone::Bad => write!(out, "{}", style.bad(text)),
            };
            out.push_str(&gap(text, widths[index], index + 1 == N));
        }
        // Where the last cells are empty.
        out.truncate(start + out[start..].trim_end_matches(' ').len());
        out.push('\n');
    }
    out
}

/// The space up to the next column; none after the last.
fn gap(text: &str, width: usize, last: bool) -> String {
    if last { String::new() } else { " ".repeat(width.saturating_sub(text.chars().count()) + 2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            [Cell::new("shop"), Cell::toned("ready", Tone::Good), Cell::new(7)],
            [Cell::new("Bäckerei"), Cell::toned("x", Tone::Bad), Cell::new(12_345)],
        ];
        let expected = "APP       PHASE  PID\nshop      ready  7\nBäckerei  x      12345\n";
        assert_eq!(render(["APP", "PHASE", "PID"], &rows, Style::plain()), expected);
    }

    #[test]
    fn colours_do_not_move_columns() {
        let rows = [[Cell::toned("a", Tone::Bad), Cell::new("b")]];
        let out = render(["ONE", "TWO"], &rows, Style::coloured());
        assert!(out.ends_with("\x1b[31ma\x1b[0m    b\n"), "{out:?}");
    }
}
