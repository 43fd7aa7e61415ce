//! Children: each is put into a job object of its own before its first instruction runs. The job
//! takes in whatever the child starts, and closing its last handle, which this process holds, ends
//! all of them; the system closes it when this process dies.

use std::io;
use std::mem::size_of;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::process::{Child, Command};
use std::ptr;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE, WAIT_OBJECT_0};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, IsProcessInJob, JOB_OBJECT_LIMIT_JOB_MEMORY,
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation,
    SetInformationJobObject, TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW, CREATE_SUSPENDED, GetExitCodeProcess, INFINITE, OpenProcess,
    OpenThread, PROCESS_QUERY_INFORMATION, ResumeThread, THREAD_SUSPEND_RESUME, WaitForSingleObject,
};

use crate::child::Started;
use crate::{Exit, MemoryLimit, Output, Spawn};

/// Exit code of what is killed, like that of a process ended by the task manager.
const KILLED: u32 = 1;

#[derive(Debug)]
pub(crate) struct Process {
    id: u32,
    process: OwnedHandle,
    job: OwnedHandle,
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Blocks until the child ends and kills what it has left running.
    pub(crate) fn wait(&self) -> io::Result<Exit> {
        let process = self.process.as_raw_handle();
        // SAFETY: the handle is open as long as `self`.
        if unsafe { WaitForSingleObject(process, INFINITE) } != WAIT_OBJECT_0 {
            return Err(io::Error::last_os_error());
        }
        let mut code = 0;
        // SAFETY: as above; `code` is writable.
        check(unsafe { GetExitCodeProcess(process, &mut code) })?;
        self.kill()?;
        Ok(Exit { code: Some(code.cast_signed()), signal: None })
    }

    /// Whether a process is the child, or was started by it or by what it started.
    pub(crate) fn contains(&self, pid: u32) -> bool {
        // Wine asks for this right where Windows is content with less; a child has our account, so we have it.
        // SAFETY: no memory preconditions.
        let process = unsafe { OpenProcess(PROCESS_QUERY_INFORMATION, 0, pid) };
        if process.is_null() {
            return false;
        }
        // SAFETY: just opened, and ours alone.
        let process = unsafe { OwnedHandle::from_raw_handle(process) };
        let mut is_in = 0;
        // SAFETY: both handles are open, and the answer is writable.
        let told = unsafe { IsProcessInJob(process.as_raw_handle(), self.job.as_raw_handle(), &mut is_in) };
        told != 0 && is_in != 0
    }

    pub(crate) fn kill(&self) -> io::Result<()> {
        // SAFETY: the handle is open as long as `self`. Without processes the call does nothing.
        check(unsafe { TerminateJobObject(self.job.as_raw_handle(), KILLED) })
    }
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(crate) fn spawn(spawn: &Spawn) -> io::Result<Started> {
    let job = job(spawn.memory_limit)?;
    let mut child = command(spawn).spawn()?;
    if let Err(error) = assign(&job, &child).and_then(|()| resume(child.id())) {
        // It may not be in the job yet.
        let _ = child.kill();
        return Err(error);
    }
    let stdin = child.stdin.take();
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    Ok(Started { process: Process { id: child.id(), process: child.into(), job }, stdin, stdout, stderr })
}

fn command(spawn: &Spawn) -> Command {
    let mut command = spawn.command();
    // Ctrl-C is for this process, which then decides what becomes of its children.
    let mut flags = CREATE_SUSPENDED | CREATE_NEW_PROCESS_GROUP;
    if spawn.output == Output::Capture {
        // Inherited output may be this process's console, which the child then has to share.
        flags |= CREATE_NO_WINDOW;
    }
    command.creation_flags(flags);
    command
}

fn job(memory: Option<MemoryLimit>) -> io::Result<OwnedHandle> {
    // SAFETY: null attributes make a handle that children do not inherit; null is no name.
    let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
    if job.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and ours alone.
    let job = unsafe { OwnedHandle::from_raw_handle(job) };
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    if let Some(memory) = memory {
        limits.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_JOB_MEMORY;
        limits.JobMemoryLimit = usize::try_from(memory.bytes).unwrap_or(usize::MAX);
    }
    // SAFETY: the structure is the one of that information class and has the size given.
    check(unsafe {
        SetInformationJobObject(
            job.as_raw_handle(),
            JobObjectExtendedLimitInformation,
            (&raw const limits).cast(),
            size_of::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>() as u32,
        )
    })?;
    Ok(job)
}

fn assign(job: &OwnedHandle, child: &Child) -> io::Result<()> {
    // SAFETY: both handles are open.
    check(unsafe { AssignProcessToJobObject(job.as_raw_handle(), child.as_raw_handle()) })
}

/// Resumes the only thread of a process that was started suspended. The standard library closes the
/// handle of that thread, so it has to be found.
fn resume(process: u32) -> io::Result<()> {
    let thread = main_thread(process)?;
    // SAFETY: no memory preconditions; the result is checked.
    let thread = unsafe { OpenThread(THREAD_SUSPEND_RESUME, 0, thread) };
    if thread.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and ours alone.
    let thread = unsafe { OwnedHandle::from_raw_handle(thread) };
    // SAFETY: the handle is open and allows resuming.
    if unsafe { ResumeThread(thread.as_raw_handle()) } == u32::MAX {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn main_thread(process: u32) -> io::Result<u32> {
    // SAFETY: no memory preconditions; the result is checked.
    let snapshot: HANDLE = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and ours alone.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    let mut entry = THREADENTRY32 { dwSize: size_of::<THREADENTRY32>() as u32, ..Default::default() };
    // SAFETY: the snapshot is open; `entry` is writable and says its size, here and below.
    let mut more = unsafe { Thread32First(snapshot.as_raw_handle(), &mut entry) };
    while more != 0 {
        if entry.th32OwnerProcessID == process {
            return Ok(entry.th32ThreadID);
        }
        // SAFETY: as above.
        more = unsafe { Thread32Next(snapshot.as_raw_handle(), &mut entry) };
    }
    Err(io::Error::other("the new process has no thread"))
}
