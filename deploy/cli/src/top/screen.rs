//! What `tidegate top` shows, as text: a heading, the table of `workers`, the table of `requests`. Knows no terminal and asks
//! nobody.

use std::fmt::Write as _;

use tidegate_contract::{AppPhase, InFlight, InspectReport, WorkerReport};
use time::OffsetDateTime;

use super::workers::Before;
use super::{requests, workers};
use crate::style::{Style, visible};

/// Requests on one screen: the oldest are what matters.
const MOST_ON_SCREEN: usize = 30;
/// How much is shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Extent {
    /// What fits a screen.
    Screen { stacks: bool },
    /// All of it.
    Everything { stacks: bool },
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
    out.push_str(&workers::table(report, before, style));
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
    out.push_str(&requests::table(&requests, stacks, style));
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

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_contract::{
        AppState, Frame, Inspection, MaintenanceState, PoolState, StatusReport, WorkerPhase, WorkerState,
    };

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
}
