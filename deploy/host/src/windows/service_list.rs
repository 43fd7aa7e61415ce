//! The services that the service manager knows: which there are, and which of them a process is.

use std::io;
use std::mem::size_of;
use std::ptr;

use windows_sys::Win32::Foundation::ERROR_MORE_DATA;
use windows_sys::Win32::System::Services::{
    CloseServiceHandle, ENUM_SERVICE_STATUS_PROCESSW, EnumServicesStatusExW, OpenSCManagerW, SC_ENUM_PROCESS_INFO,
    SC_HANDLE, SC_MANAGER_CONNECT, SC_MANAGER_ENUMERATE_SERVICE, SERVICE_ACTIVE, SERVICE_STATE_ALL, SERVICE_WIN32,
};

use super::account::text;

/// More than the services of any machine need in one answer; what does not fit comes with the next.
const ANSWER: usize = 64 << 10;

struct Manager(SC_HANDLE);

impl Drop for Manager {
    fn drop(&mut self) {
        // SAFETY: opened below, and ours alone.
        unsafe { CloseServiceHandle(self.0) };
    }
}

/// The name of the service that runs as this process.
pub(super) fn service_of(process: u32) -> io::Result<Option<String>> {
    Ok(list(SERVICE_ACTIVE)?.into_iter().find(|service| service.process == process).map(|service| service.name))
}

/// The names of all, whatever they do.
pub(super) fn names() -> io::Result<Vec<String>> {
    Ok(list(SERVICE_STATE_ALL)?.into_iter().map(|service| service.name).collect())
}

struct Listed {
    name: String,
    process: u32,
}

fn list(states: u32) -> io::Result<Vec<Listed>> {
    // SAFETY: neither a machine nor a database is named.
    let manager =
        unsafe { OpenSCManagerW(ptr::null(), ptr::null(), SC_MANAGER_CONNECT | SC_MANAGER_ENUMERATE_SERVICE) };
    if manager.is_null() {
        return Err(io::Error::last_os_error());
    }
    let manager = Manager(manager);
    // Of u64 for the alignment of what is written to it.
    let mut buffer = vec![0_u64; ANSWER / size_of::<u64>()];
    let mut resume = 0;
    let mut found = Vec::new();
    loop {
        let (mut needed, mut count) = (0, 0);
        // SAFETY: the handle is open, the buffer is writable and as large as said, and so are the numbers.
        let told = unsafe {
            EnumServicesStatusExW(
                manager.0,
                SC_ENUM_PROCESS_INFO,
                SERVICE_WIN32,
                states,
                buffer.as_mut_ptr().cast(),
                ANSWER as u32,
                &mut needed,
                &mut count,
                &mut resume,
                ptr::null(),
            )
        };
        let error = io::Error::last_os_error();
        let is_partial = told == 0 && error.raw_os_error() == Some(ERROR_MORE_DATA.cast_signed());
        if told == 0 && !is_partial {
            return Err(error);
        }
        // SAFETY: the buffer begins with as many of these as `count` says.
        let services = unsafe {
            std::slice::from_raw_parts(buffer.as_ptr().cast::<ENUM_SERVICE_STATUS_PROCESSW>(), count as usize)
        };
        found.extend(services.iter().map(|service| Listed {
            // SAFETY: the name ends in NUL and lies in the buffer.
            name: unsafe { text(service.lpServiceName) },
            process: service.ServiceStatusProcess.dwProcessId,
        }));
        if !is_partial || count == 0 {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServiceState;

    /// Services of the system's that run wherever services do.
    const USUAL: [&str; 3] = ["EventLog", "PlugPlay", "RpcSs"];

    #[test]
    fn a_service_is_found_by_its_process() {
        let running = USUAL.iter().find_map(|name| match super::super::service::state(name) {
            Ok(ServiceState::Running { pid }) => Some(pid),
            _ => None,
        });
        // Several may share a process.
        assert!(service_of(running.unwrap()).unwrap().is_some());
    }

    #[test]
    fn this_process_is_no_service() {
        assert_eq!(service_of(std::process::id()).unwrap(), None);
    }
}
