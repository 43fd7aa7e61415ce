//! A guard for each child's process group. PR_SET_PDEATHSIG reaches the child itself and not what it
//! started; when this process is killed there is nobody left to signal the group. So a second, tiny
//! process joins the group and waits for the end of a pipe (the lifeline) that only this process can
//! write to; it then kills the group, itself included.
//!
//! Processes that leave the group (`setsid`) escape it.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use super::child::retry;

#[derive(Debug)]
pub(super) struct Guard {
    pid: libc::pid_t,
    /// Its closing, whatever the reason, is the signal.
    lifeline: Mutex<Option<OwnedFd>>,
}

impl Guard {
    /// Called on the spawning thread, for the group of a child that has not been reaped.
    pub(super) fn start(group: libc::pid_t) -> io::Result<Self> {
        let (read, write) = pipe()?;
        // SAFETY: the new process has one thread and makes async-signal-safe calls only, in `guard`.
        let pid = retry(|| match unsafe { libc::fork() } {
            0 => guard(group, read.as_raw_fd()),
            pid => pid,
        })?;
        let started = Self { pid, lifeline: Mutex::new(Some(write)) };
        // Here as well as there, so that it has happened when this returns.
        // SAFETY: no memory preconditions; the guard is our child and cannot have called exec.
        if unsafe { libc::setpgid(pid, group) } != 0 {
            let error = io::Error::last_os_error();
            started.reap();
            return Err(error);
        }
        Ok(started)
    }

    /// Ends and collects the guard.
    pub(super) fn reap(&self) {
        let lifeline = self.lifeline.lock().unwrap_or_else(PoisonError::into_inner).take();
        if lifeline.is_some() {
            // SAFETY: no memory preconditions; the guard is our child and not yet reaped.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            // SAFETY: a null status pointer is allowed.
            let _ = retry(|| unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) });
        }
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends: [RawFd; 2] = [-1; 2];
    // SAFETY: the array has room for the two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both were just opened and belong to nobody else.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// The guard's whole life, in the forked process. Allocates nothing and takes no lock: other threads
/// may have held them at the fork.
fn guard(group: libc::pid_t, lifeline: RawFd) -> ! {
    // SAFETY: only async-signal-safe calls, on descriptors and on memory of this stack.
    unsafe {
        let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
        libc::setpgid(0, group);
        libc::prctl(libc::PR_SET_NAME, c"tidegate-guard".as_ptr());
        close_all_but(lifeline);
        let mut byte = 0_u8;
        while libc::read(lifeline, (&raw mut byte).cast(), 1) < 0 && *libc::__errno_location() == libc::EINTR {}
        // Should the group not have been joined, group 0 would be the parent's.
        if libc::getpgrp() == group {
            libc::kill(0, libc::SIGKILL);
        }
        libc::_exit(0)
    }
}

/// The forked process has every descriptor of its parent: listeners, connections, and above all the
/// writing ends of lifelines.
///
/// # Safety
/// Nothing in this process may use a descriptor other than `kept` afterwards.
unsafe fn close_all_but(kept: RawFd) {
    // SAFETY: closing numbers that are not open is harmless; the caller answers for the others.
    unsafe {
        let number = kept.unsigned_abs();
        let below = number == 0 || libc::syscall(libc::SYS_close_range, 0_u32, number - 1, 0_u32) == 0;
        let above = libc::syscall(libc::SYS_close_range, number + 1, u32::MAX, 0_u32) == 0;
        if below && above {
            return;
        }
        // Linux before 5.9.
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        for descriptor in 0..RawFd::try_from(limit.rlim_cur).unwrap_or(RawFd::MAX).min(1 << 20) {
            if descriptor != kept {
                libc::close(descriptor);
            }
        }
    }
}
