//! `tidegate-appserver`: arguments, site file, log, then [`tidegate_appserver::run`]. Exit
//! codes: 0 good, 1 failure, 2 wrong command line, 78 bad configuration.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use tidegate_appserver::{PROCESS, WorkerProgram, check_imports, errand, run};
use tidegate_contract::Errand;
use tidegate_host::{Endpoint, Event, Signal, Signals};
use tidegate_site::Site;
use tokio::sync::mpsc;

const FAILED: u8 = 1;
const BAD_CONFIGURATION: u8 = 78;

/// Supervises the worker processes of a Tidegate site.
#[derive(Debug, Parser)]
#[command(name = "tidegate-appserver", version)]
struct Arguments {
    /// The site file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Stop when standard input ends.
    #[arg(long, conflicts_with = "check_imports")]
    stop_on_stdin_eof: bool,
    /// Show exceptions of the apps in the browser, for people who develop them.
    #[arg(long, conflicts_with = "check_imports")]
    development: bool,
    /// Import every app as a worker would, print how it went, and exit.
    #[arg(long)]
    check_imports: bool,
    /// Run as this service (used by `tidegate service`).
    #[arg(long, value_name = "NAME", conflicts_with_all = ["check_imports", "stop_on_stdin_eof"])]
    service: Option<String>,
    /// Seconds that the service was given to finish requests; a reload that wants more warns (used by `tidegate service`).
    #[arg(long, value_name = "SECONDS", requires = "service")]
    stop_limit: Option<u64>,
    /// An account that may connect to this program and its workers: that of the proxy, if it has one of its own.
    #[arg(long, value_name = "ACCOUNT")]
    trust: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(seconds) = arguments.stop_limit {
        tidegate_host::set_stop_limit(Duration::from_secs(seconds));
    }
    let Some(name) = arguments.service.clone() else {
        return ExitCode::from(serve(&arguments));
    };
    match tidegate_host::run_as_service(&name, move || serve(&arguments)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("tidegate-appserver: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> u8 {
    let asked = tidegate_host::start_arguments();
    if let Some(errand) = Errand::among(asked.iter().map(String::as_str)) {
        let outcome = errand.map_err(anyhow::Error::from).and_then(|errand| run_errand(arguments, errand));
        if let Err(error) = outcome {
            tidegate_host::report_event(Event::Failed, &format!("not started: {error:#}"));
        }
        // The service manager starts what fails again, and then it would serve.
        return 0;
    }
    let site = match tidegate_site::load_as(&arguments.config, tidegate_site::Reader::AppServer) {
        Ok(site) => site,
        Err(error) => {
            eprintln!("tidegate-appserver: {error}");
            tidegate_host::report_event(Event::BadConfiguration, &error.to_string());
            return BAD_CONFIGURATION;
        }
    };
    match start(arguments, site) {
        Ok(true) => {
            tidegate_host::report_event(Event::Stopped, "the app server has stopped");
            0
        }
        Ok(false) => FAILED,
        Err(error) => {
            eprintln!("tidegate-appserver: {error:#}");
            tidegate_host::report_event(Event::Failed, &format!("{error:#}"));
            FAILED
        }
    }
}

/// Imports the apps and reports instead of serving.
fn run_errand(arguments: &Arguments, errand: Errand) -> anyhow::Result<()> {
    let program = worker_program()?;
    // A pipe, which is in no directory: no other system passes arguments on to a service.
    let endpoint = Endpoint::local(Path::new(""), &errand.endpoint_name());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        errand::run(&endpoint, &arguments.config, &program, listen(false)?).await.map_err(anyhow::Error::from)
    })
}

fn worker_program() -> anyhow::Result<WorkerProgram> {
    let names = tidegate_host::worker_library_names();
    let library = tidegate_host::beside_executable(names)
        .with_context(|| format!("found no worker library beside this program: looked for {}", names.join(", ")))?;
    Ok(WorkerProgram::new(library))
}

fn start(arguments: &Arguments, site: Site) -> anyhow::Result<bool> {
    let mut program = worker_program()?;
    program.development = arguments.development;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if arguments.check_imports {
            let (reports, good) = check_imports(&site, &program).await;
            for report in reports {
                println!("{report}");
            }
            return Ok(good);
        }
        tidegate_log::init(PROCESS, &site.log).context("cannot open the log file (key log.to)")?;
        if let Err(error) = tidegate_host::raise_file_limit() {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
        tidegate_host::trust_accounts(&arguments.trust).context("cannot let the proxy's account connect")?;
        let signals = listen(arguments.stop_on_stdin_eof)?;
        run(site, program, signals).await?;
        Ok(true)
    })
}

/// Everything that asks this process to stop or to reload.
fn listen(stop_on_stdin_eof: bool) -> anyhow::Result<mpsc::Receiver<Signal>> {
    let mut signals = Signals::install().context("failed to listen for signals")?;
    let (sender, receiver) = mpsc::channel(4);
    let stdin_ended = sender.clone();
    tokio::spawn(async move {
        loop {
            // Nobody listens any more once the server has ended.
            if sender.send(signals.next().await).await.is_err() {
                return;
            }
        }
    });
    if stop_on_stdin_eof {
        tokio::spawn(async move {
            tidegate_host::stdin_end().await;
            let _ = stdin_ended.send(Signal::Stop).await;
        });
    }
    Ok(receiver)
}
