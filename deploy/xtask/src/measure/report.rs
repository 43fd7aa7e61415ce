//! A measurement's result: a section of docs/benchmarks.md between two markers, replaced by the next run.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use crate::{process, workspace};

const FILE: &str = "docs/benchmarks.md";

/// What a measurement found.
#[derive(Default)]
pub(crate) struct Report {
    /// What was run and how, a sentence an entry.
    pub(crate) setup: Vec<String>,
    /// The first row is the header.
    pub(crate) table: Vec<Vec<String>>,
    /// What the figures come to, and the targets.
    pub(crate) notes: Vec<String>,
}

impl Report {
    /// As Markdown.
    pub(crate) fn section(&self, name: &str) -> String {
        let mut text = format!("`cargo xtask measure {name}`: {}\n\n", machine());
        for line in &self.setup {
            // Writing to a string does not fail.
            let _ = writeln!(text, "- {line}");
        }
        text.push('\n');
        text.push_str(&markdown_table(&self.table));
        text.push('\n');
        for line in &self.notes {
            let _ = writeln!(text, "- {line}");
        }
        text
    }
}

/// Puts a section into the document.
pub(crate) fn record(name: &str, section: &str) -> Result<()> {
    let path = workspace::root()?.join(FILE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {FILE}"))?;
    let text =
        replace(&text, name, section).with_context(|| format!("{FILE} has no <!-- measure:{name} --> markers"))?;
    std::fs::write(&path, text)?;
    println!("written to {FILE}");
    Ok(())
}

fn replace(text: &str, name: &str, section: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- measure:{name} -->\n"), format!("<!-- /measure:{name} -->"));
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{section}{end}{after}"))
}

fn markdown_table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0).max(3)).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if index == 0 {
            let lines: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            let _ = writeln!(text, "| {} |", lines.join(" | "));
        }
    }
    text
}

/// The machine, the day and the commit.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("", |(_, m)| m);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    let day = process::output(process::command("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])).unwrap_or_default();
    let commit = workspace::root()
        .and_then(|root| {
            process::output(process::command("git").arg("-C").arg(root).args(["rev-parse", "--short", "HEAD"]))
        })
        .unwrap_or_default();
    format!(
        "{cores} cores ({model}), {}, commit {}, {}, load average at the end {load}",
        std::env::consts::OS,
        commit.trim(),
        day.trim()
    )
}

/// The middle of several values.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}

/// A number with separators between its thousands, without decimals.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A row from anything that can be shown.
pub(crate) fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_the_one_before() {
        let text = "a\n<!-- measure:x -->\nold\n<!-- /measure:x -->\nb\n";
        let new = replace(text, "x", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- measure:x -->\nnew\n<!-- /measure:x -->\nb\n");
        assert_eq!(replace(&new, "x", "old\n").unwrap(), text);
        assert_eq!(replace(text, "y", ""), None);
    }

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(thousands(999.6), "1,000");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
        assert_eq!(thousands(12.0), "12");
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert_eq!(
            markdown_table(&[row(&["a", "bb"]), row(&["1", "2"])]),
            "| a   | bb  |\n| --- | --- |\n| 1   | 2   |\n"
        );
    }
}
