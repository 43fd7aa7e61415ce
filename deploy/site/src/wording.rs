//! How keys and values look in messages: one line each, whatever the file holds. Called by the
//! readers of [`crate::raw`].

use serde_yaml::Value;

/// `a, b or c`.
pub(crate) fn any_of(names: &[&str]) -> String {
    match names {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// A key path with one more key; keys that would make it unreadable are quoted.
pub(crate) fn join(path: &str, name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    let name = if plain { name.to_owned() } else { format!("{:?}", shorten(name)) };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// A value as a message shows it, on one line.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{:?}", shorten(text)),
        Value::Bool(switch) => switch.to_string(),
        Value::Number(number) => number.to_string(),
        other => kind(other).to_owned(),
    }
}

/// What kind of value it is, where the value itself must not be shown.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a table",
        Value::Tagged(_) => "a tagged value",
    }
}

fn shorten(text: &str) -> String {
    const LONGEST: usize = 100;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain("...".chars()).collect()
}
