//! What a trial does and sees, printed and kept for docs/windows.md. What differs from run to run and from machine to machine
//! (times, process ids, ports, directories) is replaced in what is kept.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};

use crate::workspace;

const FILE: &str = "docs/windows.md";
const BEGIN: &str = "<!-- try-packages -->\n";
const END: &str = "<!-- /try-packages -->";

static KEPT: Mutex<Kept> = Mutex::new(Kept { lines: Vec::new(), replaced: Vec::new() });

struct Kept {
    lines: Vec<String>,
    replaced: Vec<(String, &'static str)>,
}

/// Has a text appear as another one in what is kept.
pub(super) fn replace(text: String, by: &'static str) {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).replaced.push((text, by));
}

/// Prints a line, and keeps it.
pub(super) fn say(line: &str) {
    println!("      {line}");
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let line = kept.replaced.iter().fold(line.to_owned(), |line, (text, by)| line.replace(text, by));
    kept.lines.push(neutral(&line));
}

/// Writes what was kept into the document.
pub(super) fn record() -> Result<()> {
    let path: PathBuf = workspace::root()?.join(FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {FILE}"))?;
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("{FILE} has no {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{FILE} has no {END}"))?;
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    fs::write(&path, format!("{before}{BEGIN}```text\n{}\n```\n{END}{after}", kept.lines.join("\n")))?;
    println!("      written to {FILE}");
    Ok(())
}

/// A line without times, ids, free space and numbers of three digits and more, but for statuses of HTTP after "GET".
fn neutral(line: &str) -> String {
    if line.starts_with("GET ") {
        return line.to_owned();
    }
    let mut out = String::new();
    let mut rest = line;
    let mut previous = "";
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_alphanumeric()) {
        let (before, from) = rest.split_at(start);
        let length = from.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(from.len());
        let (word, after) = from.split_at(length);
        out.push_str(before);
        rest = after;
        let is_number = word.bytes().all(|letter| letter.is_ascii_digit());
        if is_number && length == 4 && after.starts_with('-') {
            out.push_str("TIME");
            rest = &after[after.find([' ', ',']).unwrap_or(after.len())..];
        } else if length >= 16 && word.bytes().all(|letter| letter.is_ascii_hexdigit()) {
            out.push_str("ID");
        } else if is_number
            && (length >= 3 || previous == "process")
            && !after.starts_with(".0.0.1")
            && previous != "32"
        {
            out.push('N');
        } else if after.starts_with(" GiB free") {
            // Of a number with a fraction.
            out.truncate(out.trim_end_matches(|letter: char| letter == '.' || letter.is_ascii_digit()).len());
            out.push('N');
        } else {
            out.push_str(word);
        }
        previous = word;
    }
    (out + rest).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_with_every_run_is_left_out() {
        for (line, expected) in [
            ("on 127.0.0.1:35025, process 4006", "on 127.0.0.1:N, process N"),
            ("GET /slow: 502", "GET /slow: 502"),
            ("2026-11-23T01:02:03.004Z WARN id=0123456789abcdef", "TIME WARN id=ID"),
            ("ok disk C:\\data: 37.1 GiB free", "ok disk C:\\data: N GiB free"),
            ("runs as X, process 32", "runs as X, process N"),
            ("/grant:r *S-1-5-32-544:F", "/grant:r *S-1-5-32-544:F"),
            ("until 2027-11-22 (363 days left)", "until TIME (N days left)"),
            ("tidegate-0.1.0-windows-x86_64.msi  ", "tidegate-0.1.0-windows-x86_64.msi"),
        ] {
            assert_eq!(neutral(line), expected);
        }
    }
}
