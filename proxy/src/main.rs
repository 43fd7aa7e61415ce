//! `tidegate-proxy`: command line, configuration, runtime; everything else is in the library.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tidegate_host::Event;
use tidegate_proxy::Options;
use tracing::error;

/// Takes clearly less processor time for each request than the C library's allocator: requests are
/// allocated on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Any failure at run time.
const FAILED: u8 = 1;
/// Bad configuration (sysexits.h EX_CONFIG).
const BAD_CONFIGURATION: u8 = 78;

/// The Tidegate proxy: terminates TLS, serves static files and dispatches requests to the workers
/// of the app server.
#[derive(Debug, Parser)]
#[command(name = "tidegate-proxy", version)]
struct Arguments {
    /// The site file
    #[arg(long, value_name = "FILE", default_value = "tidegate.yaml", env = "TIDEGATE_CONFIG")]
    config: PathBuf,
    /// Stop when standard input ends (used by `tidegate up`)
    #[arg(long)]
    stop_on_stdin_eof: bool,
    /// Run as this service (used by `tidegate service`)
    #[arg(long, value_name = "NAME", conflicts_with = "stop_on_stdin_eof")]
    service: Option<String>,
    /// Seconds that the service was given to finish requests; a reload that wants more warns (used by `tidegate service`)
    #[arg(long, value_name = "SECONDS", requires = "service")]
    stop_limit: Option<u64>,
    /// The account of the app server, if it has one of its own (used by `tidegate service` on Linux)
    #[arg(long, value_name = "ACCOUNT")]
    trust: Vec<String>,
}

/// Threads that wait for disks. Each keeps some megabytes of buffers; no disk is faster with more of them.
const DISK_THREADS: usize = 64;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(seconds) = arguments.stop_limit {
        tidegate_host::set_stop_limit(Duration::from_secs(seconds));
    }
    let Some(name) = arguments.service.clone() else {
        return ExitCode::from(serve(arguments));
    };
    match tidegate_host::run_as_service(&name, || serve(arguments)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("tidegate-proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Arguments) -> u8 {
    let site = match tidegate_site::load_as(&arguments.config, tidegate_site::Reader::Proxy) {
        Ok(site) => site,
        Err(problems) => {
            eprintln!("{problems}");
            tidegate_host::report_event(Event::BadConfiguration, &problems.to_string());
            return BAD_CONFIGURATION;
        }
    };
    if let Err(error) = tidegate_log::init("proxy", &site.log) {
        let message = format!("cannot open the log file (key log.to): {error}");
        eprintln!("tidegate-proxy: {message}");
        tidegate_host::report_event(Event::Failed, &message);
        return FAILED;
    }
    if let Err(error) = tidegate_host::trust_accounts(&arguments.trust) {
        error!("--trust: {error}");
        tidegate_host::report_event(Event::Failed, &format!("--trust: {error}"));
        return FAILED;
    }
    let options = Options { file: arguments.config, stop_on_stdin_end: arguments.stop_on_stdin_eof };
    let threads = tidegate_host::io_threads();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(DISK_THREADS)
        .thread_keep_alive(tidegate_host::disk_thread_idle())
        .enable_all()
        .build();
    let result = match runtime {
        // Spawned, so that it runs on the runtime's own threads.
        Ok(runtime) => runtime.block_on(async {
            match tokio::spawn(tidegate_proxy::run(site, options)).await {
                Ok(result) => result,
                Err(error) => Err(error.into()),
            }
        }),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => {
            tidegate_host::report_event(Event::Stopped, "the proxy has stopped");
            0
        }
        Err(error) => {
            error!("{error:#}");
            tidegate_host::report_event(Event::Failed, &format!("{error:#}"));
            FAILED
        }
    }
}
