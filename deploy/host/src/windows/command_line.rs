//! The words of a command line, as programs of Windows split it. Used for what the service manager has stored.

/// Its words. A program without quotes ends after `.exe`, spaces or not, as Windows finds it.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    if !rest.starts_with('"')
        && let Some(end) = rest.to_ascii_lowercase().find(".exe").map(|at| at + ".exe".len())
    {
        words.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    let mut letters = rest.chars().peekable();
    while letters.peek().is_some() {
        words.push(word(&mut letters));
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
    }
    words
}

/// Backslashes stand for themselves except before a quote: there each pair is one, and an odd one keeps the quote.
fn word(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut word = String::new();
    let mut is_quoted = false;
    let mut backslashes = 0;
    while let Some(letter) = letters.next_if(|letter| is_quoted || !letter.is_whitespace()) {
        match letter {
            '\\' => backslashes += 1,
            '"' => {
                word.extend(std::iter::repeat_n('\\', backslashes / 2));
                if backslashes % 2 == 1 {
                    word.push('"');
                } else {
                    is_quoted = !is_quoted;
                }
                backslashes = 0;
            }
            other => {
                word.extend(std::iter::repeat_n('\\', backslashes));
                backslashes = 0;
                word.push(other);
            }
        }
    }
    word.extend(std::iter::repeat_n('\\', backslashes));
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_split_as_windows_does() {
        for (line, expected) in [
            (
                r#""C:\Program Files\T\x.exe" --config "C:\a b\t.yaml""#,
                &[r"C:\Program Files\T\x.exe", "--config", r"C:\a b\t.yaml"][..],
            ),
            (r"C:\Program Files\T\x.EXE --config C:\a", &[r"C:\Program Files\T\x.EXE", "--config", r"C:\a"]),
            (r#""x" "C:\end\\" next"#, &["x", r"C:\end\", "next"]),
            (r#""x" a\"b "" c\d"#, &["x", r#"a"b"#, "", r"c\d"]),
            ("", &[]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }
}
