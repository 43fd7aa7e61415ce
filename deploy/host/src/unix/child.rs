//! Children: each leads its own process group, dies with the process that started it, and takes its
//! group along.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use super::guard::Guard;
use crate::child::Started;
use crate::{Exit, Spawn};

/// A child that leads a process group of its own number.
#[derive(Debug)]
pub(crate) struct Process {
    pid: libc::pid_t,
    guard: Guard,
    /// From then on the number may mean another process.
    reaped: Mutex<bool>,
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Blocks until the child ends, kills what is left of its group, and collects its status.
    pub(crate) fn wait(&self) -> io::Result<Exit> {
        retry(|| {
            let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
            // SAFETY: `info` is writable and large enough. WNOWAIT leaves the zombie in place, so the
            // number keeps its meaning until it is reaped below, under the lock.
            unsafe { libc::waitid(libc::P_PID, self.id(), info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT) }
        })?;
        let mut reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        kill_group(self.pid)?;
        let mut status = 0;
        // SAFETY: `status` is writable; the child is ours and not yet reaped.
        retry(|| unsafe { libc::waitpid(self.pid, &mut status, 0) })?;
        *reaped = true;
        drop(reaped);
        self.guard.reap();
        let status = ExitStatus::from_raw(status);
        Ok(Exit { code: status.code(), signal: status.signal() })
    }

    /// Whether a process is the child, of its group, or a descendant that has left the group.
    pub(crate) fn contains(&self, pid: u32) -> bool {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(process) = libc::pid_t::try_from(pid) else { return false };
        // SAFETY: no memory preconditions; of a process that is not there it is -1.
        !*reaped && (unsafe { libc::getpgid(process) } == self.pid || self.is_ancestor_of(pid))
    }

    fn is_ancestor_of(&self, pid: u32) -> bool {
        // More generations than any tree of processes has; the kernel's own end it much earlier.
        std::iter::successors(Some(pid), |&pid| super::parent(pid)).take(64).any(|pid| pid == self.id())
    }

    pub(crate) fn kill(&self) -> io::Result<()> {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *reaped { Ok(()) } else { kill_group(self.pid) }
    }
}

fn kill_group(group: libc::pid_t) -> io::Result<()> {
    // SAFETY: kill has no memory preconditions; the caller knows that the group is still the child's.
    if unsafe { libc::kill(-group, libc::SIGKILL) } == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        error => Err(error),
    }
}

/// Calls until the result is not EINTR.
pub(super) fn retry(mut call: impl FnMut() -> libc::c_int) -> io::Result<libc::c_int> {
    loop {
        let result = call();
        if result >= 0 {
            return Ok(result);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

pub(crate) fn spawn(spawn: &Spawn) -> io::Result<Started> {
    let mut command = command(spawn);
    let (answer, answered) = channel();
    on_spawner(Box::new(move || {
        // Whoever asked is waiting below; if it has gone all the same, `Started` kills on drop.
        let _ = answer.send(start(&mut command));
    }))?;
    answered.recv().map_err(|_| io::Error::other("the spawning thread is gone"))?
}

fn command(spawn: &Spawn) -> Command {
    let mut command = spawn.command();
    // Signals of the terminal go to its foreground group, which this takes the child out of.
    command.process_group(0);
    let memory = spawn.memory_limit.map(|limit| libc::rlimit {
        rlim_cur: limit.bytes.saturating_add(limit.stacks),
        rlim_max: limit.bytes.saturating_add(limit.stacks),
    });
    let parent = std::process::id();
    let die_with_parent = move || {
        // SAFETY: the calls are plain system calls, and `memory` is a valid rlimit.
        unsafe {
            if let Some(limit) = &memory
                && libc::setrlimit(libc::RLIMIT_DATA, limit) != 0
            {
                return Err(io::Error::last_os_error());
            }
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the request was in place.
            if libc::getppid().unsigned_abs() != parent {
                libc::_exit(1);
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are made, and nothing is allocated.
    unsafe { command.pre_exec(die_with_parent) };
    command
}

fn start(command: &mut Command) -> io::Result<Started> {
    let mut child = command.spawn()?;
    let pid = child.id().cast_signed();
    let guard = match Guard::start(pid) {
        Ok(guard) => guard,
        Err(error) => {
            let _ = kill_group(pid);
            let _ = child.wait();
            return Err(error);
        }
    };
    Ok(Started {
        process: Process { pid, guard, reaped: Mutex::new(false) },
        stdin: child.stdin.take(),
        stdout: child.stdout.take(),
        stderr: child.stderr.take(),
    })
}

type Job = Box<dyn FnOnce() + Send>;

/// Runs `job` on the one thread that starts all children. PR_SET_PDEATHSIG fires when the *thread*
/// that forked ends, so that thread must live as long as the process.
fn on_spawner(job: Job) -> io::Result<()> {
    static SPAWNER: OnceLock<Mutex<Option<Sender<Job>>>> = OnceLock::new();
    let mut spawner = SPAWNER.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let sender = match &*spawner {
        Some(sender) => sender,
        None => {
            let (sender, jobs) = channel::<Job>();
            thread::Builder::new().name("spawner".into()).spawn(move || jobs.into_iter().for_each(|job| job()))?;
            spawner.insert(sender)
        }
    };
    sender.send(job).map_err(|_| io::Error::other("the spawning thread is gone"))
}
