//! The worker's life: launch, import, serve, stop. Runs in the main thread, which after the
//! start only beats, and runs the app's signal handlers on the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use pyo3::prelude::*;
use tidegate_contract::{FromWorker, Launch, Mode, PROTOCOL};
use tidegate_host::Endpoint;

use crate::channel::Supervisor;
use crate::deadline::Watchdog;
use crate::exit;
use crate::inspect::Inspector;
use crate::io::Io;
use crate::log;
use crate::outbox::Outbox;
use crate::shared::Shared;
use crate::start;
use crate::threads::Pool;
use crate::wsgi::{App, Violations, summary, traceback};

/// How long a last message to the supervisor may take.
const LAST_WORD: Duration = Duration::from_secs(2);
/// How long exit functions and remaining threads of the app may take after the drain.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long the responses under way may take to be written once their threads are back.
const FLUSH: Duration = Duration::from_secs(1);

/// Runs the worker. The result is the exit code.
pub(crate) fn run(py: Python<'_>) -> i32 {
    let launch = match start::launch(py) {
        Ok(launch) => launch,
        Err(error) => {
            log::line(&error.value(py).to_string());
            return 1;
        }
    };
    let served = match launch.mode.clone() {
        Mode::Check => return check(py, &launch),
        Mode::Serve { endpoint, channel, token } => serve(py, launch, &endpoint, &channel, token),
    };
    match served {
        Ok(code) => code,
        Err(error) => {
            log::line(&traceback(py, &error).unwrap_or_else(|_| error.to_string()));
            1
        }
    }
}

/// Imports the app and says how that went on standard output.
fn check(py: Python<'_>, launch: &Launch) -> i32 {
    let imported = start::prepare(py, &launch.directory).and_then(|()| start::import(py, &launch.target));
    let (message, code) = match imported {
        Ok(_) => (FromWorker::Ready, 0),
        Err(error) => (import_failed(py, &error), 1),
    };
    if let Ok(line) = serde_json::to_string(&message) {
        // The app may have replaced or buffered sys.stdout; this line is for the supervisor.
        println!("{line}");
    }
    code
}

fn serve(py: Python<'_>, launch: Launch, endpoint: &str, channel: &str, token: String) -> PyResult<i32> {
    let parse = |text: &str| {
        text.parse::<Endpoint>().map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))
    };
    let (endpoint, channel) = (parse(endpoint)?, parse(channel)?);
    tidegate_host::trust_accounts(&launch.trusted)?;
    let (supervisor, mailbox) = Supervisor::new();
    // Everything that threads share lives as long as the process.
    let shared: &'static Shared = Box::leak(Box::new(Shared {
        outbox: Outbox::default(),
        pool: Pool::new(launch.threads_min, launch.threads_max),
        supervisor,
        watchdog: Watchdog::default(),
        inspector: Inspector::default(),
        violations: Violations::default(),
        launch,
    }));
    let stop = Arc::new(Stop::default());
    let io = {
        let stop = Arc::clone(&stop);
        py.detach(|| Io::start(shared, channel, mailbox, move |drain| stop.order(drain)))?
    };
    shared.supervisor.say(hello(py, token)?);

    let imported = start::prepare(py, &shared.launch.directory)
        .and_then(|()| start::import(py, &shared.launch.target))
        .and_then(|callable| App::new(py, shared, callable.unbind()));
    let app: &'static App = match imported {
        Ok(app) => Box::leak(Box::new(app)),
        Err(error) => {
            let message = import_failed(py, &error);
            py.detach(|| shared.supervisor.say_and_wait(message, LAST_WORD));
            leave(py, 1, FAREWELL);
        }
    };
    shared.pool.open(Box::new(|seat| app.serve(seat)));
    py.detach(|| io.listen(endpoint))?;
    shared.supervisor.say(FromWorker::Ready);

    let drain = beat(py, shared, &stop)?;
    let deadline = Instant::now() + drain;
    // Whatever holds the GIL or never ends, the process does not outlive its drain by much.
    exit::after(drain + FLUSH + FAREWELL, 0);
    py.detach(|| {
        io.finish(drain + FLUSH);
        // Threads whose client is gone have no connection that would have waited for them.
        shared.pool.wait_until_quiet(deadline);
    });
    leave(py, 0, FAREWELL)
}

/// Beats until the supervisor says stop. The result is how long running requests may take.
fn beat(py: Python<'_>, shared: &'static Shared, stop: &Stop) -> PyResult<Duration> {
    let interval = Duration::from_millis(shared.launch.heartbeat_ms.max(10));
    let mut dump = Dump::new(py, interval);
    loop {
        dump.rearm(py);
        // An app's handler for a signal runs here, in the main thread, as Python has it.
        if let Err(error) = py.check_signals() {
            log::line(&format!("a signal handler of the app failed: {}", summary(py, &error)));
        }
        let (busy, threads, requests) = shared.pool.figures();
        shared.supervisor.say(FromWorker::Beat { busy, threads, requests });
        if let Some(drain) = py.detach(|| stop.wait(interval)) {
            dump.disarm(py);
            return Ok(drain);
        }
    }
}

/// Python's own watch over a held GIL: unless it is re-armed in time, it writes the stacks of all
/// threads to standard error.
struct Dump<'py> {
    faulthandler: Option<Bound<'py, PyModule>>,
    /// Standard error as a number: a stream would be flushed first, which waits for whoever writes to it.
    file: Option<i32>,
    seconds: f64,
}

impl<'py> Dump<'py> {
    fn new(py: Python<'py>, interval: Duration) -> Self {
        let seconds = (interval * 3).as_secs_f64().max(3.0);
        let stderr = py.import("sys").and_then(|sys| sys.getattr("__stderr__")?.call_method0("fileno")?.extract());
        Self { faulthandler: py.import("faulthandler").ok(), file: stderr.ok(), seconds }
    }

    fn rearm(&mut self, _py: Python<'py>) {
        if let (Some(module), Some(file)) = (&self.faulthandler, self.file)
            && module.call_method1("dump_traceback_later", (self.seconds, false, file)).is_err()
        {
            // Another file has its number now, or none: then there is no dump.
            self.faulthandler = None;
        }
    }

    fn disarm(&self, _py: Python<'py>) {
        if let Some(module) = &self.faulthandler {
            // Nothing depends on it.
            let _ = module.call_method0("cancel_dump_traceback_later");
        }
    }
}

/// Ends the process in order: the app's non-daemon threads, its exit functions, its output. Python
/// itself is not finalised, because threads that come back to it meanwhile would crash.
fn leave(py: Python<'_>, code: i32, patience: Duration) -> ! {
    exit::after(patience, code);
    let run = |module: &str, function: &str| {
        if let Err(error) = py.import(module).and_then(|module| module.call_method0(function)) {
            log::line(&format!("{module}.{function} failed at exit: {}", summary(py, &error)));
        }
    };
    run("threading", "_shutdown");
    run("atexit", "_run_exitfuncs");
    for stream in ["stdout", "stderr"] {
        // A closed stream has nothing to flush.
        let _ = py.import("sys").and_then(|sys| sys.getattr(stream)).and_then(|stream| stream.call_method0("flush"));
    }
    exit::at_once(code)
}

fn hello(py: Python<'_>, token: String) -> PyResult<FromWorker> {
    let sys = py.import("sys")?;
    let version = sys.getattr("version_info")?;
    let part = |name: &str| -> PyResult<u32> { version.getattr(name)?.extract() };
    let python = format!("{}.{}.{}", part("major")?, part("minor")?, part("micro")?);
    let executable: String = sys.getattr("executable")?.extract().unwrap_or_default();
    Ok(FromWorker::Hello { protocol: PROTOCOL, token, pid: std::process::id(), python, executable })
}

fn import_failed(py: Python<'_>, error: &PyErr) -> FromWorker {
    FromWorker::ImportFailed {
        error: summary(py, error),
        traceback: traceback(py, error).unwrap_or_else(|_| error.to_string()),
    }
}

/// The supervisor's order to stop, on its way to the main thread.
#[derive(Default)]
struct Stop {
    drain: Mutex<Option<Duration>>,
    ordered: Condvar,
}

impl Stop {
    fn order(&self, drain: Duration) {
        *self.drain.lock() = Some(drain);
        self.ordered.notify_one();
    }

    fn wait(&self, patience: Duration) -> Option<Duration> {
        let mut drain = self.drain.lock();
        if drain.is_none() {
            self.ordered.wait_for(&mut drain, patience);
        }
        *drain
    }
}
