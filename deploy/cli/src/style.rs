//! Colours, where they are wanted. Every command writes through it; meaning never rests on colour
//! alone, so plain output says the same.

use std::fmt::{self, Display};

use crate::args::Color;

/// Whether one stream gets colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    /// By the operator's choice, whether the stream is a terminal, and NO_COLOR.
    pub(crate) fn choose(choice: Color, terminal: bool) -> Self {
        let wanted = match choice {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                terminal && !anstyle_query::no_color() && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
            }
        };
        // Consoles of Windows understand the sequences only after they were asked to.
        let understood = !terminal || anstyle_query::windows::enable_ansi_colors().unwrap_or(true);
        Self { colour: wanted && understood }
    }

    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { colour: false }
    }

    #[cfg(test)]
    pub(crate) fn coloured() -> Self {
        Self { colour: true }
    }

    pub(crate) fn good<T: Display>(self, text: T) -> Painted<T> {
        self.paint(text, "32")
    }

    pub(crate) fn warning<T: Display>(self, text: T) -> Painted<T> {
        self.paint(text, "33")
    }

    pub(crate) fn bad<T: Display>(self, text: T) -> Painted<T> {
        self.paint(text, "31")
    }

    pub(crate) fn strong<T: Display>(self, text: T) -> Painted<T> {
        self.paint(text, "1")
    }

    pub(crate) fn quiet<T: Display>(self, text: T) -> Painted<T> {
        self.paint(text, "2")
    }

    fn paint<T>(self, text: T, code: &'static str) -> Painted<T> {
        Painted { text, code: self.colour.then_some(code) }
    }
}

/// Text with its colour.
pub(crate) struct Painted<T> {
    text: T,
    code: Option<&'static str>,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "\x1b[{code}m{}\x1b[0m", self.text),
            None => self.text.fmt(f),
        }
    }
}

/// Nothing that comes from a client or an app may steer the terminal.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|letter| if letter.is_control() { letter.escape_default().collect() } else { vec![letter] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_beats_the_terminal() {
        assert_eq!(Style::choose(Color::Never, true), Style::plain());
        assert_eq!(Style::choose(Color::Always, false), Style::coloured());
        assert_eq!(Style::choose(Color::Auto, false), Style::plain());
    }

    #[test]
    fn plain_text_has_no_escapes() {
        assert_eq!(Style::plain().bad("no").to_string(), "no");
        assert_eq!(Style::coloured().bad("no").to_string(), "\x1b[31mno\x1b[0m");
    }
}
