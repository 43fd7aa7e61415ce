//! Durations and sizes as people write them. The readers of [`crate::raw`] call this; it knows
//! nothing of keys or files.

use std::time::Duration;

/// What a duration looks like, for messages.
pub(crate) const DURATION: &str = "a duration such as 500ms, 30s, 2m or 1h";
/// What a size looks like, for messages.
pub(crate) const SIZE: &str = "a size such as 64KiB, 100MiB or 1GB";

/// `500ms`, `30s`, `2m`, `1h`, or `0`. The error says what was expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text).ok_or_else(|| format!("expected {DURATION}"))?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" if number == 0 => 0,
        "" => {
            return Err(format!("has no unit: expected {DURATION}; seconds are {number}s"));
        }
        _ => return Err(format!("unknown unit {unit:?}: expected {DURATION}")),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(|| format!("too large: expected {DURATION}"))
}

/// `64KiB` (1024), `1GB` (1000), `512B`, or `0`. The error says what was expected.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text).ok_or_else(|| format!("expected {SIZE}"))?;
    let bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "" if number == 0 => 0,
        "" => return Err(format!("has no unit: expected {SIZE}; bytes are {number}B")),
        "K" | "k" | "M" | "m" | "G" | "g" | "T" | "t" => {
            let letter = unit.to_ascii_uppercase();
            return Err(format!(
                "ambiguous unit {unit:?}: expected {SIZE}; {number}{letter}iB counts in 1024s, {number}{letter}B in 1000s"
            ));
        }
        _ => return Err(format!("unknown unit {unit:?}: expected {SIZE}")),
    };
    number.checked_mul(bytes).ok_or_else(|| format!("too large: expected {SIZE}"))
}

/// A duration as it would be written in the file.
pub(crate) fn show_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    for (unit, length) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if milliseconds >= length && milliseconds.is_multiple_of(length) {
            return format!("{}{unit}", milliseconds / length);
        }
    }
    format!("{milliseconds}ms")
}

/// A size as it would be written in the file.
pub(crate) fn show_size(bytes: u64) -> String {
    for (unit, length) in [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= length && bytes.is_multiple_of(length) {
            return format!("{}{unit}", bytes / length);
        }
    }
    if bytes == 0 { "0".to_owned() } else { format!("{bytes}B") }
}

/// A whole number and what follows it; one space between them is allowed.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    // A fraction or a sign is not a unit: "1.5s" is an error, not 1 of the unit ".5s".
    if unit.chars().all(char::is_alphabetic) { Some((number.parse().ok()?, unit)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, milliseconds) in
            [("500ms", 500), ("30s", 30_000), ("30 s", 30_000), ("2m", 120_000), ("1h", 3_600_000), ("0", 0), ("0s", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn bad_durations_say_what_was_expected() {
        for (text, message) in [
            ("30", "has no unit: expected a duration such as 500ms, 30s, 2m or 1h; seconds are 30s"),
            ("30x", "unknown unit \"x\": expected a duration such as 500ms, 30s, 2m or 1h"),
            ("30S", "unknown unit \"S\": expected a duration such as 500ms, 30s, 2m or 1h"),
            ("1.5s", "expected a duration such as 500ms, 30s, 2m or 1h"),
            ("-1s", "expected a duration such as 500ms, 30s, 2m or 1h"),
            ("1m30s", "expected a duration such as 500ms, 30s, 2m or 1h"),
            ("", "expected a duration such as 500ms, 30s, 2m or 1h"),
            ("soon", "expected a duration such as 500ms, 30s, 2m or 1h"),
            ("99999999999999999999s", "expected a duration such as 500ms, 30s, 2m or 1h"),
            ("9999999999999999999h", "too large: expected a duration such as 500ms, 30s, 2m or 1h"),
        ] {
            assert_eq!(duration(text), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("512B", 512),
            ("64KiB", 65_536),
            ("64 KiB", 65_536),
            ("100MiB", 104_857_600),
            ("1GiB", 1 << 30),
            ("2TiB", 2 << 40),
            ("1kB", 1_000),
            ("1KB", 1_000),
            ("1MB", 1_000_000),
            ("1GB", 1_000_000_000),
            ("0", 0),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn bad_sizes_say_what_was_expected() {
        for (text, message) in [
            ("1000", "has no unit: expected a size such as 64KiB, 100MiB or 1GB; bytes are 1000B"),
            (
                "10M",
                "ambiguous unit \"M\": expected a size such as 64KiB, 100MiB or 1GB; 10MiB counts in 1024s, 10MB in 1000s",
            ),
            ("10mb", "unknown unit \"mb\": expected a size such as 64KiB, 100MiB or 1GB"),
            ("big", "expected a size such as 64KiB, 100MiB or 1GB"),
            ("99999999TiB", "too large: expected a size such as 64KiB, 100MiB or 1GB"),
        ] {
            assert_eq!(size(text), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for text in ["1h", "90m", "30s", "500ms", "1500ms"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
        for text in ["0", "1B", "1KiB", "100MiB", "1GiB", "1025B"] {
            assert_eq!(show_size(size(text).unwrap()), text);
        }
    }
}
