//! One record as a line: `2026-11-22T17:00:00.123Z INFO  appserver worker ready app=shop`, or
//! the same as a JSON object. Called by `tracing-subscriber` for each event.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use time::OffsetDateTime;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use crate::escape;
use crate::record::{Pass, Record};

#[derive(Debug)]
pub(crate) struct Format {
    process: &'static str,
    colours: AtomicBool,
    json: AtomicBool,
}

/// The format that the subscriber and later calls of `init` share.
pub(crate) struct Shared(pub(crate) &'static Format);

impl Format {
    pub(crate) const fn new(process: &'static str, colours: bool) -> Self {
        Self { process, colours: AtomicBool::new(colours), json: AtomicBool::new(false) }
    }

    pub(crate) fn set_json(&self, json: bool) {
        self.json.store(json, Ordering::Relaxed);
    }

    pub(crate) fn set_colours(&self, colours: bool) {
        self.colours.store(colours, Ordering::Relaxed);
    }

    fn text(&self, out: &mut dyn Write, now: OffsetDateTime, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        stamp(out, now)?;
        if self.colours.load(Ordering::Relaxed) {
            write!(out, " \u{1b}[{}m{level:<5}\u{1b}[0m", colour(level))?;
        } else {
            write!(out, " {level:<5}")?;
        }
        write!(out, " {} ", self.process)?;
        pass(out, event, Pass::Message)?;
        pass(out, event, Pass::Fields)?;
        if let Some(target) = foreign(event) {
            write!(out, " target={target}")?;
        }
        pass(out, event, Pass::Blocks)?;
        out.write_char('\n')
    }

    fn json(&self, out: &mut dyn Write, now: OffsetDateTime, event: &Event<'_>) -> fmt::Result {
        out.write_str("{\"time\":\"")?;
        stamp(out, now)?;
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            _ => "debug",
        };
        write!(out, "\",\"level\":\"{level}\",\"process\":\"{}\"", self.process)?;
        pass(out, event, Pass::Json)?;
        if let Some(target) = foreign(event) {
            out.write_str(",\"target\":")?;
            escape::json(out, target)?;
        }
        out.write_str("}\n")
    }
}

impl<S, N> FormatEvent<S, N> for Shared
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let now = OffsetDateTime::now_utc();
        if self.0.json.load(Ordering::Relaxed) {
            self.0.json(&mut writer, now, event)
        } else {
            self.0.text(&mut writer, now, event)
        }
    }
}

fn pass(out: &mut dyn Write, event: &Event<'_>, pass: Pass) -> fmt::Result {
    let mut record = Record { out, pass, result: Ok(()) };
    event.record(&mut record);
    record.result
}

fn stamp(out: &mut dyn Write, now: OffsetDateTime) -> fmt::Result {
    let (date, clock) = (now.date(), now.time());
    write!(
        out,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second(),
        clock.millisecond(),
    )
}

/// Where a record of a library comes from; Tidegate's own speak for themselves.
fn foreign<'a>(event: &Event<'a>) -> Option<&'a str> {
    Some(event.metadata().target()).filter(|target| !target.starts_with("tidegate"))
}

fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        _ => 90,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt as _};

    use super::*;

    struct Keep(Format, Arc<Mutex<String>>);

    impl<S: Subscriber> Layer<S> for Keep {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let now = OffsetDateTime::from_unix_timestamp_nanos(1_795_366_800_123_000_000).unwrap();
            let mut out = self.1.lock().unwrap();
            if self.0.json.load(Ordering::Relaxed) {
                self.0.json(&mut *out, now, event).unwrap();
            } else {
                self.0.text(&mut *out, now, event).unwrap();
            }
        }
    }

    fn lines(json: bool, emit: impl FnOnce()) -> String {
        let out = Arc::new(Mutex::new(String::new()));
        let format = Format::new("appserver", false);
        format.set_json(json);
        let subscriber = tracing_subscriber::registry().with(Keep(format, Arc::clone(&out)));
        tracing::subscriber::with_default(subscriber, emit);
        std::mem::take(&mut *out.lock().unwrap())
    }

    #[test]
    fn a_record_is_one_line_of_text() {
        let text = lines(false, || {
            tracing::info!(target: "tidegate", app = "shop", worker = 0, pid = 12_u32, "worker ready");
            tracing::warn!(target: "h2", error = %"a b", path = ?"x\n", "said: {}", "1\n2");
        });
        let expected = "2026-11-22T17:00:00.123Z INFO  appserver worker ready app=shop worker=0 pid=12\n\
            2026-11-22T17:00:00.123Z WARN  appserver said: 1\\n2 error=\"a b\" path=\"x\\n\" target=h2\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_stack_stands_below_its_record_in_text() {
        let text = lines(false, || {
            tracing::error!(target: "tidegate", stack = "File \"a.py\"\n  f()\u{1b}", app = "shop", "timed out");
        });
        assert_eq!(
            text,
            "2026-11-22T17:00:00.123Z ERROR appserver timed out app=shop\n    File \"a.py\"\n      f()\\u{1b}\n"
        );
    }

    #[test]
    fn a_record_is_one_object_of_json() {
        let text = lines(true, || {
            tracing::error!(target: "tidegate", app = "shop", busy = 1.5, ok = true, stack = "a\nb", "said \"x\"");
        });
        assert_eq!(
            text,
            "{\"time\":\"2026-11-22T17:00:00.123Z\",\"level\":\"error\",\"process\":\"appserver\",\
             \"message\":\"said \\\"x\\\"\",\"app\":\"shop\",\"busy\":1.5,\"ok\":true,\"stack\":\"a\\nb\"}\n"
        );
    }
}
