//! The worker's own lines on standard error, which the app server captures into its log.

use std::io::Write as _;

/// Writes one line in one piece, so that it does not mix with what other threads write.
pub(crate) fn line(text: &str) {
    let line = format!("tidegate: {text}\n");
    // There is nowhere to report a standard error that is closed.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
