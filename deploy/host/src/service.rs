//! Services of the system: Windows services under the service control manager, systemd units on Linux.
//!
//! The command installs and drives them; the two programs run as them and say how far they are. It
//! never decides what a service runs or under whose account: callers say so.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::event::Event;
use crate::password::Password;
use crate::program::is_same_path;
use crate::sys;

/// A service as it is to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name, see [`service_name`].
    pub name: String,
    /// The set that it belongs to, whose services are restarted together.
    pub set: String,
    /// The service that starts before it and stops after it, if both do at once (Linux).
    pub after: Option<String>,
    /// One line for lists of services.
    pub title: String,
    /// What it does, for whoever finds it in such a list.
    pub description: String,
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The account it runs under; none: the one that the system provides for a service of this name.
    pub account: Option<String>,
    /// The password of that account, for the service manager to keep; none: it has none, or the one that is kept stays.
    pub password: Option<Password>,
    /// How the system starts it; none: as it does by now, a new one with the system.
    pub start: Option<Start>,
    /// How long it may take to stop.
    pub stop_timeout: Duration,
    /// The command that makes it load its configuration anew (Linux).
    pub reload: Vec<OsString>,
    /// Directories that it writes to, made and given to its account if need be. Where several accounts write, they are the last
    /// service's, and each changes its own files only (Linux).
    pub writable: Vec<PathBuf>,
    /// Directories below those that have to be there, lest another account makes them first (Linux).
    pub below: Vec<PathBuf>,
    /// Its files in directories of the last service, with those whose names go on behind (Linux).
    pub files: Vec<PathBuf>,
    /// Directories that it writes to and that are not its own: they are there, and stay as they are (Linux).
    pub writable_by_others: Vec<PathBuf>,
    /// Distinguishes the directory in which it meets the others of its site. The first service makes it (Linux).
    pub instance: String,
    /// The account of the other service of its set, if that is another: it lets that one in, or has its group (Linux).
    pub other_account: Option<String>,
    /// Whether it needs nothing of the system but its files and its listeners (Linux).
    pub confined: bool,
    /// What it listens on. The system keeps these open while the service restarts, where it can (Linux).
    pub listeners: Vec<SocketAddr>,
}

/// An account as the service manager is to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its name.
    pub name: String,
    /// Whether the manager needs its password to start a service under it.
    pub has_password: bool,
}

/// What became of an installation.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// What was written or made, for the operator.
    pub done: Vec<String>,
    /// What the system did not take, although the service works without.
    pub warnings: Vec<String>,
}

/// An installation that failed. What it had made by then is removed again; what was changed is not.
#[derive(Debug)]
pub struct NotInstalled {
    /// Why.
    pub error: io::Error,
    /// What was written or made until then, and removed again, for the operator.
    pub done: Vec<String>,
}

/// What stands in the way of something that was asked of the service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The rights of an administrator (root) are missing.
    Rights,
    /// The system has no service manager that is known.
    NoManager,
    /// There is no such service.
    NoService,
    /// Its program is not there.
    NoProgram,
    /// The account is unknown.
    NoAccount,
    /// The account may not run services, or its password is not the one that is kept.
    Logon,
    /// It is disabled.
    Disabled,
    /// It was removed, and goes when the last program that looks at it is closed.
    Leaving,
    /// Its process did not say in time that it runs.
    NoAnswer,
    /// It takes no request now.
    Busy,
    /// It runs already.
    Runs,
    /// There is a service of this name.
    Exists,
    /// Another service has its title.
    TitleTaken,
}

/// When a service starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the system.
    Automatic,
    /// Some time after it (Windows; elsewhere with it).
    Delayed,
}

/// What a service does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// It is not installed.
    Missing,
    /// It does not run.
    Stopped,
    /// It starts.
    Starting,
    /// It runs, as this process.
    Running {
        /// Its process.
        pid: u32,
    },
    /// It finishes what it has begun.
    Stopping,
    /// It ended with this code, and was not asked to.
    Failed {
        /// The exit code, as far as the system tells.
        code: u32,
    },
}

/// How the system starts a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartType {
    /// With the system.
    Automatic,
    /// When somebody asks for it.
    Manual,
    /// Never.
    Disabled,
}

/// A service as it is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSettings {
    /// The account that it runs under.
    pub account: String,
    /// How it is started.
    pub start: StartType,
    /// Its program and arguments, as the system has them.
    pub command: String,
    /// Its program.
    pub program: PathBuf,
    /// Its arguments, as the program gets them.
    pub arguments: Vec<String>,
}

/// How far a program that runs as a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It serves.
    Serving,
    /// It does what this one start was asked for, and serves nobody: no event tells of it.
    Apart,
    /// It finishes what it has begun.
    Stopping,
}

/// The name of a service: `TidegateProxy` of the set `Tidegate` on Windows, `tidegate-proxy` on Linux.
pub fn service_name(set: &str, part: &str) -> String {
    sys::service::name(set, part)
}

/// The account that the system provides for a service of this name alone, where it does.
pub fn service_account(name: &str) -> Option<String> {
    sys::service::own_account(name)
}

/// The account of a service of this name for which none is chosen.
pub fn usual_service_account(name: &str) -> String {
    sys::service::usual_account(name)
}

/// Whether a service has an account that versions before gave to every service, and nobody chose it (Linux).
pub fn has_outgrown_account(name: &str) -> bool {
    sys::service::has_outgrown_account(name)
}

/// Makes an account if it is the usual one of a service and missing (Linux). Whether it was made.
pub fn make_service_account(account: &str) -> io::Result<bool> {
    sys::service::make_account(account)
}

/// Installs services, or changes installed ones. With `files_only` nothing but their files are written, into
/// that directory, for packages (Linux).
pub fn install_services(services: &[Service], files_only: Option<&Path>) -> Result<Installed, NotInstalled> {
    let mut installed = Installed::default();
    match sys::service::install(services, files_only, &mut installed) {
        Ok(()) => Ok(installed),
        Err(error) => Err(NotInstalled { error, done: installed.done }),
    }
}

/// The account as the system is to have it, or why it cannot run a service.
pub fn check_service_account(account: &str) -> Result<ServiceAccount, String> {
    sys::service::check_account(account)
}

/// Looks whether an account with a password can log on as a service, and gives it the right to if only that is missing. A
/// wrong password and an administrator's account are errors; what the system does not tell is a warning.
pub fn prepare_service_account(account: &str, password: &Password) -> io::Result<Installed> {
    sys::service::try_logon(account, password)
}

/// What an error of these functions means, if it is one that an operator can do something about.
pub fn obstacle(error: &io::Error) -> Option<Obstacle> {
    sys::service::obstacle(error).or(match error.kind() {
        io::ErrorKind::PermissionDenied => Some(Obstacle::Rights),
        io::ErrorKind::NotFound => Some(Obstacle::NoService),
        io::ErrorKind::Unsupported => Some(Obstacle::NoManager),
        _ => None,
    })
}

/// Removes a service that does not run.
pub fn remove_service(name: &str) -> io::Result<()> {
    sys::service::remove(name)
}

/// Asks the system to start a service; it may still be starting when this returns.
pub fn start_service(name: &str) -> io::Result<()> {
    sys::service::start(name)
}

/// Starts a service for what these arguments ask of its program, this once. `Unsupported` where the service manager passes none
/// on (systemd).
pub fn start_service_with(name: &str, arguments: &[String]) -> io::Result<()> {
    sys::service::start_with(name, arguments)
}

/// What this start of a service was asked for, beside what it was installed with; nothing in any other process.
pub fn start_arguments() -> Vec<String> {
    sys::service::start_arguments()
}

/// Asks a service to stop; it may still be stopping when this returns.
pub fn stop_service(name: &str) -> io::Result<()> {
    sys::service::stop(name)
}

/// Restarts the services of a set as one, so that clients wait meanwhile; returns when they run. False where the
/// system cannot do that: then they are to be stopped and started.
pub fn restart_services(set: &str) -> io::Result<bool> {
    sys::service::restart(set)
}

/// How long the system may still wait before it starts a service again that has failed, whatever is asked of it meanwhile.
/// `None` if it leaves it at that, or a stop cancels it.
pub fn restart_delay(name: &str) -> io::Result<Option<Duration>> {
    sys::service::restart_delay(name)
}

/// Tells a service to load its configuration anew.
pub fn reload_service(name: &str) -> io::Result<()> {
    sys::service::reload(name)
}

/// What a service does.
pub fn service_state(name: &str) -> io::Result<ServiceState> {
    sys::service::state(name)
}

/// How a service is installed; `None` if it is not.
pub fn service_settings(name: &str) -> io::Result<Option<ServiceSettings>> {
    sys::service::settings(name)
}

/// Every service that runs a program in this directory, whatever its name.
pub fn services_of(directory: &Path) -> io::Result<Vec<(String, ServiceSettings)>> {
    let mut services = sys::service::installed()?;
    services.retain(|(_, settings)| settings.program.parent().is_some_and(|parent| is_same_path(parent, directory)));
    Ok(services)
}

/// Replaces the names of services that are to be started again by whoever asks for [`remembered_services`]. Names have no
/// spaces.
pub fn remember_services(names: &[String]) -> io::Result<()> {
    sys::service::remember(names).map_err(|error| crate::context(error, "failed to remember which services ran"))
}

/// What was remembered, until other names are.
pub fn remembered_services() -> io::Result<Vec<String>> {
    sys::service::remembered().map_err(|error| crate::context(error, "failed to look up which services ran"))
}

/// Runs `program` as the service `name`: its exit code becomes the service's. Fails where the system's
/// service manager did not start this process (Windows). From then on [`crate::Signals`] are what the service
/// manager asks for.
pub fn run_as_service(name: &str, program: impl FnOnce() -> u8 + Send + 'static) -> io::Result<u8> {
    sys::service::run(name, Box::new(program))
}

/// Tells the service manager, if there is one, how far this process is.
pub fn tell_service_manager(progress: Progress) {
    sys::service::tell(progress);
}

/// Whether this process is a service whose standard error nobody reads (Windows; systemd keeps it in the journal).
pub fn stderr_leads_nowhere() -> bool {
    sys::service::stderr_leads_nowhere()
}

/// The command that shows what these services have written to standard error, where the system keeps that (systemd): its
/// program and arguments, to which more of its own can be added.
pub fn journal_command(names: &[String]) -> Option<(&'static str, Vec<String>)> {
    sys::service::journal_command(names)
}

/// Tells the system's log of an event of this process, if it is a service and the system has such a log (Windows).
pub fn report_event(event: Event, text: &str) {
    sys::service::report_event(event, text);
}
