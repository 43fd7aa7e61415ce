//! The YAML as it was written: a tree whose every node knows its key path, and the small typed
//! readers with which [`crate::check`] takes it apart. A reader that finds something wrong adds a
//! [`crate::Problem`] and answers `None`, so one look at the file finds everything that is wrong with it.
//! Nothing here knows a key of the site file, touches the disk or chooses a default.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_yaml::{Mapping, Value};

use crate::error::Problems;
use crate::wording::{any_of, join, kind, show};
use crate::{suggest, units};

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    value: &'a Value,
    key: String,
    problems: &'a Problems,
}

impl<'a> Node<'a> {
    pub(crate) fn root(value: &'a Value, problems: &'a Problems) -> Self {
        Self { value, key: String::new(), problems }
    }

    /// The key path.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Records that this value is wrong: `VALUE: MESSAGE`.
    pub(crate) fn reject<T>(&self, message: impl Display) -> Option<T> {
        self.problems.add(&self.key, format!("{}: {message}", show(self.value)));
        None
    }

    /// Records that the key itself is wrong; the value is not shown.
    pub(crate) fn reject_key<T>(&self, message: impl Into<String>) -> Option<T> {
        self.problems.add(&self.key, message);
        None
    }

    /// Records a problem of a key below this one.
    pub(crate) fn problem(&self, name: &str, message: impl Into<String>) {
        self.problems.add(&join(&self.key, name), message);
    }

    pub(crate) fn is_table(&self) -> bool {
        self.value.is_mapping()
    }

    pub(crate) fn is_list(&self) -> bool {
        self.value.is_sequence()
    }

    pub(crate) fn is_number(&self) -> bool {
        self.value.is_number()
    }

    /// A whole number, exactly this one.
    pub(crate) fn is_integer(&self, number: u64) -> bool {
        self.value.as_u64() == Some(number)
    }

    /// A text, exactly this one.
    pub(crate) fn is_text(&self, text: &str) -> bool {
        self.value.as_str() == Some(text)
    }

    /// A table with no other keys than `known`. Unknown keys are recorded; the rest can be read.
    pub(crate) fn table(&self, known: &'static [&'static str]) -> Option<Table<'a>> {
        let entries = self.entries("a table of keys")?;
        for (name, node) in &entries {
            if !known.contains(&name.as_str()) {
                let hint = match suggest::closest(name, known) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("expected one of {}", known.join(", ")),
                };
                self.problems.add(&node.key, format!("unknown key: {hint}"));
            }
        }
        Some(Table { entries, known, key: self.key.clone(), problems: self.problems })
    }

    /// The entries of a table with keys of the operator's choice, in the file's order.
    pub(crate) fn entries(&self, expected: &str) -> Option<Vec<(String, Node<'a>)>> {
        let Value::Mapping(mapping) = self.value else {
            return self.reject(format_args!("expected {expected}"));
        };
        Some(self.named(mapping))
    }

    /// The entries of a table whose keys may be numbers: statuses. They come as text.
    pub(crate) fn numbered(&self, expected: &str) -> Option<Vec<(String, Node<'a>)>> {
        let Value::Mapping(mapping) = self.value else {
            return self.reject(format_args!("expected {expected}"));
        };
        let entry = |(name, value): (&'a Value, &'a Value)| {
            let name = match name {
                Value::Number(number) => number.to_string(),
                Value::String(name) => name.clone(),
                other => show(other),
            };
            let key = join(&self.key, &name);
            (name, Node { value, key, problems: self.problems })
        };
        Some(mapping.iter().map(entry).collect())
    }

    fn named(&self, mapping: &'a Mapping) -> Vec<(String, Node<'a>)> {
        let mut entries = Vec::with_capacity(mapping.len());
        for (name, value) in mapping {
            let Some(name) = name.as_str() else {
                let message = format!("{}: a key has to be text; put it in quotes", show(name));
                self.problems.add(&self.key, message);
                continue;
            };
            let key = join(&self.key, name);
            entries.push((name.to_owned(), Node { value, key, problems: self.problems }));
        }
        entries
    }

    /// The elements of a list.
    pub(crate) fn list(&self, expected: &str) -> Option<Vec<Node<'a>>> {
        let Value::Sequence(sequence) = self.value else {
            return self.reject(format_args!("expected {expected}"));
        };
        let node = |(index, value)| Node { value, key: format!("{}[{index}]", self.key), problems: self.problems };
        Some(sequence.iter().enumerate().map(node).collect())
    }

    /// One line of text, not empty.
    pub(crate) fn text(&self, expected: &str) -> Option<&'a str> {
        let Value::String(text) = self.value else {
            return self.reject(format_args!("expected {expected}"));
        };
        if text.trim().is_empty() {
            return self.reject(format_args!("is empty: expected {expected}"));
        }
        // "C:\new" in double quotes is C:, a line feed and "ew": valid YAML, never what was meant.
        if text.chars().any(char::is_control) {
            return self.reject(format_args!(
                "holds a control character: expected {expected}; in double quotes a backslash starts an escape, \
                 so write paths with / or in single quotes"
            ));
        }
        Some(text)
    }

    /// Text that may be anything, for environment variables. Never shows the value.
    pub(crate) fn verbatim(&self) -> Option<String> {
        match self.value {
            Value::String(text) if !text.contains('\0') => Some(text.clone()),
            Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
            other => {
                let message = format!("{}: expected text; put the value in quotes", kind(other));
                self.problems.add(&self.key, message);
                None
            }
        }
    }

    /// `on`, `off`, `yes`, `no`, `true`, `false`.
    pub(crate) fn switch(&self) -> Option<bool> {
        match as_switch(self.value) {
            Some(switch) => Some(switch),
            None => self.reject("expected on or off"),
        }
    }

    /// Whether this is a switch that is off, for keys that take something else beside it.
    pub(crate) fn is_off(&self) -> bool {
        as_switch(self.value) == Some(false)
    }

    /// Whether this is a switch that is on, for keys that take something else beside it.
    pub(crate) fn is_on(&self) -> bool {
        as_switch(self.value) == Some(true)
    }

    /// A whole number in a range.
    pub(crate) fn integer<T>(&self, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<u64> + PartialOrd + Display,
    {
        let number = self.value.as_u64().and_then(|number| T::try_from(number).ok());
        match number {
            Some(number) if range.contains(&number) => Some(number),
            _ => self.reject(format_args!("expected a whole number from {} to {}", range.start(), range.end())),
        }
    }

    /// A duration in a range.
    pub(crate) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let text = self.quantity(units::DURATION)?;
        match units::duration(&text) {
            Ok(duration) if range.contains(&duration) => Some(duration),
            Ok(_) => self.reject(format_args!(
                "expected a duration from {} to {}",
                units::show_duration(*range.start()),
                units::show_duration(*range.end())
            )),
            Err(message) => self.reject(message),
        }
    }

    /// A size in bytes in a range.
    pub(crate) fn size(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let text = self.quantity(units::SIZE)?;
        match units::size(&text) {
            Ok(size) if range.contains(&size) => Some(size),
            Ok(_) => self.reject(format_args!(
                "expected a size from {} to {}",
                units::show_size(*range.start()),
                units::show_size(*range.end())
            )),
            Err(message) => self.reject(message),
        }
    }

    fn quantity(&self, expected: &str) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => self.reject(format_args!("expected {expected}")),
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let chosen = self.value.as_str();
        if let Some((_, choice)) = choices.iter().find(|(name, _)| chosen == Some(*name)) {
            return Some(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.reject(format_args!("expected {}", any_of(&names)))
    }
}

/// A table with a fixed set of keys.
pub(crate) struct Table<'a> {
    entries: Vec<(String, Node<'a>)>,
    known: &'static [&'static str],
    key: String,
    problems: &'a Problems,
}

impl<'a> Table<'a> {
    /// What stands at a key. A key with nothing behind it (its lines commented out) is absent.
    pub(crate) fn get(&self, name: &str) -> Option<Node<'a>> {
        debug_assert!(self.known.contains(&name), "{name} is read but unknown");
        let (_, node) = self.entries.iter().find(|(found, _)| found == name)?;
        (!node.value.is_null()).then(|| node.clone())
    }

    /// Whether there is no key at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What stands at a key that has to be there.
    pub(crate) fn require(&self, name: &str, expected: &str) -> Option<Node<'a>> {
        let found = self.get(name);
        if found.is_none() {
            self.problems.add(&self.path(name), format!("missing: expected {expected}"));
        }
        found
    }

    /// What a reader makes of a key, or the default where the key is absent.
    pub(crate) fn read<T>(&self, name: &str, default: T, reader: impl FnOnce(Node<'a>) -> Option<T>) -> Option<T> {
        self.get(name).map_or(Some(default), reader)
    }

    /// The key path of one of this table's keys.
    pub(crate) fn path(&self, name: &str) -> String {
        join(&self.key, name)
    }

    /// Records a problem of this table as a whole.
    pub(crate) fn reject<T>(&self, message: impl Into<String>) -> Option<T> {
        self.problems.add(&self.key, message);
        None
    }

    pub(crate) fn problems(&self) -> &'a Problems {
        self.problems
    }
}

fn as_switch(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(switch) => Some(*switch),
        // YAML 1.2 has no other booleans than true and false; people who know 1.1 write these.
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "on" | "yes" | "true" => Some(true),
            "off" | "no" | "false" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
