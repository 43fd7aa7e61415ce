//! Whether the apps can be imported, under the account that the site's service has: the running app server does it
//! itself, root does it in that account's name, or a service that does not run is started for that alone. Says under which
//! account it was, and which one was not tried.

mod errand;

use std::time::Duration;

use tidegate_host::{Output, Spawn};
use tidegate_site::Site;
use tokio::io::AsyncReadExt as _;

use self::errand::Untried;
use super::services::{Services, is_almighty};
use crate::code;
use crate::control::Control;
use crate::failure::Failure;
use crate::finding::{Report, Verdict};
use crate::service::Pair;
use crate::up::program;

const TOPIC: &str = "apps";
/// Whose account it was.
const OF_SERVICE: &str = "the service's account";

/// To reach an app server that has just answered.
const CONNECT: Duration = Duration::from_secs(5);
/// What the import of all apps may take beyond the slowest `start_timeout`.
const MARGIN: Duration = Duration::from_secs(30);

/// What came of it.
struct Outcome {
    account: String,
    text: String,
    good: bool,
}

/// Imports them.
pub(super) async fn look(
    site: &Site,
    services: &Services,
    pair: &Pair,
    runs: bool,
    report: &mut Report,
) -> Result<(), Failure> {
    let patience = site.apps.iter().map(|app| app.start_timeout).max().unwrap_or_default() + MARGIN;
    if runs {
        match of_running(site, patience).await {
            Ok(outcome) => show(site, &outcome, "the running app server's account", report),
            Err(failure) => report.warning(
                TOPIC,
                format_args!("not imported: {}", failure.message()),
                "`tidegate reload` imports them as well; if that fails too, look at `tidegate logs appserver`",
            ),
        }
        return Ok(());
    }
    let own = tidegate_host::machine::own_account();
    let server = program("tidegate-appserver")?;
    let wanted = services.server.as_ref().filter(|settings| !settings.account.eq_ignore_ascii_case(&own));
    let mut spawn = Spawn::new(&server);
    let mut account = own.clone();
    let mut whose = "this command's account";
    let refused = code::import_refused(site);
    if let Some(settings) = wanted {
        let wanted = &settings.account;
        if let Some((program, arguments)) = tidegate_host::machine::command_as(wanted, &server) {
            spawn = Spawn::new(program);
            spawn.arguments = arguments;
            wanted.clone_into(&mut account);
            whose = OF_SERVICE;
        } else if !(is_almighty(wanted) && refused.is_some()) {
            match errand::import(site, pair, settings, patience).await {
                Ok(outcome) => {
                    show(site, &outcome, OF_SERVICE, report);
                    return Ok(());
                }
                Err(Untried::Left { text, next }) => {
                    report.warning(TOPIC, format_args!("the service's account {wanted} was not tried: {text}"), next);
                }
                Err(Untried::Failed { text, next }) => {
                    report.problem(
                        TOPIC,
                        format_args!("not imported under the service's account {wanted}: {text}"),
                        next,
                    );
                }
            }
        }
    }
    // Nobody else's rights protect this machine from what it would run.
    if account == own
        && let Some((text, next)) = refused
    {
        report.warning(TOPIC, text, format_args!("{next}; --no-import leaves it out"));
        return Ok(());
    }
    spawn.arguments.extend(["--config".into(), site.file.clone().into(), "--check-imports".into()]);
    spawn.directory = site.file.parent().map(Into::into);
    let (text, good) = match tokio::time::timeout(patience, run(spawn)).await {
        Ok(result) => result.map_err(|error| Failure::new(error.to_string()))?,
        Err(_) => (format!("not imported within {} s (start_timeout)", patience.as_secs()), false),
    };
    show(site, &Outcome { account, text, good }, whose, report);
    Ok(())
}

async fn of_running(site: &Site, patience: Duration) -> Result<Outcome, Failure> {
    let connected = Control::connect(&site.control_endpoint(), CONNECT).await;
    let mut control = connected.map_err(|error| error.into_failure())?;
    let (reports, account, good) = control.check_imports(patience).await.map_err(|error| error.into_failure())?;
    Ok(Outcome { account, text: reports.join("\n"), good })
}

/// What the program says, and whether it found everything good.
async fn run(mut spawn: Spawn) -> std::io::Result<(String, bool)> {
    spawn.output = Output::Capture;
    let mut child = spawn.start()?;
    let (Some(mut out), Some(mut err)) = (child.take_stdout(), child.take_stderr()) else {
        return Ok((String::new(), false));
    };
    let (mut said, mut complained) = (Vec::new(), Vec::new());
    let (out, err) = tokio::join!(out.read_to_end(&mut said), err.read_to_end(&mut complained));
    out.and(err)?;
    let exit = child.wait().await?;
    let text = [said, complained].map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned());
    Ok((text.join("\n").trim().to_owned(), exit.success()))
}

fn show(site: &Site, outcome: &Outcome, whose: &str, report: &mut Report) {
    let Outcome { account, text, good } = outcome;
    let (verdict, how) = if *good { (Verdict::Good, "imported") } else { (Verdict::Problem, "cannot be imported") };
    let text = format!("{how} as {account}, {whose}\n{text}");
    match verdict {
        Verdict::Good => report.good(TOPIC, text),
        _ => {
            let step = step(&text, account, &site.file.display().to_string());
            report.problem(TOPIC, text, step);
        }
    }
}

/// What is to be done about a failed import, by what it said.
fn step(text: &str, account: &str, file: &str) -> String {
    let missing = text.lines().rev().find_map(|line| line.split_once("No module named '")?.1.split('\'').next());
    if let Some(module) = missing {
        let package = module.split('.').next().unwrap_or(module);
        return format!(
            "install {package} into the app's environment (`PYTHON -m pip install ...`), or correct `wsgi` and `directory` in \
             {file}, if it is the app's own"
        );
    }
    let of_interpreter =
        ["which is not there any more", "Microsoft Store", "is a 32-bit", "tidegate cannot use", "found no Python"];
    if of_interpreter.iter().any(|said| text.contains(said)) {
        return "install 64-bit CPython 3.9 or newer for all users (python.org), make the environment anew with it, or name \
                another as the app's `python`"
            .to_owned();
    }
    let lower = text.to_lowercase();
    if lower.contains("permission denied") || lower.contains("access is denied") || lower.contains("permissionerror") {
        return format!("let {account} read what is named there, and the directories above it");
    }
    "correct what the last line names, then run this again".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_step_follows_from_what_was_said() {
        for (text, expected) in [
            ("Traceback\nModuleNotFoundError: No module named 'flask.json'", "install flask into"),
            ("PermissionError: [Errno 13] Permission denied: '/root/shop'", "let tidegate read"),
            ("shop: tidegate cannot use this Python: it is free-threaded", "64-bit CPython"),
            ("SyntaxError: invalid syntax", "last line"),
        ] {
            let found = step(text, "tidegate", "/srv/tidegate.yaml");
            assert!(found.contains(expected), "{text}: {found}");
        }
    }
}
