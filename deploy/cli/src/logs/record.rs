//! A line of a log as a record: its time, level and origin, with the lines that belong to it, and how it is shown.
//! Understands what `tidegate_log` and the proxy's access log write, and passes anything else on as it is. Reads nothing
//! itself.

use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, Time};

use crate::args::LogLevel;
use crate::style::Style;

/// Before the lines that belong to a record.
pub(super) const INDENT: &str = "    ";

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Since 1970, in milliseconds; of a line without a time that of the record before it.
    pub(super) time: i64,
    pub(super) level: LogLevel,
    pub(super) shape: Shape,
    pub(super) line: String,
    /// Stacks and the like, as they stand below it.
    pub(super) below: Vec<String>,
}

/// How its line is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Json,
    Combined,
    /// By something else, or the end of a record whose beginning is not here.
    Unknown,
}

impl Record {
    /// Of its first line; `before` is the time of the one before it.
    pub(super) fn of(line: String, before: i64) -> Self {
        let (shape, time, level) = if line.starts_with('{')
            && let Ok(Value::Object(object)) = serde_json::from_str(&line)
        {
            let text = |key| object.get(key).and_then(Value::as_str).unwrap_or_default();
            (Shape::Json, rfc3339(text("time")), level(text("level")))
        } else if let Some((time, rest)) = line.split_once(' ')
            && let Some(time) = rfc3339(time)
        {
            (Shape::Text, Some(time), level(rest.split(' ').next().unwrap_or_default()))
        } else if let Some(time) = combined(&line) {
            (Shape::Combined, Some(time), None)
        } else {
            (Shape::Unknown, None, None)
        };
        Self { time: time.unwrap_or(before), level: level.unwrap_or(LogLevel::Info), shape, line, below: Vec::new() }
    }

    /// What is to be shown to people, or written to a file for them.
    pub(super) fn text(&self, style: Style) -> String {
        // `2026-11-22T17:00:00.123Z WARN  proxy ...`: the level alone is painted.
        const LEVEL: std::ops::Range<usize> = 25..30;
        let mut out = match (&self.shape, self.level, self.line.get(LEVEL)) {
            (Shape::Text, LogLevel::Error, Some(level)) => self.painted(&style.bad(level).to_string()),
            (Shape::Text, LogLevel::Warn, Some(level)) => self.painted(&style.warning(level).to_string()),
            (Shape::Text, LogLevel::Info, Some(level)) => self.painted(&style.good(level).to_string()),
            _ => self.line.clone(),
        };
        for line in &self.below {
            out.push('\n');
            out.push_str(INDENT);
            out.push_str(line);
        }
        out.push('\n');
        out
    }

    fn painted(&self, level: &str) -> String {
        format!("{}{level}{}", &self.line[..25], &self.line[30..])
    }

    /// An object: what the log has if it is one of JSON, else of the parts of the line.
    pub(super) fn json(&self) -> String {
        if self.shape == Shape::Json {
            return format!("{}\n", self.line);
        }
        let mut object = Map::new();
        let mut put = |key: &str, value: String| drop(object.insert(key.to_owned(), Value::String(value)));
        if let Some(time) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.time) * 1_000_000).ok()
            && let Ok(time) = time.format(&Rfc3339)
        {
            put("time", time);
        }
        put("level", format!("{:?}", self.level).to_lowercase());
        match (&self.shape, self.line.get(31..).and_then(|rest| rest.split_once(' '))) {
            (Shape::Text, Some((process, message))) => {
                put("process", process.to_owned());
                put("message", message.to_owned());
            }
            (Shape::Combined, _) => {
                put("process", "proxy".to_owned());
                put("message", self.line.clone());
            }
            _ => put("message", self.line.clone()),
        }
        if !self.below.is_empty() {
            put("details", self.below.join("\n"));
        }
        format!("{}\n", Value::Object(object))
    }

    /// Whether it is of this app.
    pub(super) fn is_of(&self, app: &str) -> bool {
        match self.shape {
            Shape::Text => app_of(&self.line) == Some(app),
            Shape::Json => self.object().is_some_and(|object| object.get("app").and_then(Value::as_str) == Some(app)),
            Shape::Combined | Shape::Unknown => false,
        }
    }

    /// Whether it is a line of the access log.
    pub(super) fn is_request(&self) -> bool {
        match self.shape {
            // `TIME INFO  proxy 192.0.2.1 "GET / HTTP/1.1" 200 5 took=...`
            Shape::Text => self.line.get(31..).and_then(|rest| rest.strip_prefix("proxy ")).is_some_and(|rest| {
                let (client, rest) = rest.split_once(" \"").unwrap_or_default();
                client.parse::<std::net::IpAddr>().is_ok() && rest.contains(" took=")
            }),
            Shape::Json => self.object().is_some_and(|object| {
                object.get("message").and_then(Value::as_str) == Some("request") && object.contains_key("client")
            }),
            Shape::Combined => true,
            Shape::Unknown => false,
        }
    }

    fn object(&self) -> Option<Map<String, Value>> {
        serde_json::from_str(&self.line).ok()
    }
}

/// The field `app` of a line of text. Fields come after the message, which may hold anything, so they are looked for from
/// the end; one within quotes is part of another's value.
fn app_of(line: &str) -> Option<&str> {
    const FIELD: &str = " app=";
    let is_field = |rest: &&str| rest.bytes().filter(|&byte| byte == b'"').count() % 2 == 0;
    let rest = line.rmatch_indices(FIELD).map(|(at, _)| &line[at + FIELD.len()..]).find(is_field)?;
    rest.split(' ').next()
}

fn level(text: &str) -> Option<LogLevel> {
    match text {
        "ERROR" | "error" => Some(LogLevel::Error),
        "WARN" | "warn" => Some(LogLevel::Warn),
        "INFO" | "info" => Some(LogLevel::Info),
        "DEBUG" | "debug" | "TRACE" => Some(LogLevel::Debug),
        _ => None,
    }
}

fn rfc3339(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// `192.0.2.1 - joe [22/Nov/2026:17:00:00 +0000] "GET /`
fn combined(line: &str) -> Option<i64> {
    let (before, rest) = line.split_once(" [")?;
    let (stamp, _) = rest.split_once(" +0000] \"")?;
    before.split(' ').next()?.parse::<std::net::IpAddr>().ok()?;
    let (date, clock) = stamp.split_once(':')?;
    let mut date = date.split('/');
    let (day, month, year) = (date.next()?.parse().ok()?, date.next()?, date.next()?.parse().ok()?);
    let month = MONTHS.iter().position(|name| *name == month)? as u8 + 1;
    let mut clock = clock.split(':').map(|part| part.parse::<u8>().ok());
    let clock = Time::from_hms(clock.next()??, clock.next()??, clock.next()??).ok()?;
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
    Some(date.with_time(clock).assume_utc().unix_timestamp() * 1000)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What logs hold.
    pub(in crate::logs) const LINES: [&str; 9] = [
        "2026-11-22T17:00:00.000Z INFO  proxy listening address=127.0.0.1:1",
        "2026-11-22T17:00:01.000Z WARN  appserver timed out app=shop path=\"/ app=wiki\"",
        "    File \"a.py\"",
        "      f()",
        "2026-11-22T17:00:02.000Z INFO  proxy 192.0.2.1 \"GET / HTTP/1.1\" 200 5 took=0.1 app=shop",
        r#"{"time":"2026-11-22T17:00:03.000Z","level":"error","process":"proxy","message":"no","app":"wiki"}"#,
        r#"{"time":"2026-11-22T17:00:04.000Z","level":"info","process":"proxy","message":"request","client":"::1"}"#,
        "192.0.2.1 - - [22/Nov/2026:17:00:05 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"",
        "something else",
    ];

    #[test]
    fn any_record_can_be_an_object() {
        let mut record = Record::of(LINES[1].to_owned(), 0);
        record.below.push("File".to_owned());
        let object: Value = serde_json::from_str(&record.json()).unwrap();
        assert_eq!(
            object,
            serde_json::json!({
                "time": "2026-11-22T17:00:01Z", "level": "warn", "process": "appserver", "details": "File",
                "message": "timed out app=shop path=\"/ app=wiki\"",
            })
        );
        let passed_on = Record::of(LINES[5].to_owned(), 0).json();
        assert_eq!(passed_on.trim_end(), LINES[5]);
        let combined: Value = serde_json::from_str(&Record::of(LINES[7].to_owned(), 0).json()).unwrap();
        assert_eq!((&combined["time"], &combined["level"]), (&"2026-11-22T17:00:05Z".into(), &"info".into()));
    }

    #[test]
    fn what_a_message_or_a_value_says_is_no_field() {
        for (line, app) in [
            ("TIME INFO  appserver app=wiki is better app=shop worker=0", Some("shop")),
            ("TIME WARN  proxy failed app=shop error=\"at app=wiki in\" path=/", Some("shop")),
            ("TIME INFO  proxy 192.0.2.1 \"GET / HTTP/1.1\" 200 5 app=shop user-agent=\"app=wiki\"", Some("shop")),
            ("TIME INFO  proxy listening", None),
        ] {
            assert_eq!(app_of(line), app, "{line}");
        }
    }

    #[test]
    fn the_level_alone_is_painted() {
        let shown = Record::of(LINES[1].to_owned(), 0).text(Style::coloured());
        assert!(shown.starts_with("2026-11-22T17:00:01.000Z \x1b[33mWARN \x1b[0m appserver timed"), "{shown:?}");
    }
}
