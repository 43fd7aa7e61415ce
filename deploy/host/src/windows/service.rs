//! The service control manager, from both sides: a program that runs as a service, and a command that
//! installs and drives services.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::ptr;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use windows_service::service::{
    Service as Handle, ServiceAccess, ServiceAction, ServiceActionType, ServiceControl, ServiceControlAccept,
    ServiceErrorControl, ServiceExitCode, ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo,
    ServiceSidType, ServiceStartType, ServiceState as ScmState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_service::{define_windows_service, service_dispatcher};
use windows_sys::Win32::Foundation::{ERROR_FAILED_SERVICE_CONTROLLER_CONNECT, ERROR_SERVICE_DOES_NOT_EXIST};
use windows_sys::Win32::System::Services::{ControlService, SERVICE_CONTROL_PARAMCHANGE, SERVICE_STATUS};

use super::event_log;
use crate::service::{Event, Installed, Progress, Service, ServiceSettings, ServiceState, StartType};
use crate::{Signal, context};

/// Restarts after a failure, then again after the last of these. A web application that cannot start is tried for
/// ever: its database may come up later.
const RESTARTS: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(60)];
/// Failures are forgotten after this long without one.
const RESET: Duration = Duration::from_secs(24 * 60 * 60);
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

pub(crate) fn name(set: &str, part: &str) -> String {
    let mut part = part.to_owned();
    part[..1].make_ascii_uppercase();
    format!("{set}{part}")
}

/// It exists with the service and has no password.
pub(crate) fn own_account(name: &str) -> Option<String> {
    Some(usual_account(name))
}

pub(crate) fn usual_account(name: &str) -> String {
    format!(r"NT SERVICE\{name}")
}

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

/// Nothing is kept of it.
pub(crate) fn journal_command(_names: &[String]) -> Option<(&'static str, Vec<String>)> {
    None
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

pub(crate) fn install(services: &[Service], files_only: Option<&Path>) -> io::Result<Installed> {
    if files_only.is_some() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "a service has no files on Windows"));
    }
    let manager = manager(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
    let mut installed = Installed::default();
    for service in services {
        install_one(&manager, service, &mut installed)?;
    }
    Ok(installed)
}

fn install_one(manager: &ServiceManager, service: &Service, installed: &mut Installed) -> io::Result<()> {
    let account = service.account.clone().or_else(|| own_account(&service.name)).unwrap_or_default();
    let info = ServiceInfo {
        name: (&service.name).into(),
        display_name: (&service.title).into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: service.program.clone(),
        launch_arguments: service.arguments.clone(),
        dependencies: Vec::new(),
        account_name: Some(account.clone().into()),
        account_password: None,
    };
    let access = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START | ServiceAccess::QUERY_STATUS;
    let found = manager.open_service(&service.name, access);
    let (handle, is_new) = match found {
        Ok(handle) => {
            handle.change_config(&info).map_err(|error| about(&service.name, "failed to change", error))?;
            (handle, false)
        }
        Err(_) => {
            let made = manager.create_service(&info, access);
            (made.map_err(|error| about(&service.name, "failed to create", error))?, true)
        }
    };
    installed.done.push(format!("service {} {}, as {account}", service.name, if is_new { "made" } else { "updated" }));
    let actions = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(RESET),
        reboot_msg: None,
        command: None,
        actions: Some(
            RESTARTS.iter().map(|&delay| ServiceAction { action_type: ServiceActionType::Restart, delay }).collect(),
        ),
    };
    let extras = [
        ("its description", handle.set_description(&service.description)),
        ("restarts after a failure", handle.update_failure_actions(actions)),
        ("restarts after an exit with an error", handle.set_failure_actions_on_non_crash_failures(true)),
        ("its own security identifier", handle.set_config_service_sid_info(ServiceSidType::Unrestricted)),
        ("the delayed start", handle.set_delayed_auto_start(service.delayed)),
        ("the time to stop at a shutdown", handle.set_preshutdown_timeout(service.stop_timeout)),
    ];
    for (what, outcome) in extras {
        if let Err(error) = outcome {
            installed.warnings.push(format!("{}: the system did not store {what}: {}", service.name, plain(error)));
        }
    }
    if let Err(error) = event_log::register(&service.name) {
        installed.warnings.push(format!("{}: the event log will not show its messages in full: {error}", service.name));
    }
    for directory in &service.writable {
        std::fs::create_dir_all(directory)
            .map_err(|error| context(error, format_args!("failed to create {}", directory.display())))?;
        if let Err(error) = super::access::grant_directory(directory, &account) {
            installed.warnings.push(format!(
                "{} could not be made writable for {account}: {error}: grant it by `icacls \"{}\" /grant \
                 \"{account}:(OI)(CI)M\"`",
                directory.display(),
                directory.display()
            ));
        }
    }
    Ok(())
}

pub(crate) fn remove(name: &str) -> io::Result<()> {
    open(name, ServiceAccess::DELETE)?.delete().map_err(|error| about(name, "failed to remove", error))?;
    event_log::unregister(name);
    Ok(())
}

pub(crate) fn start(name: &str) -> io::Result<()> {
    let none: [&OsStr; 0] = [];
    open(name, ServiceAccess::START)?.start(&none).map_err(|error| about(name, "failed to start", error))
}

pub(crate) fn stop(name: &str) -> io::Result<()> {
    open(name, ServiceAccess::STOP)?.stop().map(|_| ()).map_err(|error| about(name, "failed to stop", error))
}

/// The service control manager knows no sets, and no listeners that outlive a service.
pub(crate) fn restart(_set: &str) -> io::Result<bool> {
    Ok(false)
}

pub(crate) fn reload(name: &str) -> io::Result<()> {
    let service = open(name, ServiceAccess::PAUSE_CONTINUE)?;
    let mut status = SERVICE_STATUS::default();
    // SAFETY: the handle is open as long as `service`, and the status is writable.
    let told = unsafe { ControlService(service.raw_handle(), SERVICE_CONTROL_PARAMCHANGE, ptr::from_mut(&mut status)) };
    if told == 0 {
        return Err(context(io::Error::last_os_error(), format_args!("failed to reload service {name}")));
    }
    Ok(())
}

pub(crate) fn state(name: &str) -> io::Result<ServiceState> {
    let service = match open(name, ServiceAccess::QUERY_STATUS) {
        Ok(service) => service,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ServiceState::Missing),
        Err(error) => return Err(error),
    };
    let status = service.query_status().map_err(|error| about(name, "failed to ask for", error))?;
    Ok(match status.current_state {
        ScmState::StartPending | ScmState::ContinuePending => ServiceState::Starting,
        ScmState::StopPending => ServiceState::Stopping,
        ScmState::Stopped => match status.exit_code {
            ServiceExitCode::ServiceSpecific(code) | ServiceExitCode::Win32(code) if code != 0 => {
                // Of a service that was never started the manager says 1077.
                if code == NEVER_STARTED { ServiceState::Stopped } else { ServiceState::Failed { code } }
            }
            _ => ServiceState::Stopped,
        },
        _ => ServiceState::Running { pid: status.process_id.unwrap_or_default() },
    })
}

pub(crate) fn settings(name: &str) -> io::Result<Option<ServiceSettings>> {
    let service = match open(name, ServiceAccess::QUERY_CONFIG) {
        Ok(service) => service,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let config = service.query_config().map_err(|error| about(name, "failed to ask for", error))?;
    Ok(Some(ServiceSettings {
        account: config.account_name.unwrap_or_default().to_string_lossy().into_owned(),
        start: match config.start_type {
            ServiceStartType::Disabled => StartType::Disabled,
            ServiceStartType::OnDemand => StartType::Manual,
            _ => StartType::Automatic,
        },
        command: config.executable_path.to_string_lossy().into_owned(),
    }))
}

/// ERROR_SERVICE_NEVER_STARTED.
const NEVER_STARTED: u32 = 1077;

fn manager(access: ServiceManagerAccess) -> io::Result<ServiceManager> {
    ServiceManager::local_computer(None::<&str>, access).map_err(|error| {
        let error = plain(error);
        if error.kind() == io::ErrorKind::PermissionDenied {
            return io::Error::new(error.kind(), "services are the administrator's: run this as administrator");
        }
        context(error, "failed to reach the service control manager")
    })
}

fn open(name: &str, access: ServiceAccess) -> io::Result<Handle> {
    manager(ServiceManagerAccess::CONNECT)?.open_service(name, access).map_err(|error| {
        let error = plain(error);
        match error.raw_os_error().map(i32::cast_unsigned) {
            Some(ERROR_SERVICE_DOES_NOT_EXIST) => {
                io::Error::new(io::ErrorKind::NotFound, format!("there is no service {name}"))
            }
            _ if error.kind() == io::ErrorKind::PermissionDenied => {
                io::Error::new(error.kind(), "services are the administrator's: run this as administrator")
            }
            _ => context(error, format_args!("failed to open service {name}")),
        }
    })
}

/// The system's own error, which says more than the library's text.
fn plain(error: windows_service::Error) -> io::Error {
    match error {
        windows_service::Error::Winapi(error) => error,
        other => io::Error::other(other),
    }
}

fn about(name: &str, what: &str, error: windows_service::Error) -> io::Error {
    context(plain(error), format_args!("{what} service {name}"))
}
