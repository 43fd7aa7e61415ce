//! `environment` and `environment_file`: what an app's workers find in their environment. Values
//! may be secrets: no message ever holds one, nor a line of the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::check::paths::Base;
use crate::error::{Problem, Problems};
use crate::raw::{Node, Table};
use crate::syntax;

const NAME: &str = "a name of letters, digits and _ that does not start with a digit";
const LINE: &str = "expected NAME=VALUE, # COMMENT or an empty line";

/// Both, merged: `environment` wins; and the file.
pub(crate) fn read(table: &Table<'_>, base: &Base) -> Option<(BTreeMap<String, String>, Option<PathBuf>)> {
    let from_file = table.read("environment_file", Some((BTreeMap::new(), None)), |node| {
        let path = base.file(&node, "a file of NAME=VALUE lines")?;
        let read = base.reader.reads_environments().then(|| load(&path, &node, table.problems()));
        Some(read.unwrap_or_else(|| Some(BTreeMap::new())).map(|variables| (variables, Some(path))))
    });
    let given = table.read("environment", BTreeMap::new(), |node| variables(&node));
    let (mut all, file) = from_file??;
    all.extend(given?);
    Some((all, file))
}

fn variables(node: &Node<'_>) -> Option<BTreeMap<String, String>> {
    let mut variables = Some(BTreeMap::new());
    for (name, node) in node.entries("a table of NAME: VALUE")? {
        let value = match misnamed(&name) {
            Some(expected) => node.reject_key(expected),
            None => node.verbatim(),
        };
        match (&mut variables, value) {
            (Some(variables), Some(value)) => {
                variables.insert(name, value);
            }
            _ => variables = None,
        }
    }
    variables
}

fn load(path: &Path, node: &Node<'_>, problems: &Problems) -> Option<BTreeMap<String, String>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            return node.reject(format_args!("{} cannot be read: {error}", path.display()));
        }
    };
    let text = match syntax::text(&bytes) {
        Ok(text) => text,
        Err(message) => return node.reject(format_args!("{} {message}", path.display())),
    };
    match parse(text) {
        Ok(variables) => Some(variables),
        Err(wrong) => {
            for (line, message) in wrong {
                problems.push(Problem {
                    file: path.to_owned(),
                    key: node.key().to_owned(),
                    position: Some((line, 1)),
                    message,
                });
            }
            None
        }
    }
}

/// The lines of an environment file, or the numbers of the lines that are wrong, and why.
fn parse(text: &str) -> Result<BTreeMap<String, String>, Vec<(usize, String)>> {
    let mut variables: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match variable(line) {
            Err(message) => wrong.push((number, message)),
            Ok((name, value)) => match variables.get(name) {
                Some((earlier, _)) => {
                    wrong.push((number, format!("sets the variable of line {earlier} again: {LINE}")));
                }
                None => {
                    variables.insert(name.to_owned(), (number, value.to_owned()));
                }
            },
        }
    }
    if wrong.is_empty() {
        Ok(variables.into_iter().map(|(name, (_, value))| (name, value)).collect())
    } else {
        Err(wrong)
    }
}

fn variable(line: &str) -> Result<(&str, &str), String> {
    let (name, value) = line.split_once('=').ok_or_else(|| format!("has no =: {LINE}"))?;
    let name = name.trim_end();
    if let Some(expected) = misnamed(name) {
        return Err(format!("{expected} before ="));
    }
    let value = value.trim_start();
    if value.contains('\0') {
        return Err(format!("holds a NUL character: {LINE}"));
    }
    // No escapes and no comments after a value: passwords hold backslashes and #.
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => match value[1..].strip_suffix(quote) {
            Some(inside) => Ok((name, inside)),
            None => Err(format!("the value starts with {quote} and does not end with it: {LINE}")),
        },
        _ => Ok((name, value)),
    }
}

/// What was expected of a name, unless it is a good one.
fn misnamed(name: &str) -> Option<String> {
    let mut letters = name.chars();
    let starts = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if !starts || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return Some(format!("expected {NAME}"));
    }
    name.starts_with("TIDEGATE_")
        .then(|| "names that start with TIDEGATE_ are kept for Tidegate itself: expected another name".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_meant() {
        let text = "# secrets\r\n\r\nPLAIN=a b\r\nSPACED = value \nDOUBLE=\" in quotes \"\nSINGLE='it''s'\nEMPTY=\n\
                    HASH=pass#word\nBACKSLASH=C:\\new\nEQUALS=a=b==\n";
        let expected = [
            ("PLAIN", "a b"),
            ("SPACED", "value"),
            ("DOUBLE", " in quotes "),
            ("SINGLE", "it''s"),
            ("EMPTY", ""),
            ("HASH", "pass#word"),
            ("BACKSLASH", "C:\\new"),
            ("EQUALS", "a=b=="),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(parse(text), Ok(expected));
    }

    #[test]
    fn bad_lines_are_named_by_number_and_never_shown() {
        for (text, line, message) in [
            ("A=1\nhunter2\n", 2, "has no =: expected NAME=VALUE, # COMMENT or an empty line"),
            (
                "hunter2+secret=1",
                1,
                "expected a name of letters, digits and _ that does not start with a digit before =",
            ),
            ("=hunter2", 1, "expected a name of letters, digits and _ that does not start with a digit before ="),
            (
                "A=\"hunter2",
                1,
                "the value starts with \" and does not end with it: expected NAME=VALUE, # COMMENT or an empty line",
            ),
            (
                "A='",
                1,
                "the value starts with ' and does not end with it: expected NAME=VALUE, # COMMENT or an empty line",
            ),
            (
                "A=1\n\nA=hunter2",
                3,
                "sets the variable of line 1 again: expected NAME=VALUE, # COMMENT or an empty line",
            ),
            (
                "TIDEGATE_LAUNCH=hunter2",
                1,
                "names that start with TIDEGATE_ are kept for Tidegate itself: expected another name before =",
            ),
        ] {
            let wrong = parse(text).unwrap_err();
            assert_eq!(wrong, [(line, message.to_owned())], "{text}");
            assert!(!wrong[0].1.contains("hunter2"));
        }
    }

    #[test]
    fn every_bad_line_is_reported() {
        let lines: Vec<usize> = parse("x\nA=1\ny\n").unwrap_err().into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 3]);
    }
}
