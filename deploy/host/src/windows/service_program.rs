//! The service control manager as a program sees it that runs as a service: the manager's requests come in, states and events
//! go out. It never decides what stopping or reloading means.

use std::ffi::OsString;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState as ScmState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::{define_windows_service, service_dispatcher};
use windows_sys::Win32::Foundation::ERROR_FAILED_SERVICE_CONTROLLER_CONNECT;

use super::event_log;
use super::service::plain;
use crate::Signal;
use crate::service::{Event, Progress};

/// Between two signs of life while the service starts or stops.
const BEAT: Duration = Duration::from_secs(1);
/// How long the manager should wait for the next of them.
const WAIT_HINT: Duration = Duration::from_secs(10);
/// Requests of the manager that have not been taken yet.
const PENDING: usize = 4;

type Program = Box<dyn FnOnce() -> u8 + Send>;

/// What the entry point, which takes no argument of ours, needs and leaves.
static RUN: Mutex<Run> =
    Mutex::new(Run { name: String::new(), program: None, requests: None, reporter: None, code: 1 });

struct Run {
    name: String,
    program: Option<Program>,
    requests: Option<mpsc::Receiver<Signal>>,
    reporter: Option<Reporter>,
    code: u8,
}

/// Tells the manager the state, with checkpoints while it is a passing one.
#[derive(Clone, Copy)]
struct Reporter {
    handle: ServiceStatusHandle,
    state: ScmState,
    checkpoint: u32,
}

define_windows_service!(entry_point, service_main);

pub(crate) fn run(name: &str, program: Program) -> io::Result<u8> {
    {
        let mut run = lock();
        run.name = name.to_owned();
        run.program = Some(program);
    }
    match service_dispatcher::start(name, entry_point) {
        Ok(()) => Ok(lock().code),
        Err(error) => {
            let error = plain(error);
            if error.raw_os_error() == Some(ERROR_FAILED_SERVICE_CONTROLLER_CONNECT.cast_signed()) {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "this process was not started by the service control manager: leave --service out to run in a \
                     console, or use `tidegate service start`",
                ));
            }
            Err(error)
        }
    }
}

fn service_main(_arguments: Vec<OsString>) {
    let (requests, receiver) = mpsc::channel(PENDING);
    let (name, program) = {
        let mut run = lock();
        run.requests = Some(receiver);
        (run.name.clone(), run.program.take())
    };
    let Some(program) = program else { return };
    let handler = move |control| match control {
        ServiceControl::Stop | ServiceControl::Preshutdown | ServiceControl::Shutdown => {
            report(ScmState::StopPending);
            // One that waits already says the same.
            let _ = requests.try_send(Signal::Stop);
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::ParamChange => {
            let _ = requests.try_send(Signal::Reload);
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    let Ok(handle) = service_control_handler::register(&name, handler) else { return };
    lock().reporter = Some(Reporter { handle, state: ScmState::StartPending, checkpoint: 0 });
    report(ScmState::StartPending);
    let beats = thread::Builder::new().name("service".into()).spawn(|| {
        loop {
            thread::sleep(BEAT);
            if !beat() {
                return;
            }
        }
    });
    let code = program();
    lock().code = code;
    report(ScmState::Stopped);
    if let Ok(beats) = beats {
        // It looks once more and ends.
        let _ = beats.join();
    }
}

/// Another checkpoint while the state is a passing one. Says whether there may be more.
fn beat() -> bool {
    let mut run = lock();
    let code = run.code;
    let Some(reporter) = &mut run.reporter else { return false };
    match reporter.state {
        ScmState::Stopped => return false,
        ScmState::StartPending | ScmState::StopPending => {
            reporter.checkpoint += 1;
            reporter.tell(code);
        }
        _ => {}
    }
    true
}

/// A change of state. A service that stops does not go back to running.
fn report(state: ScmState) {
    let mut run = lock();
    let code = run.code;
    let Some(reporter) = &mut run.reporter else { return };
    if reporter.state == ScmState::StopPending && state != ScmState::Stopped {
        return;
    }
    reporter.state = state;
    reporter.checkpoint = 0;
    reporter.tell(code);
}

impl Reporter {
    fn tell(&self, code: u8) {
        let is_passing = matches!(self.state, ScmState::StartPending | ScmState::StopPending);
        let controls_accepted = match self.state {
            ScmState::Running => {
                ServiceControlAccept::STOP | ServiceControlAccept::PRESHUTDOWN | ServiceControlAccept::PARAM_CHANGE
            }
            // Whoever gives up on a start that takes long can stop it.
            ScmState::StartPending => ServiceControlAccept::STOP | ServiceControlAccept::PRESHUTDOWN,
            _ => ServiceControlAccept::empty(),
        };
        let exit_code = match (self.state, code) {
            (ScmState::Stopped, 1..) => ServiceExitCode::ServiceSpecific(code.into()),
            _ => ServiceExitCode::NO_ERROR,
        };
        // A manager that does not listen cannot be told of it either.
        let _ = self.handle.set_service_status(ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: self.state,
            controls_accepted,
            exit_code,
            checkpoint: if is_passing { self.checkpoint + 1 } else { 0 },
            wait_hint: if is_passing { WAIT_HINT } else { Duration::ZERO },
            process_id: None,
        });
    }
}

pub(crate) fn stderr_leads_nowhere() -> bool {
    !lock().name.is_empty()
}

pub(crate) fn report_event(event: Event, text: &str) {
    let name = lock().name.clone();
    // In a console people read what is printed.
    if !name.is_empty() {
        event_log::report(&name, event, text);
    }
}

pub(crate) fn tell(progress: Progress) {
    if progress == Progress::Serving {
        report_event(Event::Started, "the service serves");
    }
    report(match progress {
        Progress::Serving => ScmState::Running,
        Progress::Stopping => ScmState::StopPending,
    });
}

/// What the manager asks of this process, if it is a service; for the first caller.
pub(super) fn take_requests() -> Option<mpsc::Receiver<Signal>> {
    lock().requests.take()
}

fn lock() -> std::sync::MutexGuard<'static, Run> {
    RUN.lock().unwrap_or_else(PoisonError::into_inner)
}
