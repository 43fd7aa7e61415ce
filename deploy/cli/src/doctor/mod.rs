//! `tidegate doctor`: one list of what is right and wrong with a site, its services and the machine they run on, each
//! problem with the next step. It begins with all that `tidegate check` looks at. It changes nothing, and guesses
//! nothing: what the system does not tell is said to be unknown.

mod antivirus;
mod clock;
mod firewall;
mod imports;
mod load;
mod machine;
mod rights;
mod room;
mod scrape;
mod services;
mod windows_path;
mod workers;

use std::path::Path;

use tidegate_site::{ConfigError, Site};

use self::services::Services;
use crate::args;
use crate::failure::{BAD_CONFIGURATION, Failure};
use crate::finding::{Form, Report, Verdict};
use crate::service::Pair;
use crate::style::Style;

/// Runs the command.
pub(crate) async fn run(config: &Path, arguments: &args::Doctor, style: Style) -> Result<(), Failure> {
    let mut report = Report::new(if arguments.json { Form::Json } else { Form::Steps }, style);
    let outcome = match tidegate_site::load(config) {
        Ok(site) => examine(&site, arguments, &mut report).await,
        Err(error) => wrong_file(config, &error, arguments, &mut report),
    };
    if arguments.json {
        println!("{:#}", report.json());
    }
    outcome?;
    let summary = report.summary();
    if report.count(Verdict::Problem) == 0 {
        if !arguments.json {
            let others = summary.map(|others| format!(", {others}")).unwrap_or_default();
            println!("\n{}{others}", style.good("no problem"));
        }
        return Ok(());
    }
    Err(Failure::new(summary.unwrap_or_default()).next("do the first problem's next step, then run this again"))
}

async fn examine(site: &Site, arguments: &args::Doctor, report: &mut Report) -> Result<(), Failure> {
    let running = crate::check::look(site, report).await;
    let services = Services::look(Some(site), &arguments.set, report);
    if arguments.no_import {
        report.unknown("apps", "not imported (--no-import)");
    } else {
        imports::look(site, &services, &Pair::of(&arguments.set), running.is_some(), report).await?;
    }
    workers::look(running.as_ref(), report);
    load::look(site, running.as_ref(), report).await;
    rights::look(site, &services, report);
    room::look(site, &services, report);
    clock::look(site, report);
    machine::open_files(site, &services, running.as_ref(), report);
    machine::code_page(report);
    firewall::look(site, report)?;
    antivirus::look(site, report)
}

/// Nothing but the services can be looked at then.
fn wrong_file(
    config: &Path,
    error: &ConfigError,
    arguments: &args::Doctor,
    report: &mut Report,
) -> Result<(), Failure> {
    let failure = Failure::configuration(config, error);
    for problem in error.problems() {
        let said = problem.to_string();
        // Secrets may be kept from everybody but the services and administrators.
        let is_kept = ["permission denied", "access is denied", "os error 5)"]
            .iter()
            .any(|words| said.to_lowercase().contains(words));
        let next = if is_kept { "run this as administrator (root), who may read it" } else { failure.next_step() };
        report.problem("site file", said, next);
    }
    Services::look(None, &arguments.set, report);
    Err(Failure::new(report.summary().unwrap_or_default())
        .next("correct the site file first: most of the rest is known only then")
        .exit_with(BAD_CONFIGURATION))
}
