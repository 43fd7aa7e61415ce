//! The service control manager as a program sees it that runs as a service: the manager's requests come in, states and events
//! go out. It never decides what stopping or reloading means.

use std::ffi::OsString;
use std::io;
use std::os::windows::io::AsRawHandle as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use windows_service::service::{ServiceControl, ServiceControlAccept, ServiceState as ScmState};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::{define_windows_service, service_dispatcher};
use windows_sys::Win32::Foundation::{
    ERROR_FAILED_SERVICE_CONTROLLER_CONNECT, ERROR_PROCESS_ABORTED, ERROR_SERVICE_NEVER_STARTED,
    ERROR_SERVICE_SPECIFIC_ERROR, NO_ERROR,
};
use windows_sys::Win32::System::Services::{SERVICE_STATUS, SERVICE_WIN32_OWN_PROCESS, SetServiceStatus};

use super::event_log;
use super::service::plain;
use crate::Signal;
use crate::event::Event;
use crate::requests::Requests;
use crate::service::{Progress, ServiceState};

/// Between two signs of life while the service starts or stops.
const BEAT: Duration = Duration::from_secs(1);
/// How long the manager should wait for the next of them.
const WAIT_HINT: Duration = Duration::from_secs(10);
/// Exit code of a program whose site file is wrong.
const BAD_CONFIGURATION: u8 = 78;

type Program = Box<dyn FnOnce() -> u8 + Send>;

/// What the entry point, which takes no argument of ours, needs and leaves.
static RUN: Mutex<Run> =
    Mutex::new(Run { name: String::new(), program: None, asked: Vec::new(), requests: None, reporter: None, code: 1 });

struct Run {
    name: String,
    program: Option<Program>,
    asked: Vec<String>,
    requests: Option<Arc<Requests>>,
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

fn service_main(arguments: Vec<OsString>) {
    let requests = Arc::new(Requests::default());
    let (name, program) = {
        let mut run = lock();
        // The first is the service's name.
        run.asked = arguments.iter().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
        run.requests = Some(Arc::clone(&requests));
        (run.name.clone(), run.program.take())
    };
    let Some(program) = program else { return };
    let handler = move |control| match control {
        ServiceControl::Stop | ServiceControl::Preshutdown | ServiceControl::Shutdown => {
            report(ScmState::StopPending);
            requests.add(Signal::Stop);
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::ParamChange => {
            requests.add(Signal::Reload);
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
        let code = if self.state == ScmState::Stopped { code } else { 0 };
        let (error, own_error) = exit_codes(code);
        let status = SERVICE_STATUS {
            dwServiceType: SERVICE_WIN32_OWN_PROCESS,
            dwCurrentState: self.state as u32,
            dwControlsAccepted: controls_accepted.bits(),
            dwWin32ExitCode: error,
            dwServiceSpecificExitCode: own_error,
            dwCheckPoint: if is_passing { self.checkpoint + 1 } else { 0 },
            dwWaitHint: if is_passing { WAIT_HINT.as_millis() as u32 } else { 0 },
        };
        // SAFETY: the handle was given for this process, and the manager copies the status. One that does not listen cannot
        // be told of it either.
        unsafe { SetServiceStatus(self.handle.as_raw_handle(), &status) };
    }
}

/// What the manager is told of an exit code: its own error, and the program's. It starts a service again that ends with an
/// error of its own kind. A wrong site file is not right the next time either, so there the program's code goes alone.
fn exit_codes(code: u8) -> (u32, u32) {
    match code {
        0 => (NO_ERROR, 0),
        BAD_CONFIGURATION => (NO_ERROR, code.into()),
        code => (ERROR_SERVICE_SPECIFIC_ERROR, code.into()),
    }
}

/// What a service that has stopped has told of its end, as [`exit_codes`] has put it.
pub(super) fn ended(error: u32, own_error: u32) -> ServiceState {
    match (error, own_error) {
        (ERROR_SERVICE_SPECIFIC_ERROR, 1..) => ServiceState::Failed { code: own_error },
        (NO_ERROR, own_error) if own_error == u32::from(BAD_CONFIGURATION) => ServiceState::Failed { code: own_error },
        (NO_ERROR | ERROR_SERVICE_SPECIFIC_ERROR | ERROR_SERVICE_NEVER_STARTED, _) => ServiceState::Stopped,
        (error, _) => ServiceState::Failed { code: error },
    }
}

/// Whether the manager starts a service again that has ended so: by an error of its own, or without a word.
pub(super) fn is_restarted(error: u32) -> bool {
    matches!(error, ERROR_SERVICE_SPECIFIC_ERROR | ERROR_PROCESS_ABORTED)
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
        Progress::Serving | Progress::Apart => ScmState::Running,
        Progress::Stopping => ScmState::StopPending,
    });
}

pub(crate) fn start_arguments() -> Vec<String> {
    lock().asked.clone()
}

/// What the manager asks of this process, if it is a service; for the first caller.
pub(super) fn take_requests() -> Option<Arc<Requests>> {
    lock().requests.take()
}

fn lock() -> std::sync::MutexGuard<'static, Run> {
    RUN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_cannot_be_right_the_next_time_is_not_started_again() {
        for (code, restarted, seen) in [
            (0, false, ServiceState::Stopped),
            (1, true, ServiceState::Failed { code: 1 }),
            (78, false, ServiceState::Failed { code: 78 }),
        ] {
            let (error, own_error) = exit_codes(code);
            assert_eq!((is_restarted(error), ended(error, own_error)), (restarted, seen), "{code}");
        }
    }

    #[test]
    fn what_the_manager_says_of_an_end_is_read() {
        for (error, own_error, expected) in [
            (ERROR_SERVICE_NEVER_STARTED, 0, ServiceState::Stopped),
            (ERROR_PROCESS_ABORTED, 0, ServiceState::Failed { code: ERROR_PROCESS_ABORTED }),
            (ERROR_SERVICE_SPECIFIC_ERROR, 0, ServiceState::Stopped),
            (NO_ERROR, 5, ServiceState::Stopped),
        ] {
            assert_eq!(ended(error, own_error), expected, "{error} {own_error}");
        }
    }
}
