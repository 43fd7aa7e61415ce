//! `--check-imports`: imports every app in a worker started for nothing else and prints how it
//! went. Called by `main` instead of [`crate::run`]; opens no endpoint.

use std::fmt::Write as _;
use std::sync::Arc;

use tidegate_contract::{FromWorker, Mode};
use tidegate_host::{Child, ChildOutput};
use tidegate_site::{App, Site, interpreter};
use tokio::io::AsyncReadExt as _;
use tokio::task::{self, JoinSet};
use tokio::time;

use crate::launch::{LaunchError, REFUSAL, WorkerProgram};
use crate::python;

/// What an import may print before the rest is dropped.
const MOST_OUTPUT: usize = 256 << 10;

/// Imports every app of the site. Returns one report an app, in the site's order, and whether
/// all are good.
pub async fn check_imports(site: &Site, program: &WorkerProgram) -> (Vec<String>, bool) {
    let mut checks = JoinSet::new();
    for (index, app) in site.apps.iter().enumerate() {
        let (app, program) = (Arc::new(app.clone()), program.clone());
        checks.spawn(async move { (index, check(app, program).await) });
    }
    let mut results = checks.join_all().await;
    results.sort_by_key(|(index, _)| *index);
    let good = results.iter().all(|(_, (_, good))| *good);
    (results.into_iter().map(|(_, (report, _))| report).collect(), good)
}

async fn check(app: Arc<App>, program: WorkerProgram) -> (String, bool) {
    let name = &app.name;
    let mut child = match start(Arc::clone(&app), program).await {
        Ok(child) => child,
        Err(error) => return (format!("{name}: could not be started: {error}"), false),
    };
    let (stdout, stderr) = (child.take_stdout(), child.take_stderr());
    let outcome = time::timeout(app.start_timeout, async { tokio::join!(child.wait(), read(stdout), read(stderr)) });
    let Ok((exit, stdout, stderr)) = outcome.await else {
        let seconds = app.start_timeout.as_secs_f64();
        return (format!("{name}: not imported within start_timeout ({seconds} s)"), false);
    };
    let (report, good) =
        judge(name, &stdout, &stderr, &exit.map_or_else(|error| error.to_string(), |exit| exit.to_string()));
    if good { (format!("{report}, {}", described(&app)), true) } else { (report, false) }
}

/// The interpreter, and what kind of environment it belongs to.
fn described(app: &App) -> String {
    let found = python::find(app).and_then(|path| Ok((interpreter::examine(&path)?, path)));
    match found {
        Ok((layout, path)) => format!("{} ({layout})", path.display()),
        // It ran a moment ago.
        Err(error) => error.to_string(),
    }
}

async fn start(app: Arc<App>, program: WorkerProgram) -> Result<Child, LaunchError> {
    let start = move || program.spawn(&app, 0, 1, Mode::Check)?.start().map_err(LaunchError::Start);
    task::spawn_blocking(start).await.unwrap_or_else(|error| Err(LaunchError::Start(error.into())))
}

async fn read(stream: Option<ChildOutput>) -> String {
    let mut text = Vec::new();
    if let Some(mut stream) = stream {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut chunk).await {
            let room = MOST_OUTPUT.saturating_sub(text.len());
            text.extend_from_slice(&chunk[..length.min(room)]);
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The app may print as well, so the verdict is the last line that is one.
fn judge(name: &str, stdout: &str, stderr: &str, exit: &str) -> (String, bool) {
    let verdict = stdout.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    match verdict {
        Some(FromWorker::Ready) => (format!("{name}: ok"), true),
        Some(FromWorker::ImportFailed { error, traceback }) => {
            let traceback = if traceback.trim().is_empty() { error } else { traceback };
            (format!("{name}: import failed\n{}", traceback.trim_end()), false)
        }
        _ if let Some(refusal) = stderr.lines().find(|line| line.starts_with(REFUSAL)) => {
            (format!("{name}: {refusal}"), false)
        }
        _ => {
            let mut report = format!("{name}: the worker ended with {exit} before it could tell");
            for text in [stdout, stderr].map(str::trim_end).into_iter().filter(|text| !text.is_empty()) {
                // Writing to a String cannot fail.
                let _ = write!(report, "\n{text}");
            }
            (report, false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_verdict_on_standard_output_counts() {
        let failed = r#"{"type":"import_failed","error":"E","traceback":"T\n  E\n"}"#;
        let cases = [
            ("hello\n{\"type\":\"ready\"}\n", "", "shop: ok", true),
            (failed, "noise", "shop: import failed\nT\n  E", false),
            ("", "tidegate cannot use p: it is\nnoise", "shop: tidegate cannot use p: it is", false),
            (
                "printed",
                "Fatal\n",
                "shop: the worker ended with exit code 3 before it could tell\nprinted\nFatal",
                false,
            ),
        ];
        for (stdout, stderr, report, good) in cases {
            assert_eq!(judge("shop", stdout, stderr, "exit code 3"), (report.to_owned(), good));
        }
    }
}
