//! When a request ended, as `text` and `json` write it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

use super::append::put;

/// The last second that was written: the calendar is asked once a second.
#[derive(Debug)]
pub(super) struct Stamp {
    second: u64,
    text: Vec<u8>,
}

impl Stamp {
    pub(super) fn new() -> Self {
        Self { second: u64::MAX, text: Vec::with_capacity(20) }
    }

    /// Appends the time in UTC, to the millisecond.
    pub(super) fn put(&mut self, line: &mut Vec<u8>, time: SystemTime) {
        // A clock before 1970 is shown as 1970.
        let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if time.as_secs() != self.second {
            self.second = time.as_secs();
            let moment = OffsetDateTime::from(UNIX_EPOCH + Duration::from_secs(self.second));
            let (date, clock) = (moment.date(), moment.time());
            self.text.clear();
            put(
                &mut self.text,
                format_args!(
                    "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
                    date.year(),
                    u8::from(date.month()),
                    date.day(),
                    clock.hour(),
                    clock.minute(),
                    clock.second(),
                ),
            );
        }
        line.extend_from_slice(&self.text);
        put(line, format_args!(".{:03}Z", time.subsec_millis()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_follows_the_clock() {
        let mut stamp = Stamp::new();
        let mut written = |time| {
            let mut line = Vec::new();
            stamp.put(&mut line, time);
            String::from_utf8(line).unwrap()
        };
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (999, "1970-01-01T00:00:00.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_366_800_123, "2026-11-22T17:00:00.123Z"),
            (1_795_366_801_000, "2026-11-22T17:00:01.000Z"),
        ] {
            assert_eq!(written(UNIX_EPOCH + Duration::from_millis(millis)), expected);
        }
        assert_eq!(written(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
    }
}
