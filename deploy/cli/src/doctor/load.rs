//! Whether the running site keeps up: threads that are all busy, requests that wait, and those that were turned away or given up
//! since the proxy started. By what the workers and the proxy's metrics say at this moment; it asks, and changes nothing.

use std::collections::HashMap;
use std::time::Duration;

use tidegate_contract::{AppPhase, InFlight, InspectReport, StatusReport, WorkerPhase, WorkerReport};
use tidegate_site::Site;

use super::scrape::Scrape;
use crate::control::Control;
use crate::finding::{Finding, Report, Verdict};
use crate::style::visible;
use crate::top::{age, place};

const TOPIC: &str = "load";

/// To reach an app server that has just answered.
const CONNECT: Duration = Duration::from_secs(5);
/// From this age on a request is not merely one that happens to run now.
const OLD_MS: u64 = 1000;
/// From this wait for the interpreter lock on, threads wait for each other.
const LONG_WAIT_MS: u64 = 100;

/// Failures that come of too much work, or of work that takes too long, as docs/metrics.md names them.
const CAUSES: [&str; 5] = ["queue_full", "queue_timeout", "worker_timeout", "worker_died", "worker_unreachable"];

/// Looks at every app.
pub(super) async fn look(site: &Site, running: Option<&StatusReport>, report: &mut Report) {
    let Some(running) = running else { return };
    let inspected = async {
        let mut control = Control::connect(&site.control_endpoint(), CONNECT).await?;
        control.inspect(false).await
    };
    let inspected = match inspected.await {
        Ok(inspected) => inspected,
        Err(error) => return report.unknown(TOPIC, format_args!("what the workers do: {error}")),
    };
    let metrics = running.proxy.as_ref().and_then(|proxy| proxy.metrics.as_deref());
    let scrape = match metrics {
        None => {
            report.unknown(TOPIC, "how many requests wait or were turned away: `metrics` is off, or no proxy runs");
            None
        }
        Some(address) => match Scrape::fetch(address).await {
            Ok(scrape) => Some(scrape),
            Err(error) => {
                let text =
                    format_args!("how many requests wait or were turned away: http://{address}/metrics: {error}");
                report.unknown(TOPIC, text);
                None
            }
        },
    };
    for app in inspected.status.pool.apps.iter().filter(|app| app.phase == AppPhase::Ready) {
        let load = Load::of(&app.name, &inspected, scrape.as_ref());
        report.add(judge(&load));
        if let Some(scrape) = &scrape {
            let count = |cause| scrape.sum("tidegate_app_failures_total", &[("app", &app.name), ("cause", cause)]);
            let counts = CAUSES.map(|cause| (cause, count(cause)));
            if let Some(finding) = judge_failures(&app.name, &counts) {
                report.add(finding);
            }
        }
    }
}

/// What one app has to do.
#[derive(Debug, Default)]
struct Load {
    app: String,
    busy: usize,
    threads: usize,
    /// Requests without a thread; nothing where nobody counts them.
    waiting: Option<u64>,
    /// The oldest one that runs: its age, and what it is and where.
    oldest: Option<(u64, String)>,
    /// The line that most are in, and in how many it is.
    common: Option<(String, usize)>,
    /// Whether threads wait for Python's interpreter lock.
    locked: bool,
}

impl Load {
    fn of(app: &str, inspected: &InspectReport, scrape: Option<&Scrape>) -> Self {
        let mut load = Self {
            app: app.to_owned(),
            waiting: scrape.map(|scrape| scrape.sum("tidegate_app_queue_depth", &[("app", app)])),
            ..Self::default()
        };
        let takes = |worker: &&WorkerReport| {
            worker.app == app && matches!(worker.worker.phase, WorkerPhase::Ready | WorkerPhase::Unresponsive)
        };
        let mut places: HashMap<String, usize> = HashMap::new();
        for worker in inspected.workers.iter().filter(takes) {
            load.threads += worker.worker.threads_max as usize;
            let Some(said) = &worker.inspection else {
                load.busy += worker.worker.threads_busy as usize;
                continue;
            };
            load.locked |= said.gil_wait_ms.is_none_or(|wait| wait >= LONG_WAIT_MS);
            let running: Vec<&InFlight> = said.requests.iter().filter(|request| request.thread.is_some()).collect();
            // What did not fit into the answer is younger, and runs as far as there are threads.
            load.busy += (running.len() + said.left_out as usize).min(worker.worker.threads_max as usize);
            for request in running {
                let place = place(worker, request);
                if load.oldest.as_ref().is_none_or(|(oldest, _)| *oldest < request.age_ms) {
                    let text = visible(&format!("{} {}", request.method, request.path));
                    load.oldest = Some((request.age_ms, format!("{text} for {}: {place}", age(request.age_ms))));
                }
                if request.at.is_some() {
                    *places.entry(place).or_default() += 1;
                }
            }
        }
        load.common = places.into_iter().max_by_key(|(_, count)| *count);
        load
    }

    /// What is likely behind it, as far as this tells.
    fn step(&self) -> String {
        let Self { app, busy, oldest, common, locked, .. } = self;
        let is_old = oldest.as_ref().is_some_and(|(age, _)| *age >= OLD_MS);
        let likely = match common {
            _ if *locked => {
                "threads wait for Python's interpreter lock: the app computes, and more `processes` help, more threads do not"
                    .to_owned()
            }
            Some((place, count)) if *count > 1 && count * 2 > *busy => format!(
                "{count} of {busy} are in {place}: what it waits for (a database, another service) is the likely cause, and \
                 more `threads.max` would only let more of them wait there"
            ),
            _ if is_old => "requests take long: the oldest one's line says what for (a database, another service); where that \
                            is as it should be, raise `threads.max`"
                .to_owned(),
            _ => "requests are short and many: raise `threads.max`, or `processes` where a core is busy all the time".to_owned(),
        };
        format!(
            "`tidegate top` shows the line of Python that each request of {app} is in; {likely} (docs/operations.md)"
        )
    }
}

fn judge(load: &Load) -> Finding {
    let Load { app, busy, threads, waiting, oldest, .. } = load;
    let finding = |verdict, text, next| Finding { verdict, topic: TOPIC.to_owned(), text, next };
    let (is_full, waits) = (*threads > 0 && busy >= threads, waiting.unwrap_or_default());
    let queue = match waiting {
        None => String::new(),
        Some(0) => ", no request waits".to_owned(),
        Some(1) => ", 1 request waits for one".to_owned(),
        Some(many) => format!(", {many} requests wait for one"),
    };
    let oldest = oldest.as_ref().map(|(_, text)| format!("\nthe oldest: {text}")).unwrap_or_default();
    if is_full {
        return finding(
            Verdict::Warning,
            format!("{app}: all threads are busy ({busy} of {threads}){queue}{oldest}"),
            Some(load.step()),
        );
    }
    if waits > 0 {
        let next =
            "again in a moment: if requests still wait, workers are starting or do not respond: `tidegate status`, \
                    `tidegate top`"
                .to_owned();
        return finding(Verdict::Warning, format!("{app}: {busy} of {threads} threads are busy{queue}"), Some(next));
    }
    finding(Verdict::Good, format!("{app}: {busy} of {threads} threads are busy{queue}"), None)
}

/// Requests that were not served since the proxy started.
fn judge_failures(app: &str, counts: &[(&str, u64)]) -> Option<Finding> {
    let failed: Vec<&(&str, u64)> = counts.iter().filter(|(_, count)| *count > 0).collect();
    let (most, _) = failed.iter().max_by_key(|(_, count)| *count)?;
    let next = match *most {
        "queue_full" | "queue_timeout" => format!(
            "if it goes on, `tidegate top` shows what holds the threads of {app}; else `slow_request` in the site file logs it"
        ),
        "worker_timeout" => {
            format!(
                "`tidegate logs {app} --level warn` has the line of Python of each; `request_timeout` is what they may take"
            )
        }
        _ => format!("`tidegate logs {app} --level warn` says how its workers ended"),
    };
    let shown: Vec<String> = failed.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
    Some(Finding {
        verdict: Verdict::Warning,
        topic: TOPIC.to_owned(),
        text: format!("{app}: requests that failed since the proxy started: {}", shown.join(", ")),
        next: Some(format!("{next} (docs/operations.md, \"502 and other failures\")")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_threads_and_a_queue_are_warnings_with_the_likely_cause() {
        let load = |busy, waiting, oldest_ms, common: Option<usize>, locked| Load {
            app: "shop".to_owned(),
            busy,
            threads: 4,
            waiting,
            oldest: (busy > 0).then(|| (oldest_ms, "GET / for 2.0 s: views.py:12 report".to_owned())),
            common: common.map(|count| ("views.py:12 report".to_owned(), count)),
            locked,
        };
        for (load, verdict, text, next) in [
            (load(0, Some(0), 0, None, false), Verdict::Good, "0 of 4 threads are busy, no request waits", ""),
            (load(3, None, 9000, Some(3), false), Verdict::Good, "3 of 4 threads are busy", ""),
            (load(3, Some(2), 9000, Some(3), false), Verdict::Warning, "2 requests wait", "tidegate status"),
            (load(4, Some(1), 9000, Some(3), false), Verdict::Warning, "1 request waits", "3 of 4 are in views.py:12"),
            (load(4, None, 9000, Some(1), false), Verdict::Warning, "(4 of 4)\nthe oldest: GET /", "take long"),
            (load(4, Some(9), 10, Some(1), false), Verdict::Warning, "9 requests wait", "raise `threads.max`, or"),
            (load(4, Some(9), 9000, Some(4), true), Verdict::Warning, "all threads", "more `processes` help"),
        ] {
            let found = judge(&load);
            assert_eq!(found.verdict, verdict, "{load:?}");
            assert!(found.text.contains(text), "{found:?}");
            assert!(found.next.unwrap_or_default().contains(next), "{load:?}");
        }
    }

    #[test]
    fn failures_are_counted_by_cause_and_the_most_frequent_one_has_the_next_step() {
        assert_eq!(judge_failures("shop", &[("queue_full", 0), ("worker_died", 0)]), None);
        for (counts, text, next) in [
            ([("queue_full", 4), ("worker_timeout", 1)], "queue_full 4, worker_timeout 1", "tidegate top"),
            ([("queue_full", 0), ("worker_timeout", 1)], "started: worker_timeout 1", "request_timeout"),
            ([("worker_died", 2), ("worker_timeout", 1)], "worker_died 2, worker_timeout 1", "ended"),
        ] {
            let found = judge_failures("shop", &counts).unwrap();
            assert!(found.text.contains(text) && found.next.as_ref().unwrap().contains(next), "{found:?}");
        }
    }
}
