//! What a worker process is started with: program, arguments, environment. Called by `pool`
//! and `check`; starts nothing itself.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tidegate_contract::{Generation, LAUNCH_VARIABLE, Launch, Mode, PROTOCOL};
use tidegate_host::{Endpoint, MemoryLimit, Output, Spawn, Stdin};
use tidegate_site::App;

use crate::python::{self, PythonError};

/// Loads the worker library and runs it, or says why this Python cannot.
const BOOTSTRAP: &str = include_str!("bootstrap.py");

/// How a line begins in which the bootstrap refuses its Python.
pub(crate) const REFUSAL: &str = "tidegate cannot use ";

/// The stack of a thread of the worker, and of one that Python starts.
const STACK: u64 = 8 << 20;
/// Threads of a worker beside its pool's that an app may be expected to have.
const OTHER_THREADS: u64 = 16;

/// Why a worker cannot be launched.
#[derive(Debug, Error)]
pub(crate) enum LaunchError {
    #[error(transparent)]
    Python(#[from] PythonError),
    #[error("the app's directory {} does not exist", .0.display())]
    NoDirectory(PathBuf),
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    #[error("failed to encode the launch: {0}")]
    Encode(#[from] serde_json::Error),
    /// The host names the program in its error.
    #[error(transparent)]
    Start(#[from] io::Error),
}

/// The program that a worker's Python runs.
#[derive(Debug, Clone)]
pub struct WorkerProgram {
    /// Python code, run with the library's path as its argument.
    pub bootstrap: String,
    /// The worker library.
    pub library: PathBuf,
    /// Whether exceptions of the app are shown in the browser.
    pub development: bool,
}

impl WorkerProgram {
    /// The real worker, from its library.
    pub fn new(library: PathBuf) -> Self {
        Self { bootstrap: BOOTSTRAP.to_owned(), library, development: false }
    }

    /// How to start a worker of `app`.
    pub(crate) fn spawn(&self, app: &App, slot: u32, generation: Generation, mode: Mode) -> Result<Spawn, LaunchError> {
        if !app.directory.is_dir() {
            return Err(LaunchError::NoDirectory(app.directory.clone()));
        }
        let launch = Launch {
            protocol: PROTOCOL,
            app: app.name.to_string(),
            slot,
            generation,
            target: app.wsgi.clone(),
            directory: app.directory.clone(),
            threads_min: app.threads.min,
            threads_max: app.threads.max,
            multiprocess: app.processes > 1,
            timeout_grace_ms: milliseconds(app.timeout_grace),
            heartbeat_ms: milliseconds(app.heartbeat),
            development: self.development,
            slow_request_ms: app.slow_request.map(milliseconds),
            validate: app.validate,
            cancel_when_client_gone: app.cancel_when_client_gone,
            trusted: tidegate_host::trusted_accounts(),
            mode,
        };
        let mut spawn = Spawn::new(python::find(app)?);
        spawn.arguments = vec!["-c".into(), self.bootstrap.clone().into(), self.library.clone().into()];
        spawn.directory = Some(app.directory.clone());
        spawn.environment = environment(app);
        spawn.environment.push((LAUNCH_VARIABLE.into(), serde_json::to_string(&launch)?.into()));
        spawn.stdin = Stdin::Null;
        spawn.output = Output::Capture;
        let stacks = (u64::from(app.threads.max) + OTHER_THREADS) * STACK;
        spawn.memory_limit = app.memory_limit.map(|bytes| MemoryLimit { bytes, stacks });
        Ok(spawn)
    }
}

/// The app's own settings win over these, and these over the service's.
fn environment(app: &App) -> Vec<(OsString, OsString)> {
    // The first keeps what the app prints readable in the log, the second keeps nothing back
    // from it, the third leaves a stack there when the interpreter crashes.
    let ours = [("PYTHONIOENCODING", "utf-8"), ("PYTHONUNBUFFERED", "1"), ("PYTHONFAULTHANDLER", "1")];
    let ours = ours.into_iter().filter(|(name, _)| !app.environment.contains_key(*name));
    let theirs = app.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    ours.chain(theirs).map(|(name, value)| (name.into(), value.into())).collect()
}

/// An endpoint that nobody can guess or has used before.
pub(crate) fn fresh_endpoint(directory: &Path, prefix: &str) -> Result<Endpoint, getrandom::Error> {
    Ok(Endpoint::local(directory, &format!("{prefix}-{:016x}", getrandom::u64()?)))
}

/// A word that proves who connects to the worker channel.
pub(crate) fn token() -> Result<String, getrandom::Error> {
    Ok(format!("{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?))
}

pub(crate) fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
