//! What `tidegate top` shows, as text. Knows no terminal and asks nobody.

use std::collections::HashMap;
use std::fmt::Write as _;

use tidegate_contract::{AppPhase, Frame, InFlight, InspectReport, WorkerPhase, WorkerReport};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::status::{cpu, memory};
use crate::style::Style;
use crate::table::{Cell, Tone, render};

/// Requests on one screen: the oldest are what matters.
const MOST_ON_SCREEN: usize = 30;
/// Of a path or a file name, in a table.
const WIDEST: usize = 60;
/// From this wait for the interpreter lock on it is worth a word.
const LONG_WAIT_MS: u64 = 100;

/// How much is shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Extent {
    /// What fits a screen.
    Screen { stacks: bool },
    /// All of it.
    Everything { stacks: bool },
}

/// Processor time of each worker at an earlier look, to tell how busy it has been since.
#[derive(Debug)]
pub(super) struct Before {
    at: Instant,
    cpu_ms: HashMap<(String, u64), u64>,
}

impl Before {
    pub(super) fn new(report: &InspectReport, at: Instant) -> Self {
        let figure = |report: &WorkerReport| ((report.app.clone(), report.worker.generation), report.worker.cpu_ms);
        Self { at, cpu_ms: report.workers.iter().map(figure).collect() }
    }

    /// Percent of one core since then.
    fn share(&self, report: &WorkerReport, now: Instant) -> Option<u64> {
        let before = self.cpu_ms.get(&(report.app.clone(), report.worker.generation))?;
        let elapsed = u64::try_from(now.duration_since(self.at).as_millis()).ok().filter(|&elapsed| elapsed > 0)?;
        Some(report.worker.cpu_ms.saturating_sub(*before) * 100 / elapsed)
    }
}

/// The whole picture.
pub(super) fn show(
    report: &InspectReport,
    before: Option<&Before>,
    extent: Extent,
    now: OffsetDateTime,
    style: Style,
) -> String {
    let mut requests: Vec<(&WorkerReport, &InFlight)> = report
        .workers
        .iter()
        .flat_map(|worker| {
            worker.inspection.iter().flat_map(move |said| said.requests.iter().map(move |one| (worker, one)))
        })
        .collect();
    requests.sort_by_key(|(_, request)| std::cmp::Reverse(request.age_ms));

    let mut out = heading(report, requests.len(), now, style);
    let rows: Vec<_> = report.workers.iter().map(|worker| worker_row(worker, before)).collect();
    if rows.is_empty() {
        let _ = writeln!(out, "{}", style.warning("no worker runs"));
    } else {
        out.push_str(&render(
            ["APP", "WORKER", "PHASE", "PID", "BUSY", "THREADS", "MAX", "MEMORY", "CPU", "NOTE"],
            &rows,
            style,
        ));
    }
    for app in report.status.pool.apps.iter().filter(|app| app.phase == AppPhase::Failed) {
        // Writing to a String cannot fail. The whole reason is in the status.
        let reason = app.detail.as_deref().and_then(|detail| detail.lines().next()).unwrap_or_default();
        let _ = writeln!(out, "{} {}", style.bad(format_args!("{} has failed:", app.name)), visible(reason));
    }
    out.push('\n');
    let (most, stacks) = match extent {
        Extent::Screen { stacks } => (MOST_ON_SCREEN, stacks),
        Extent::Everything { stacks } => (usize::MAX, stacks),
    };
    let left_out: usize =
        report.workers.iter().filter_map(|worker| worker.inspection.as_ref()).map(|said| said.left_out as usize).sum();
    let more = requests.len().saturating_sub(most) + left_out;
    requests.truncate(most);
    out.push_str(&requests_shown(&requests, stacks, style));
    if more > 0 {
        let _ = writeln!(out, "{}", style.quiet(format_args!("and {more} more")));
    }
    out
}

fn heading(report: &InspectReport, requests: usize, now: OffsetDateTime, style: Style) -> String {
    let counted = |number: usize, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
    let (hour, minute, second) = now.to_hms();
    format!(
        "{} {hour:02}:{minute:02}:{second:02}Z  {} in {}\n\n",
        style.strong(&report.status.site),
        counted(requests, "request"),
        counted(report.workers.len(), "worker")
    )
}

fn worker_row(report: &WorkerReport, before: Option<&Before>) -> [Cell; 10] {
    let worker = &report.worker;
    let phase = match worker.phase {
        WorkerPhase::Starting => Cell::toned("starting", Tone::Warning),
        WorkerPhase::Ready => Cell::toned("ready", Tone::Good),
        WorkerPhase::Unresponsive => Cell::toned("unresponsive", Tone::Bad),
        WorkerPhase::Draining => Cell::toned("draining", Tone::Warning),
    };
    // The worker's own word is newer than its last heartbeat.
    let busy = report.inspection.as_ref().map(|said| said.requests.iter().filter(|one| one.thread.is_some()).count());
    let cpu = match before {
        None => cpu(worker.cpu_ms),
        Some(before) => before.share(report, Instant::now()).map_or("-".to_owned(), |share| format!("{share} %")),
    };
    [
        Cell::new(&report.app),
        Cell::new(worker.slot),
        phase,
        Cell::new(worker.pid),
        Cell::new(busy.map_or_else(|| worker.threads_busy.to_string(), |busy| busy.to_string())),
        Cell::new(worker.threads),
        Cell::new(worker.threads_max),
        Cell::new(memory(worker.memory_bytes)),
        Cell::new(cpu),
        remark(report),
    ]
}

/// What is wrong with a worker.
fn remark(report: &WorkerReport) -> Cell {
    let held = "something holds the interpreter lock (GIL): where requests are is not known";
    match (&report.inspection, &report.silence) {
        (None, Some(silence)) => Cell::toned(visible(silence), Tone::Bad),
        (None, None) => Cell::toned("no answer", Tone::Bad),
        (Some(said), _) => match said.gil_wait_ms {
            None => Cell::toned(held, Tone::Bad),
            Some(wait) if wait >= LONG_WAIT_MS => {
                Cell::toned(format!("waited {wait} ms for the interpreter lock (GIL)"), Tone::Warning)
            }
            Some(_) => Cell::new(""),
        },
    }
}

fn requests_shown(requests: &[(&WorkerReport, &InFlight)], stacks: bool, style: Style) -> String {
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
fn place(worker: &WorkerReport, request: &InFlight) -> String {
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
fn age(milliseconds: u64) -> String {
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

/// Nothing that comes from a client or an app may steer the terminal.
fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|letter| if letter.is_control() { letter.escape_default().collect() } else { vec![letter] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_contract::{AppState, Inspection, MaintenanceState, PoolState, StatusReport, WorkerState};

    fn frame(file: &str, line: u32, function: &str) -> Frame {
        Frame { file: file.to_owned(), line, function: function.to_owned() }
    }

    fn request(path: &str, age_ms: u64) -> InFlight {
        InFlight {
            request_id: "a-1".to_owned(),
            method: "GET".to_owned(),
            path: path.to_owned(),
            age_ms,
            thread: Some("tidegate-1".to_owned()),
            abandoned: false,
            at: Some(frame("/srv/shop/views.py", 12, "report")),
            app_at: None,
            stack: Some("  File \"/srv/shop/views.py\", line 12, in report\n    rows = query()\n".to_owned()),
        }
    }

    fn worker(slot: u32, inspection: Option<Inspection>) -> WorkerReport {
        let silence = inspection.is_none().then(|| "no answer within 2 s: its process is stopped".to_owned());
        let worker = WorkerState {
            slot,
            generation: 1,
            endpoint: String::new(),
            threads_max: 64,
            phase: WorkerPhase::Ready,
            pid: 4000 + slot,
            threads_busy: 9,
            threads: 8,
            memory_bytes: 80 << 20,
            cpu_ms: 1500,
            python: "3.13.0".to_owned(),
        };
        WorkerReport { app: "shop".to_owned(), worker, inspection, silence }
    }

    fn report() -> InspectReport {
        let in_library = InFlight {
            at: Some(frame("C:\\Python\\Lib\\threading.py", 355, "Condition.wait")),
            app_at: Some(frame("C:\\shop\\views.py", 7, "wait")),
            abandoned: true,
            ..request("/wait/\u{1b}[2J", 12_345)
        };
        let said = |gil_wait_ms, requests| Some(Inspection { gil_wait_ms, requests, left_out: 0 });
        let failed = AppState {
            name: "wiki".to_owned(),
            phase: AppPhase::Failed,
            detail: Some("failed to import: no module\nTraceback".to_owned()),
            workers: Vec::new(),
            restarts: Vec::new(),
        };
        let status = StatusReport {
            pid: 7,
            version: "0.1.0".to_owned(),
            site: "/srv/tidegate.yaml".to_owned(),
            pool: PoolState { apps: vec![failed] },
            maintenance: MaintenanceState::default(),
            proxy: None,
        };
        let unknown = InFlight { at: None, ..request("/held", 300_000) };
        let workers = vec![
            worker(0, said(Some(0), vec![request("/report", 400), in_library])),
            worker(1, said(None, vec![unknown])),
            worker(2, None),
        ];
        InspectReport { status, workers }
    }

    #[test]
    fn the_oldest_request_is_first_and_names_its_line() {
        let now = OffsetDateTime::from_unix_timestamp(0).unwrap();
        let shown = show(&report(), None, Extent::Everything { stacks: false }, now, Style::plain());
        let expected = "\
/srv/tidegate.yaml 00:00:00Z  3 requests in 3 workers

APP   WORKER  PHASE  PID   BUSY  THREADS  MAX  MEMORY  CPU    NOTE
shop  0       ready  4000  2     8        64   80 MiB  1.5 s
shop  1       ready  4001  1     8        64   80 MiB  1.5 s  something holds the interpreter lock (GIL): where requests are is not known
shop  2       ready  4002  9     8        64   80 MiB  1.5 s  no answer within 2 s: its process is stopped
wiki has failed: failed to import: no module

AGE           APP   WORKER  REQUEST                 WHERE                                                                             ID
5 min 00 s    shop  1       GET /held               not known                                                                         a-1
12.3 s        shop  0       GET /wait/\\u{1b}[2J      views.py:7 wait > threading.py:355 Condition.wait (nobody waits for it any more)  a-1
0.4 s         shop  0       GET /report             views.py:12 report                                                                a-1
";
        let squeeze = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
        };
        assert_eq!(squeeze(&shown), squeeze(expected), "{shown}");
    }

    #[test]
    fn stacks_are_shown_below_their_requests() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let shown = show(&report(), None, Extent::Everything { stacks: true }, now, Style::plain());
        assert!(shown.contains("  File \"/srv/shop/views.py\", line 12, in report\n    rows = query()\n"), "{shown}");
    }

    #[test]
    fn a_screen_has_the_oldest_only() {
        let mut report = report();
        let many = (0..50).map(|number| request("/x", number)).collect();
        report.workers[0].inspection = Some(Inspection { gil_wait_ms: Some(0), requests: many, left_out: 4 });
        let shown = show(&report, None, Extent::Screen { stacks: false }, OffsetDateTime::UNIX_EPOCH, Style::plain());
        assert!(shown.ends_with("and 25 more\n"), "{shown}");
        assert_eq!(shown.matches("GET /x").count(), MOST_ON_SCREEN - 1);
    }

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
