//! Linux's half of the seam; `lib.rs` lists what it must hold.

pub(crate) mod access;
pub(crate) mod certificate_store;
mod child;
pub(crate) mod console;
pub(crate) mod directories;
mod file;
mod given;
mod guard;
pub(crate) mod machine;
mod place;
pub(crate) mod port;
pub(crate) mod service;
mod signal;
mod socket;
mod systemctl;
mod trust;
mod unit;
mod writable;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use child::{Process, spawn};
pub(crate) use file::{
    FileIdentity, create_private, create_temporary, directory_within, expel, file_identity, is_at, is_same, open_within,
};
pub(crate) use given::given_listeners;
pub(crate) use signal::Signals;
pub(crate) use socket::{
    Listener, Reader, Stream, Writer, check_client, check_server, client_process, connect, halves, join_halves,
    local_endpoint, poll_room, server_process, try_write,
};
pub(crate) use trust::{trust, trusted};

/// One thread for each core is enough.
pub(crate) const LEAST_IO_THREADS: usize = 1;

/// After a crowd they go, and the memory that they keep with them.
pub(crate) const DISK_THREAD_IDLE: Duration = Duration::from_secs(1);

pub(crate) const PROGRAM_SUFFIX: &str = "";
pub(crate) const VENV_PYTHON: &str = "bin/python";
pub(crate) const CONDA_PYTHON: &str = "bin/python";
pub(crate) const PYTHON_NAMES: &[&str] = &["python3", "python"];
pub(crate) const WORKER_LIBRARY_NAMES: &[&str] = &["libtidegate_worker.so", "tidegate_worker.abi3.so"];

/// The kernel lowers it to net.core.somaxconn.
pub(crate) const TCP_BACKLOG: i32 = 65535;
pub(crate) const NO_ADDRESS_FAMILY: i32 = libc::EAFNOSUPPORT;

/// Lets a restart bind while connections of the previous process are in TIME_WAIT. On Linux this
/// does not let two listeners share an address.
pub(crate) fn prepare_tcp(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

pub(crate) fn pause_accepting(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

pub(crate) fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

pub(crate) fn resident_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    let ticks = cpu_ticks(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    // SAFETY: sysconf has no preconditions.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok().filter(|&ticks| ticks > 0)?;
    Some(Duration::from_millis(ticks.saturating_mul(1000) / per_second))
}

/// The process that started this one, or has taken it over.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok().filter(|&parent| parent != 0)
}

/// The 14th and 15th field: ticks in user and in system mode. The second field is the program's name in
/// parentheses, which may hold anything, so they are counted from its end.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(ticks()? + ticks()?)
}

pub(crate) fn raise_file_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: as above; the call only reads it.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(limit.rlim_cur)
}

pub(crate) fn runtime_dir(instance: &str) -> PathBuf {
    // SAFETY: geteuid has no preconditions and cannot fail.
    let uid = unsafe { libc::geteuid() };
    if uid == 0 {
        return Path::new(unit::RUN).join(unit::runtime_directory(instance));
    }
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        // What a unit says: the system's, where several accounts meet.
        Some(dir) if dir == Path::new(unit::RUN) => dir.join(unit::runtime_directory(instance)),
        Some(dir) if dir.is_absolute() => dir.join("tidegate"),
        _ => PathBuf::from(format!("/tmp/tidegate-{uid}")),
    }
}

pub(crate) fn kill_own_group() {
    // SAFETY: none of the calls has memory preconditions; group 0 is the caller's own.
    unsafe {
        // Otherwise the group is that of whoever started us by hand.
        if libc::getpgrp() == libc::getpid() {
            libc::kill(0, libc::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::cpu_ticks;

    #[test]
    fn processor_time_is_found_whatever_the_program_is_called() {
        let rest = "S 1 42 42 0 -1 4194304 100 0 0 0 17 5 0 0 20 0 4 0 100";
        for name in ["python", "a) b", "(", "x 1 2 3)"] {
            assert_eq!(cpu_ticks(&format!("42 ({name}) {rest}")), Some(22), "{name}");
        }
        for stat in ["", "42 (python", "42 (python) S 1"] {
            assert_eq!(cpu_ticks(stat), None, "{stat}");
        }
    }
}
