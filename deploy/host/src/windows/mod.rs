//! Windows' half of the seam; `lib.rs` lists what it must hold.

pub(crate) mod access;
mod account;
pub(crate) mod certificate_store;
mod child;
mod clock;
mod command_line;
pub(crate) mod console;
mod defender;
pub(crate) mod directories;
mod event_log;
mod file;
mod firewall;
mod logon;
mod logon_right;
pub(crate) mod machine;
mod ownership;
mod pipe;
pub(crate) mod port;
mod registry;
mod remembered;
mod security;
mod server;
pub(crate) mod service;
mod service_list;
mod service_program;
mod signal;

use std::io;
use std::os::windows::io::{AsRawHandle, AsRawSocket, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::time::Duration;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::Networking::WinSock::{
    SO_EXCLUSIVEADDRUSE, SOCKET_ERROR, SOL_SOCKET, WSAEAFNOSUPPORT, WSAEMFILE, WSAENOBUFS, setsockopt,
};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{GetProcessTimes, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION};

pub(crate) use child::{Process, spawn};
pub(crate) use file::{
    FileIdentity, create_private, create_temporary, directory_within, expel, file_identity, is_at, is_same, open_within,
};
pub(crate) use pipe::{
    Listener, Reader, Stream, Writer, client_process, connect, halves, join_halves, local_endpoint, poll_room,
    server_process, try_write,
};
pub(crate) use security::{trust, trusted};
pub(crate) use server::{check_client, check_server};
pub(crate) use signal::Signals;

/// A service binds its listeners itself.
pub(crate) fn given_listeners() -> Vec<std::net::TcpListener> {
    Vec::new()
}

/// Where the completion of a poll has to be fetched by the thread that asked for it, as in Wine, few
/// threads fall behind: with two the flood of docs/benchmarks.md starves there, with eight it does not.
/// Elsewhere the additional ones sleep.
pub(crate) const LEAST_IO_THREADS: usize = 8;

/// For ever, as good as: where threads come and go, the proxy's memory grows under Wine with each attack on files, and levels
/// off where they stay. Probably mimalloc does not learn of a thread's end in this build.
pub(crate) const DISK_THREAD_IDLE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(crate) const PROGRAM_SUFFIX: &str = ".exe";
pub(crate) const VENV_PYTHON: &str = r"Scripts\python.exe";
pub(crate) const CONDA_PYTHON: &str = "python.exe";
pub(crate) const PYTHON_NAMES: &[&str] = &["python.exe", "python3.exe"];
pub(crate) const WORKER_LIBRARY_NAMES: &[&str] = &["tidegate_worker.dll", "tidegate_worker.pyd"];

/// SOMAXCONN_HINT(65535): Windows caps a plain number at about 200, a negated one it takes.
pub(crate) const TCP_BACKLOG: i32 = -65535;
pub(crate) const NO_ADDRESS_FAMILY: i32 = WSAEAFNOSUPPORT;

/// Without it another process could bind the same port with SO_REUSEADDR and take the connections.
pub(crate) fn prepare_tcp(socket: &socket2::Socket) -> io::Result<()> {
    let on: i32 = 1;
    let raw = usize::try_from(socket.as_raw_socket()).map_err(io::Error::other)?;
    // SAFETY: the socket is open, and the option's value is an int of the size given.
    let result =
        unsafe { setsockopt(raw, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (&raw const on).cast(), size_of::<i32>() as i32) };
    if result == SOCKET_ERROR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(crate) fn pause_accepting(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(WSAEMFILE | WSAENOBUFS))
}

/// The Store's placeholder for Python is an empty file; starting it opens the Store.
pub(crate) fn is_program(path: &Path) -> bool {
    path.extension().is_some() && path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
}

/// The process, to ask it for figures.
fn open_process(pid: u32) -> Option<OwnedHandle> {
    // SAFETY: no memory preconditions.
    let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    // SAFETY: just opened, and ours alone.
    (!process.is_null()).then(|| unsafe { OwnedHandle::from_raw_handle(process) })
}

pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    let process = open_process(pid)?;
    let [mut created, mut exited, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: the handle is open, and all four times are writable.
    let known =
        unsafe { GetProcessTimes(process.as_raw_handle(), &mut created, &mut exited, &mut kernel, &mut user) } != 0;
    // In units of 100 ns.
    let units = |time: FILETIME| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    known.then(|| Duration::from_micros((units(kernel) + units(user)) / 10))
}

pub(crate) fn resident_memory(pid: u32) -> Option<u64> {
    let process = open_process(pid)?;
    let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    let mut counters = PROCESS_MEMORY_COUNTERS { cb: size, ..Default::default() };
    // SAFETY: the handle is open, and `counters` has the size given.
    let known = unsafe { K32GetProcessMemoryInfo(process.as_raw_handle(), &mut counters, size) } != 0;
    known.then_some(counters.WorkingSetSize as u64)
}

/// Handles have no limit that a process could raise.
pub(crate) fn raise_file_limit() -> io::Result<u64> {
    Ok(u64::MAX)
}

/// Pipes have a namespace of their own; nothing is put here.
pub(crate) fn runtime_dir(_instance: &str) -> PathBuf {
    std::env::temp_dir()
}

/// The parent's job object does it.
pub(crate) fn kill_own_group() {}
