//! The service control manager as a command sees it that installs and drives services. How a program runs as one is next door.

use std::io;
use std::path::{Path, PathBuf};
use std::ptr;
use std::time::Duration;

use windows_service::service::{
    Service as Handle, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl, ServiceFailureActions,
    ServiceFailureResetPeriod, ServiceInfo, ServiceSidType, ServiceStartType, ServiceState as ScmState, ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_sys::Win32::Foundation::{
    ERROR_SERVICE_CANNOT_ACCEPT_CTRL, ERROR_SERVICE_DOES_NOT_EXIST, ERROR_SERVICE_NOT_ACTIVE,
};
use windows_sys::Win32::System::Services::{
    ControlService, QueryServiceStatus, SERVICE_CONTROL_PARAMCHANGE, SERVICE_STATUS,
};

use super::{account, command_line, event_log, logon, service_list, service_program};
use crate::context;
use crate::service::{Installed, Obstacle, Service, ServiceAccount, ServiceSettings, ServiceState, Start, StartType};
use crate::service_rules;

pub(crate) use super::logon::try_logon;
pub(crate) use super::remembered::{remember, remembered};
pub(crate) use super::service_program::{report_event, run, start_arguments, stderr_leads_nowhere, tell};

/// Restarts after a failure, then again after the last of these. A web application that cannot start is tried for
/// ever: its database may come up later.
const RESTARTS: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(60)];
/// Failures are forgotten after this long without one.
const RESET: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn name(set: &str, part: &str) -> String {
    let mut part = part.to_owned();
    part[..1].make_ascii_uppercase();
    format!("{set}{part}")
}

/// It exists with the service and has no password.
pub(crate) fn own_account(name: &str) -> Option<String> {
    Some(usual_account(name))
}

/// Each has had its own from the beginning.
pub(crate) fn has_outgrown_account(_name: &str) -> bool {
    false
}

/// They are the system's.
pub(crate) fn make_account(_account: &str) -> io::Result<bool> {
    Ok(false)
}

pub(crate) fn usual_account(name: &str) -> String {
    format!(r"NT SERVICE\{name}")
}

/// Nothing is kept of it.
pub(crate) fn journal_command(_names: &[String]) -> Option<(&'static str, Vec<String>)> {
    None
}

pub(crate) fn check_account(account: &str) -> Result<ServiceAccount, String> {
    let mut checked = service_rules::account(account)?;
    if checked.has_password {
        checked.name = account::user(&checked.name).map_err(|error| error.to_string())?;
    }
    Ok(checked)
}

pub(crate) fn obstacle(error: &io::Error) -> Option<Obstacle> {
    service_rules::obstacle(error)
}

pub(crate) fn install(services: &[Service], files_only: Option<&Path>, installed: &mut Installed) -> io::Result<()> {
    if files_only.is_some() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "a service has no files on Windows"));
    }
    let manager = manager(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
    let mut made = Vec::new();
    for service in services {
        if let Err(error) = install_one(&manager, service, &mut made, installed) {
            // One without the other serves nothing.
            for name in made {
                match remove(name) {
                    Ok(()) => installed.done.push(format!("service {name} removed again")),
                    Err(error) => installed.done.push(format!("service {name} is left: {error}")),
                }
            }
            return Err(error);
        }
    }
    Ok(())
}

fn install_one<'a>(
    manager: &ServiceManager,
    service: &'a Service,
    made: &mut Vec<&'a str>,
    installed: &mut Installed,
) -> io::Result<()> {
    let name = &service.name;
    let account = service.account.clone().or_else(|| own_account(name)).unwrap_or_default();
    let mut info = ServiceInfo {
        name: name.into(),
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
    let (handle, start) = match manager.open_service(name, access | ServiceAccess::QUERY_CONFIG) {
        Ok(handle) => {
            if service.start.is_none() {
                info.start_type =
                    handle.query_config().map_err(|error| about(name, "failed to ask for", error))?.start_type;
            }
            // Named again without its password, an account would have none.
            let before = settings(name)?.map(|settings| settings.account);
            if service.password.is_some() || before.is_some_and(|before| before.eq_ignore_ascii_case(&account)) {
                info.account_name = None;
            }
            handle.change_config(&info).map_err(|error| about(name, "failed to change", error))?;
            installed
                .done
                .push(format!("service {name} updated, as {account}{}", kept(service.start, info.start_type)));
            (handle, service.start)
        }
        Err(error) => {
            let error = plain(error);
            if error.raw_os_error().map(i32::cast_unsigned) != Some(ERROR_SERVICE_DOES_NOT_EXIST) {
                return Err(context(error, format_args!("failed to open service {name}")));
            }
            if service.password.is_some() {
                // Until both are set together, below.
                info.account_name = own_account(name).map(Into::into);
            }
            let new = manager.create_service(&info, access).map_err(|error| about(name, "failed to create", error))?;
            made.push(name);
            installed.done.push(format!("service {name} made, as {account}"));
            (new, Some(service.start.unwrap_or(Start::Automatic)))
        }
    };
    if let Some(password) = &service.password {
        logon::set_account(&handle, &account, password)
            .map_err(|error| context(error, format_args!("failed to set the account of service {name}")))?;
    }
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
        ("the delayed start", start.map_or(Ok(()), |start| handle.set_delayed_auto_start(start == Start::Delayed))),
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

/// What a change says of a start that it leaves as it is.
fn kept(start: Option<Start>, kept: ServiceStartType) -> &'static str {
    match (start, kept) {
        (Some(_), _) => "",
        (None, ServiceStartType::Disabled) => "; it is disabled, as before",
        (None, ServiceStartType::OnDemand) => "; it does not start with the system, as before",
        (None, _) => "; its start stays as it is",
    }
}

pub(crate) fn remove(name: &str) -> io::Result<()> {
    open(name, ServiceAccess::DELETE)?.delete().map_err(|error| about(name, "failed to remove", error))?;
    event_log::unregister(name);
    Ok(())
}

pub(crate) fn start(name: &str) -> io::Result<()> {
    start_with(name, &[])
}

pub(crate) fn start_with(name: &str, arguments: &[String]) -> io::Result<()> {
    open(name, ServiceAccess::START)?.start(arguments).map_err(|error| about(name, "failed to start", error))
}

/// One that ends at this moment, or takes no request while it starts or stops, is no failure: the next look tells.
pub(crate) fn stop(name: &str) -> io::Result<()> {
    match open(name, ServiceAccess::STOP)?.stop() {
        Ok(_) => Ok(()),
        Err(windows_service::Error::Winapi(error)) if is_passing(&error) => Ok(()),
        Err(error) => Err(about(name, "failed to stop", error)),
    }
}

fn is_passing(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(i32::cast_unsigned);
    matches!(code, Some(ERROR_SERVICE_NOT_ACTIVE | ERROR_SERVICE_CANNOT_ACCEPT_CTRL))
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
        ScmState::Stopped => {
            let (error, own_error) = exit_codes(&service)?;
            service_program::ended(error, own_error)
        }
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
    let command = config.executable_path.to_string_lossy().into_owned();
    let mut words = command_line::words(&command).into_iter();
    Ok(Some(ServiceSettings {
        program: PathBuf::from(words.next().unwrap_or_default()),
        arguments: words.collect(),
        account: account::named_in_full(&config.account_name.unwrap_or_default().to_string_lossy()),
        start: match config.start_type {
            ServiceStartType::Disabled => StartType::Disabled,
            ServiceStartType::OnDemand => StartType::Manual,
            _ => StartType::Automatic,
        },
        command,
    }))
}

/// Services that may not be looked at are not ours: only administrators ask, and ours let them.
pub(crate) fn installed() -> io::Result<Vec<(String, ServiceSettings)>> {
    let names = service_list::names()?.into_iter();
    Ok(names.filter_map(|name| settings(&name).ok().flatten().map(|settings| (name, settings))).collect())
}

/// The manager counts a service's failures, but does not tell how many there were; so the longest of its delays.
pub(crate) fn restart_delay(name: &str) -> io::Result<Option<Duration>> {
    let service = open(name, ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG)?;
    let status = service.query_status().map_err(|error| about(name, "failed to ask for", error))?;
    if status.current_state != ScmState::Stopped || !service_program::is_restarted(exit_codes(&service)?.0) {
        return Ok(None);
    }
    // A system that stores none, such as Wine, starts nothing again.
    let actions = service.get_failure_actions().ok().and_then(|failure| failure.actions);
    let restarts = actions.into_iter().flatten().filter(|action| action.action_type == ServiceActionType::Restart);
    Ok(restarts.map(|action| action.delay).max())
}

/// Both as the service has given them: the library shows one of them only.
fn exit_codes(service: &Handle) -> io::Result<(u32, u32)> {
    let mut status = SERVICE_STATUS::default();
    // SAFETY: the handle is open as long as `service`, and the status is writable.
    let told = unsafe { QueryServiceStatus(service.raw_handle(), &mut status) };
    if told == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((status.dwWin32ExitCode, status.dwServiceSpecificExitCode))
}

fn manager(access: ServiceManagerAccess) -> io::Result<ServiceManager> {
    ServiceManager::local_computer(None::<&str>, access)
        .map_err(|error| context(plain(error), "failed to reach the service control manager"))
}

fn open(name: &str, access: ServiceAccess) -> io::Result<Handle> {
    manager(ServiceManagerAccess::CONNECT)?.open_service(name, access).map_err(|error| {
        let error = plain(error);
        match error.raw_os_error().map(i32::cast_unsigned) {
            Some(ERROR_SERVICE_DOES_NOT_EXIST) => {
                io::Error::new(io::ErrorKind::NotFound, format!("there is no service {name}"))
            }
            _ => context(error, format_args!("failed to open service {name}")),
        }
    })
}

/// The system's own error, which says more than the library's text.
pub(super) fn plain(error: windows_service::Error) -> io::Error {
    match error {
        windows_service::Error::Winapi(error) => error,
        other => io::Error::other(other),
    }
}

fn about(name: &str, what: &str, error: windows_service::Error) -> io::Error {
    context(plain(error), format_args!("{what} service {name}"))
}
