//! systemd, from both sides: a program says how far it is (sd_notify(3)), and a command writes units and drives
//! them with systemctl.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::access;
use super::systemctl::{run_for_output, run_quietly, systemctl};
use super::unit::{self, Kind};
use super::writable;
use crate::context;
use crate::event::Event;
use crate::password::Password;
use crate::service::{
    Installed, Obstacle, Progress, Service, ServiceAccount, ServiceSettings, ServiceState, StartType,
};

/// Where an administrator's units are.
const UNITS: &str = "/etc/systemd/system";
/// Names of services that an upgrade has stopped; gone with the next start of the system, which starts them anyway. Not in
/// a directory of the services' account, whose list would be obeyed by root.
const REMEMBERED: &str = "/run/tidegate.stopped";
/// The account of the app server, and so of the apps, unless another is named; that of every service in older versions.
const ACCOUNT: &str = "tidegate";
/// The proxy's: apps have no business with its keys.
const PROXY_ACCOUNT: &str = "tidegate-proxy";
/// How the names of services end that are proxies.
const PROXY: &str = "-proxy";

type Program = Box<dyn FnOnce() -> u8 + Send>;

pub(crate) fn name(set: &str, part: &str) -> String {
    format!("{}-{part}", set.to_lowercase())
}

/// Every set of services has the same two.
pub(crate) fn own_account(_name: &str) -> Option<String> {
    None
}

pub(crate) fn usual_account(name: &str) -> String {
    if name.ends_with(PROXY) { PROXY_ACCOUNT } else { ACCOUNT }.to_owned()
}

/// A proxy that a version installed which knew one account only. Whoever chooses that for both now has another unit.
pub(crate) fn has_outgrown_account(name: &str) -> bool {
    let path = unit::path(Path::new(UNITS), &unit::unit(name, Kind::Service));
    let text = fs::read_to_string(path).unwrap_or_default();
    name.ends_with(PROXY) && unit::makes_directory(&text) && text.lines().any(|line| line == format!("User={ACCOUNT}"))
}

/// systemd starts a service like any other process.
pub(crate) fn run(_name: &str, program: Program) -> io::Result<u8> {
    Ok(program())
}

/// systemd keeps it in the journal.
pub(crate) fn stderr_leads_nowhere() -> bool {
    false
}

pub(crate) fn journal_command(names: &[String]) -> Option<(&'static str, Vec<String>)> {
    let units = names.iter().map(|name| format!("--unit={name}"));
    Some(("journalctl", units.chain(["--output=cat".into(), "--no-pager".into()]).collect()))
}

/// The journal has what goes to standard error.
pub(crate) fn report_event(_event: Event, _text: &str) {}

pub(crate) fn tell(progress: Progress) {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let message: &[u8] = match progress {
        Progress::Serving | Progress::Apart => b"READY=1",
        Progress::Stopping => b"STOPPING=1",
    };
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        path => SocketAddr::from_pathname(Path::new(std::ffi::OsStr::from_bytes(path))),
    };
    // A manager that does not listen ends the service by its own start timeout, and says so.
    let _ = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(message, &address));
}

/// Any user; whether there is one is seen at the installation.
pub(crate) fn check_account(account: &str) -> Result<ServiceAccount, String> {
    Ok(ServiceAccount { name: account.to_owned(), has_password: false })
}

/// Root starts services as whom it likes.
pub(crate) fn try_logon(_account: &str, _password: &Password) -> io::Result<Installed> {
    Ok(Installed::default())
}

/// All is said by the kind of an error.
pub(crate) fn obstacle(_error: &io::Error) -> Option<Obstacle> {
    None
}

pub(crate) fn install(services: &[Service], files_only: Option<&Path>, installed: &mut Installed) -> io::Result<()> {
    let directory = files_only.unwrap_or(Path::new(UNITS));
    // One that somebody has disabled stays so.
    let mut left = Vec::new();
    if files_only.is_none() {
        for service in services.iter().filter(|service| service.start.is_none()) {
            if settings(&service.name)?.is_some_and(|settings| settings.start != StartType::Automatic) {
                left.push(&service.name);
            }
        }
    }
    if files_only.is_none() {
        for service in services {
            let account = account_of(service);
            if make_account(account)? {
                installed.done.push(format!("account {account}"));
            }
        }
        writable::prepare(services, installed)?;
    }
    for service in services {
        let account = account_of(service);
        let path = unit::path(directory, &unit::unit(&service.name, Kind::Service));
        let host = service.other_account.as_deref().filter(|_| service.after.is_some());
        // A package's units may be written where the account is not known; its group has its name by default.
        let group = host.map(|host| access::own_group(host).unwrap_or_else(|_| host.to_owned()));
        write(&path, &unit::service(service, account, group.as_deref()))?;
        installed.done.push(format!("unit {}, as {account}", path.display()));
        prepare_socket(directory, service, installed)?;
        let set: Vec<&Service> = services.iter().filter(|other| other.set == service.set).collect();
        write(&unit::path(directory, &unit::target(&service.set)), &unit::set(&set))?;
    }
    if files_only.is_none() {
        systemctl(&["daemon-reload"])?;
        for service in services {
            if left.contains(&&service.name) {
                installed.done.push(format!("{} does not start with the system, as before", service.name));
                continue;
            }
            systemctl(&["enable", "--quiet", &service.name])?;
            if let Some(socket) = socket_of(&service.name) {
                systemctl(&["enable", "--quiet", &socket])?;
            }
        }
    }
    Ok(())
}

/// The unit of the service's listeners, written or, if it has none any more, removed.
fn prepare_socket(directory: &Path, service: &Service, installed: &mut Installed) -> io::Result<()> {
    let path = unit::path(directory, &unit::unit(&service.name, Kind::Socket));
    let before = fs::read_to_string(&path).ok();
    let text = unit::socket(service);
    if let Some(text) = &text {
        write(&path, text)?;
        installed.done.push(format!("unit {}", path.display()));
    } else if before.is_some() {
        fs::remove_file(&path)?;
    }
    if before.is_some() && before != text {
        let name = &service.name;
        installed.warnings.push(format!(
            "the listeners of {name} have changed: systemd holds the old ones until `tidegate service stop` and `start`"
        ));
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text).map_err(|error| {
        let error = context(error, format_args!("failed to write {}", path.display()));
        if error.kind() == io::ErrorKind::PermissionDenied {
            context(error, "services are the administrator's: run this as root")
        } else {
            error
        }
    })
}

/// The socket unit of a service, if it has one.
fn socket_of(name: &str) -> Option<String> {
    let socket = unit::unit(name, Kind::Socket);
    unit::path(Path::new(UNITS), &socket).exists().then_some(socket)
}

/// The account that it is to have.
pub(super) fn account_of(service: &Service) -> &str {
    service.account.as_deref().unwrap_or(ACCOUNT)
}

/// Makes the account if it is a usual one and missing.
pub(crate) fn make_account(account: &str) -> io::Result<bool> {
    if run_quietly(Command::new("id").arg(account)).is_ok() {
        return Ok(false);
    }
    if ![ACCOUNT, PROXY_ACCOUNT].contains(&account) {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no account {account}")));
    }
    let mut make = Command::new("useradd");
    make.args(["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]);
    make.args(["--shell", "/usr/sbin/nologin", account]);
    run_quietly(&mut make)?;
    Ok(true)
}

pub(crate) fn remove(name: &str) -> io::Result<()> {
    let path = unit::path(Path::new(UNITS), &unit::unit(name, Kind::Service));
    let text = fs::read_to_string(&path)
        .map_err(|error| context(error, format_args!("failed to read the unit {}", path.display())))?;
    let mut gone = vec![unit::unit(name, Kind::Service)];
    gone.extend(socket_of(name));
    for unit in &gone {
        systemctl(&["disable", "--quiet", unit])?;
    }
    gone.extend(target_without_services(&text, &gone[0]));
    for unit in gone {
        let path = unit::path(Path::new(UNITS), &unit);
        fs::remove_file(&path).map_err(|error| context(error, format_args!("failed to remove {}", path.display())))?;
    }
    systemctl(&["daemon-reload"])
}

/// The target of a service's set, if that service is the last of it.
fn target_without_services(service: &str, name: &str) -> Option<String> {
    let target = service.lines().find_map(|line| line.strip_prefix("PartOf="))?;
    let text = fs::read_to_string(unit::path(Path::new(UNITS), target)).ok()?;
    let mut wanted = text.lines().find_map(|line| line.strip_prefix("Wants="))?.split(' ');
    let others_left = wanted.any(|other| other != name && unit::path(Path::new(UNITS), other).exists());
    (!others_left).then(|| target.to_owned())
}

/// The socket first: whether it can listen is known at once.
pub(crate) fn start(name: &str) -> io::Result<()> {
    if let Some(socket) = socket_of(name) {
        systemctl(&["start", &socket])?;
    }
    systemctl(&["start", "--no-block", name])
}

/// Nothing but its own unit says what a service is started with.
pub(crate) fn start_with(_name: &str, _arguments: &[String]) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "systemd passes no arguments on to a service"))
}

pub(crate) fn start_arguments() -> Vec<String> {
    Vec::new()
}

/// With its socket, or the next client would start it again.
pub(crate) fn stop(name: &str) -> io::Result<()> {
    let service = unit::unit(name, Kind::Service);
    match socket_of(name) {
        Some(socket) => systemctl(&["stop", "--no-block", &socket, &service]),
        None => systemctl(&["stop", "--no-block", &service]),
    }
}

pub(crate) fn restart(set: &str) -> io::Result<bool> {
    systemctl(&["restart", &unit::target(set)])?;
    Ok(true)
}

/// A service that waits to be started again is starting, for systemd, and a stop cancels that.
pub(crate) fn restart_delay(_name: &str) -> io::Result<Option<Duration>> {
    Ok(None)
}

pub(crate) fn reload(name: &str) -> io::Result<()> {
    systemctl(&["reload", name])
}

pub(crate) fn state(name: &str) -> io::Result<ServiceState> {
    let mut ask = Command::new("systemctl");
    ask.args(["show", "--property=LoadState,ActiveState,MainPID,ExecMainStatus", name]);
    Ok(parse_state(&run_for_output(&mut ask)?))
}

pub(crate) fn settings(name: &str) -> io::Result<Option<ServiceSettings>> {
    let mut ask = Command::new("systemctl");
    ask.args(["show", "--property=LoadState,User,UnitFileState,ExecStart", name]);
    Ok(parse_settings(&run_for_output(&mut ask)?))
}

fn parse_settings(shown: &str) -> Option<ServiceSettings> {
    let value = |key: &str| shown.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    if value("LoadState") == Some("not-found") {
        return None;
    }
    let account = value("User").filter(|user| !user.is_empty()).unwrap_or("root").to_owned();
    let start = match value("UnitFileState").unwrap_or_default() {
        "enabled" | "enabled-runtime" | "linked" | "alias" | "generated" => StartType::Automatic,
        "masked" | "masked-runtime" => StartType::Disabled,
        _ => StartType::Manual,
    };
    // `{ path=/usr/bin/x ; argv[]=/usr/bin/x --config /srv/a b.yaml ; ... }`: the words are not quoted, but ours are options
    // with one value each.
    let command = value("ExecStart").unwrap_or_default();
    let command = command.split_once("argv[]=").map_or(command, |(_, rest)| rest);
    let command = command.split_once(" ; ").map_or(command, |(command, _)| command).to_owned();
    let mut words = command.split(" --");
    let program = words.next().unwrap_or_default().into();
    let arguments = words
        .flat_map(|option| match option.split_once(' ') {
            Some((name, value)) => vec![format!("--{name}"), value.to_owned()],
            None => vec![format!("--{option}")],
        })
        .collect();
    Some(ServiceSettings { account, start, command, program, arguments })
}

/// Those among the administrator's units that look like ours.
pub(crate) fn installed() -> io::Result<Vec<(String, ServiceSettings)>> {
    let Ok(entries) = fs::read_dir(UNITS) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".service")) else { continue };
        if !fs::read_to_string(&path).is_ok_and(|text| unit::runs(&text, "tidegate-")) {
            continue;
        }
        found.extend(settings(name)?.map(|settings| (name.to_owned(), settings)));
    }
    Ok(found)
}

pub(crate) fn remember(names: &[String]) -> io::Result<()> {
    if !names.is_empty() {
        return fs::write(REMEMBERED, names.join(" "));
    }
    match fs::remove_file(REMEMBERED) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

pub(crate) fn remembered() -> io::Result<Vec<String>> {
    match fs::read_to_string(REMEMBERED) {
        Ok(text) => Ok(text.split_whitespace().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn parse_state(shown: &str) -> ServiceState {
    let value =
        |key: &str| shown.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default();
    if value("LoadState") == "not-found" {
        return ServiceState::Missing;
    }
    match value("ActiveState") {
        "active" | "reloading" => ServiceState::Running { pid: value("MainPID").parse().unwrap_or_default() },
        "activating" => ServiceState::Starting,
        "deactivating" => ServiceState::Stopping,
        "failed" => ServiceState::Failed { code: value("ExecMainStatus").parse().unwrap_or_default() },
        _ => ServiceState::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_unit_is_installed_is_read() {
        let shown = "LoadState=loaded\nUser=tidegate\nUnitFileState=enabled\n\
                     ExecStart={ path=/usr/bin/x ; argv[]=/usr/bin/x --config /srv/a b.yaml --service tidegate-proxy ; ignore_errors=no ; pid=0 }";
        let expected = ServiceSettings {
            account: "tidegate".to_owned(),
            start: StartType::Automatic,
            command: "/usr/bin/x --config /srv/a b.yaml --service tidegate-proxy".to_owned(),
            program: "/usr/bin/x".into(),
            arguments: ["--config", "/srv/a b.yaml", "--service", "tidegate-proxy"].map(str::to_owned).to_vec(),
        };
        assert_eq!(parse_settings(shown), Some(expected));
        let plain = parse_settings("LoadState=loaded\nUser=\nUnitFileState=disabled\nExecStart=").unwrap();
        assert_eq!((plain.account.as_str(), plain.start), ("root", StartType::Manual));
        assert_eq!(parse_settings("LoadState=not-found\nUser="), None);
    }

    #[test]
    fn what_systemctl_shows_is_read() {
        for (shown, expected) in [
            ("LoadState=not-found\nActiveState=inactive\nMainPID=0", ServiceState::Missing),
            ("LoadState=loaded\nActiveState=inactive\nMainPID=0", ServiceState::Stopped),
            ("LoadState=loaded\nActiveState=activating\nMainPID=7", ServiceState::Starting),
            ("LoadState=loaded\nActiveState=active\nMainPID=7", ServiceState::Running { pid: 7 }),
            ("LoadState=loaded\nActiveState=deactivating\nMainPID=7", ServiceState::Stopping),
            ("LoadState=loaded\nActiveState=failed\nExecMainStatus=78", ServiceState::Failed { code: 78 }),
        ] {
            assert_eq!(parse_state(shown), expected, "{shown}");
        }
    }
}
