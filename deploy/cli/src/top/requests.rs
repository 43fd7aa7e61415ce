//! The table of requests that `screen` shows, with their stacks where that is asked for.

use std::fmt::Write as _;

use tidegate_contract::{Frame, InFlight, WorkerReport};

use crate::style::{Style, visible};
use crate::table::{Cell, render};

/// Of a path or a file name, in a table.
const WIDEST: usize = 60;
/// The table; with `stacks` one for each request.
pub(super) fn table(requests: &[(&WorkerReport, &InFlight)], stacks: bool, style: Style) -> String {
    const HEAD: [&str; 6] = ["AGE", "APP", "WORKER", "REQUEST", "WHERE", "ID"];
    let row = |(worker, request): &(&WorkerReport, &InFlight)| {
        [
            Cell::new(age(request.age_ms)),
            Cell::new(&worker.app),
            Cell::new(worker.worker.slot),
            Cell::new(shortened(&visible(&format!("{} {}", request.method, request.path)), End::Right)),
            Cell::new(place(worker, request)),
            Cell::new(visible(&request.request_id)),
        ]
    };
    if requests.is_empty() {
        return format!("{}\n", style.quiet("no request runs"));
    }
    if !stacks {
        return render(HEAD, &requests.iter().map(row).collect::<Vec<_>>(), style);
    }
    let mut out = String::new();
    for one in requests {
        out.push_str(&render(HEAD, &[row(one)], style));
        match &one.1.stack {
            // Each line on its own, so that none can forge another.
            Some(stack) => {
                for line in stack.lines() {
                    let _ = writeln!(out, "{}", visible(line));
                }
            }
            None => out.push_str("  no stack\n"),
        }
        out.push('\n');
    }
    out
}

/// `views.py:12 report`, with what the app called behind it where that is in a library.
pub(crate) fn place(worker: &WorkerReport, request: &InFlight) -> String {
    let place = match (&request.at, &request.app_at) {
        (Some(at), Some(app)) => format!("{} > {}", line(app), line(at)),
        (Some(at), None) => line(at),
        (None, _) if request.thread.is_none() => "waits for a thread".to_owned(),
        (None, _) if worker.inspection.as_ref().is_some_and(|said| said.gil_wait_ms.is_none()) => {
            "not known".to_owned()
        }
        (None, _) => "runs no Python code".to_owned(),
    };
    if request.abandoned { format!("{place} (nobody waits for it any more)") } else { place }
}

fn line(frame: &Frame) -> String {
    let file = frame.file.rsplit(['/', '\\']).next().unwrap_or(&frame.file);
    format!("{}:{} {}", shortened(&visible(file), End::Left), frame.line, visible(&frame.function))
}

/// `0.4 s`, `12.3 s`, `3 min 20 s`.
pub(crate) fn age(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..100 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        100..6000 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Which end of a text matters less.
enum End {
    Left,
    Right,
}

fn shortened(text: &str, end: End) -> String {
    let length = text.chars().count();
    if length <= WIDEST {
        return text.to_owned();
    }
    match end {
        End::Right => text.chars().take(WIDEST - 3).chain("...".chars()).collect(),
        End::Left => "...".chars().chain(text.chars().skip(length + 3 - WIDEST)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_long_texts_are_readable() {
        for (milliseconds, shown) in
            [(0, "0.0 s"), (99_999, "99.9 s"), (100_000, "1 min 40 s"), (6_000_000, "1 h 40 min")]
        {
            assert_eq!(age(milliseconds), shown);
        }
        let long = "a".repeat(59) + "bc";
        assert_eq!(shortened(&long, End::Right), "a".repeat(57) + "...");
        assert_eq!(shortened(&long, End::Left), format!("...{}bc", "a".repeat(55)));
    }
}
