//! The operating system, seen through one seam: local sockets, TCP listeners, child processes,
//! stop signals, and opening files safely. Every other crate of Tidegate is written against this
//! API and has no operating-system `cfg` of its own.
//!
//! Used by every program and by the worker library. It never interprets configuration, never logs
//! and never decides what a failure means to a request.
//!
//! # What each system provides
//!
//! `unix` and `windows` hold items of the same names:
//!
//! | Item | What it is |
//! |---|---|
//! | `local_endpoint(dir, name)` | where a local socket of that name lives |
//! | `Listener::{bind, accept, is_in_place}`, `Stream`, `connect` | Unix sockets, named pipes |
//! | `Reader`, `Writer`, `halves`, `join_halves`, `try_write`, `poll_room` | the halves of one, of which any thread may write |
//! | `client_process`, `server_process`, `check_client`, `check_server` | who is at the other end of one |
//! | `prepare_tcp`, `TCP_BACKLOG`, `NO_ADDRESS_FAMILY` | options of a TCP listener before it is bound |
//! | `port::listening(is_wanted)`, `port::REFUSED` | the process that listens on an address, and what to say of a port that may not be bound |
//! | `given_listeners()` | listeners that were open before this process started |
//! | `pause_accepting(error)` | whether an accept error passes by waiting |
//! | `Signals::{install, next}` | requests to stop or reload |
//! | `spawn(&Spawn)`, `Process::{id, wait, kill, contains}` | a child and everything that it starts |
//! | `kill_own_group` | ends this process and its children |
//! | `open_within`, `directory_within`, `file_identity`, `is_at`, `is_same`, `expel`, `create_private`, `create_temporary` | files |
//! | `certificate_store::{AVAILABLE, list, open, import, grant_key, may_use_key, Key}` | the certificate store of Windows |
//! | `access::{describe, protect, take, is_handed_over, ids, is_system, is_own_administrator, is_everybody, is_administrative, is_ordinary, is_owners_own_group, way}` | who may use a file |
//! | `directories::{is_shared, is_home, is_below_shared_data}` | directories that are no program's own |
//! | `resident_memory`, `cpu_time`, `raise_file_limit`, `runtime_dir` | figures and places |
//! | `service::{install, remove, start, start_with, stop, restart, reload, state, settings, installed, remember, remembered, restart_delay, obstacle, check_account, try_logon, has_outgrown_account, make_account, journal_command}` | services, for the command |
//! | `service::{run, start_arguments, tell, name, own_account, stderr_leads_nowhere, report_event}` | services, for a program that runs as one |
//! | `machine::{own_account, is_administrator, free_space, file_limit, excluded_ports, code_page, clock, firewall, defender, command_as, may_use, may_pass, protect_command, grant_command}` | what `tidegate doctor` asks |
//! | `console::Quiet` | a console that does not show what is typed |
//! | `trust`, `trusted` | accounts that may be at the other end of our local sockets |
//! | `DISK_THREAD_IDLE` | how long a thread without work stays |
//! | `LEAST_IO_THREADS` | threads that wait for sockets, at least |
//! | `is_program`, `PROGRAM_SUFFIX`, `PYTHON_NAMES`, `VENV_PYTHON`, `WORKER_LIBRARY_NAMES` | names |

pub mod access;
pub mod certificate_store;
mod child;
mod console;
mod directories;
mod endpoint;
mod event;
pub mod file;
mod given;
mod halves;
mod local;
pub mod machine;
mod password;
mod program;
#[cfg(any(windows, test))]
mod requests;
#[cfg(any(windows, test))]
mod sddl;
mod service;
#[cfg(any(windows, test))]
mod service_rules;
mod signal;
mod spawn;
mod stop_limit;
mod tcp;
mod writers;

#[cfg(unix)]
#[path = "unix/mod.rs"]
mod sys;
#[cfg(windows)]
#[path = "windows/mod.rs"]
mod sys;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use child::{Child, ChildOutput, Exit, is_of_child};
pub use console::Quiet;
pub use directories::{is_below_shared_data, shared_directory};
pub use endpoint::{Endpoint, EndpointError};
pub use event::Event;
pub use file::write_private;
pub use given::{given_in_vain, given_listener};
pub use halves::{LocalReader, LocalWriter};
pub use local::{Audience, LocalListener, LocalStream, connect, connect_to_server};
pub use password::Password;
pub use program::{
    beside_executable, environment_pythons, find_program, is_same_path, program_name, python_names, venv_python,
    worker_library_names,
};
pub use service::{
    Installed, NotInstalled, Obstacle, Progress, Service, ServiceAccount, ServiceSettings, ServiceState, Start,
    StartType, check_service_account, has_outgrown_account, install_services, journal_command, make_service_account,
    obstacle, prepare_service_account, reload_service, remember_services, remembered_services, remove_service,
    report_event, restart_delay, restart_services, run_as_service, service_account, service_name, service_settings,
    service_state, services_of, start_arguments, start_service, start_service_with, stderr_leads_nowhere, stop_service,
    tell_service_manager, usual_service_account,
};
pub use signal::{Signal, Signals, stdin_end};
pub use spawn::{MemoryLimit, Output, Spawn, Stdin};
pub use stop_limit::{beyond_stop_limit, set_stop_limit};
pub use tcp::listen_tcp;
pub use writers::{By, Writer, writers};

/// How many threads a server should wait for sockets with: the cores, and on some systems more.
pub fn io_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.max(sys::LEAST_IO_THREADS)
}

/// How long a thread that waits for disks stays without work.
pub fn disk_thread_idle() -> Duration {
    sys::DISK_THREAD_IDLE
}

/// Lets other accounts (names, or identifiers of the system's) connect to this process's local sockets, beside its own
/// and the system's; on Unix also serve those that this process connects to. Counts once, before the first of them listens.
pub fn trust_accounts(accounts: &[String]) -> io::Result<()> {
    sys::trust(accounts)
}

/// The identifiers of the accounts told to [`trust_accounts`].
pub fn trusted_accounts() -> Vec<String> {
    sys::trusted()
}

/// Bytes of memory a process holds in RAM, if it exists and may be asked.
pub fn resident_memory(pid: u32) -> Option<u64> {
    sys::resident_memory(pid)
}

/// Processor time that a process has used since its start, if it exists and may be asked.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    sys::cpu_time(pid)
}

/// Raises this process's limit of open files to the most it may have and returns that;
/// `u64::MAX` where there is no such limit.
pub fn raise_file_limit() -> io::Result<u64> {
    sys::raise_file_limit()
}

/// The directory for local sockets when the site file names none. The system's services have one for each site, because each may have
/// an account of its own.
pub fn runtime_dir(instance: &str) -> PathBuf {
    sys::runtime_dir(instance)
}

/// Kills this process and what it started, at once. For a child of [`Spawn`] that finds itself
/// abandoned. Returns without doing anything where a job object sees to it (Windows), and in a
/// process that [`Spawn`] did not start.
pub fn kill_own_group() {
    sys::kill_own_group();
}

/// The same error, saying what failed.
fn context(error: io::Error, what: impl std::fmt::Display) -> io::Error {
    io::Error::new(error.kind(), Context { what: what.to_string(), error })
}

/// What failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {error}")]
struct Context {
    what: String,
    error: io::Error,
}

/// The system's number of an error, whatever was said about it on its way.
#[cfg(any(windows, test))]
fn system_code(error: &io::Error) -> Option<i32> {
    let within = || error.get_ref()?.downcast_ref::<Context>().and_then(|context| system_code(&context.error));
    error.raw_os_error().or_else(within)
}
