//! Lines of a log gathered to records, and which of those are wanted.

use std::io;
use std::time::SystemTime;

use super::is_before;
use super::record::{INDENT, Record, Shape};
use crate::args::LogLevel;

/// Which records are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Only {
    pub(super) since: Option<SystemTime>,
    /// At least so severe.
    pub(super) level: Option<LogLevel>,
    /// Of this app.
    pub(super) app: Option<String>,
    /// Requests.
    pub(super) access: bool,
}

/// Makes records of lines, and leaves out what is not wanted.
pub(super) struct Records {
    only: Only,
    pending: Option<Record>,
    /// Of the record that came last.
    time: i64,
    level: LogLevel,
    was_wanted: bool,
    /// Of the first one with a time.
    begun: Option<i64>,
}

impl Records {
    pub(super) fn new(only: Only) -> Self {
        Self { only, pending: None, time: 0, level: LogLevel::Info, was_wanted: false, begun: None }
    }

    /// The time of the first line.
    pub(super) fn begun(&self) -> Option<i64> {
        self.begun
    }

    /// The next wanted record of the lines that are there. Where there is no further line, the last record is complete.
    pub(super) fn next(&mut self, mut line: impl FnMut() -> io::Result<Option<String>>) -> io::Result<Option<Record>> {
        while let Some(line) = line()? {
            if let Some(record) = self.feed(line) {
                return Ok(Some(record));
            }
        }
        Ok(self.flush())
    }

    /// Takes a line; returns the record before it, which it completes, if that is wanted.
    pub(super) fn feed(&mut self, line: String) -> Option<Record> {
        if let Some(pending) = &mut self.pending
            && pending.shape == Shape::Text
            && let Some(below) = line.strip_prefix(INDENT)
        {
            pending.below.push(below.to_owned());
            return None;
        }
        let done = self.flush();
        let mut record = Record::of(line, self.time);
        if record.shape == Shape::Unknown {
            record.level = self.level;
        } else {
            self.begun.get_or_insert(record.time);
        }
        (self.time, self.level) = (record.time, record.level);
        self.pending = Some(record);
        done
    }

    /// The last record, when no line has come after it for long enough.
    pub(super) fn flush(&mut self) -> Option<Record> {
        let record = self.pending.take()?;
        // Lines that belong to a record and came late are wanted as it was.
        let belongs = record.shape == Shape::Unknown && record.line.starts_with(INDENT);
        let is_wanted = if belongs { self.was_wanted } else { self.only.wants(&record) };
        self.was_wanted = is_wanted;
        is_wanted.then_some(record)
    }
}

impl Only {
    fn wants(&self, record: &Record) -> bool {
        self.since.is_none_or(|since| !is_before(record.time, since))
            && self.level.is_none_or(|level| record.level <= level)
            && self.app.as_deref().is_none_or(|app| record.is_of(app))
            && (!self.access || record.is_request())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::logs::record::tests::LINES;
    use crate::style::Style;

    fn shown(only: Only) -> Vec<String> {
        let mut lines = LINES.iter().map(|line| (*line).to_owned());
        let mut records = Records::new(only);
        let mut all = Vec::new();
        while let Some(record) = records.next(|| Ok(lines.next())).unwrap() {
            all.push(record);
        }
        all.iter().map(|record| record.text(Style::plain())).collect()
    }

    #[test]
    fn records_keep_their_lines_and_are_chosen_by_what_they_say() {
        let stack = format!("{}\n{}\n{}\n", LINES[1], LINES[2], LINES[3]);
        let line = |at: usize| format!("{}\n", LINES[at]);
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_366_804_000);
        for (only, expected) in [
            (Only::default(), vec![line(0), stack.clone(), line(4), line(5), line(6), line(7), line(8)]),
            (Only { level: Some(LogLevel::Warn), ..Only::default() }, vec![stack.clone(), line(5)]),
            (Only { app: Some("shop".into()), ..Only::default() }, vec![stack, line(4)]),
            (Only { access: true, ..Only::default() }, vec![line(4), line(6), line(7)]),
            (Only { since: Some(since), ..Only::default() }, vec![line(6), line(7), line(8)]),
        ] {
            assert_eq!(shown(only.clone()), expected, "{only:?}");
        }
    }

    #[test]
    fn lines_that_come_late_are_wanted_like_the_record_that_they_belong_to() {
        for (level, count) in [(LogLevel::Warn, 3), (LogLevel::Error, 0)] {
            let mut records = Records::new(Only { level: Some(level), ..Only::default() });
            let mut shown = 0;
            for line in &LINES[1..4] {
                shown += usize::from(records.feed((*line).to_owned()).is_some());
                shown += usize::from(records.flush().is_some());
            }
            assert_eq!(shown, count, "{level:?}");
        }
    }
}
