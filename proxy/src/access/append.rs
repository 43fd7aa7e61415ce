//! What every format of the access log puts into its lines.

use std::io::Write as _;
use std::time::Duration;

/// A duration, to the microsecond.
pub(super) fn seconds(line: &mut Vec<u8>, duration: Duration) {
    put(line, format_args!("{}.{:06}", duration.as_secs(), duration.subsec_micros()));
}

/// Appends without an allocation of its own.
pub(super) fn put(line: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = line.write_fmt(arguments);
}
