//! Who serves a pipe that we have connected to. Any program may make a pipe by the app server's name as long as the app server
//! does not run, and answer its clients with lies.
//!
//! The owner of a pipe tells who made it: an account can make itself the owner of what it makes, or a group that it administers
//! with, and nobody else. That holds also where the process is another account's and may not be opened, and
//! where its number has been another process's before.

use std::io;
use std::os::windows::io::AsRawHandle;
use std::ptr;

use tokio::net::windows::named_pipe::NamedPipeClient;
use windows_sys::Win32::Foundation::{ERROR_SUCCESS, LocalFree};
use windows_sys::Win32::Security::Authorization::{GetSecurityInfo, SE_KERNEL_OBJECT};
use windows_sys::Win32::Security::{OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID};

use super::pipe::{Stream, server_process};
use super::service_list::service_of;
use super::{account, service};
use crate::Audience;

/// SYSTEM, and Administrators, who own what their elevated programs make.
const SYSTEM: [&str; 2] = ["S-1-5-18", "S-1-5-32-544"];

/// The app server as a service.
const PROGRAM: &str = "tidegate-appserver";

/// The pipes' lists let in nobody else.
pub(crate) fn check_client(_stream: &Stream, _audience: Audience) -> io::Result<()> {
    Ok(())
}

/// An error unless the pipe is of this account, of the system or an administrator, or of a service that is an app server.
pub(crate) fn check_server(stream: &Stream) -> io::Result<()> {
    let Stream::Client(pipe) = stream else { return Ok(()) };
    let owner = owner(pipe)?;
    let ours = [account::own_sid()?, account::own_owner()?];
    if ours.contains(&owner.sid) || SYSTEM.contains(&owner.sid.as_str()) {
        return Ok(());
    }
    let process = server_process(stream).unwrap_or_default();
    // Only administrators install services, so what the service manager says of one can be relied upon.
    if service_account(process).is_some_and(|account| account == owner.sid) {
        return Ok(());
    }
    let sid = owner.sid;
    let name = owner.name.map_or_else(|| sid.clone(), |name| format!("{name} ({sid})"));
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "process {process} of {name} listens there; expected an app server of this account, of SYSTEM, of an \
             administrator, or one that is a service"
        ),
    ))
}

/// The account of the service that this process is, if that is an app server.
fn service_account(process: u32) -> Option<String> {
    let settings = service::settings(&service_of(process).ok()??).ok()??;
    if !settings.command.contains(PROGRAM) {
        return None;
    }
    account::sid_text(&settings.account).ok()
}

struct Owner {
    sid: String,
    name: Option<String>,
}

fn owner(pipe: &NamedPipeClient) -> io::Result<Owner> {
    let mut descriptor: PSECURITY_DESCRIPTOR = ptr::null_mut();
    let mut sid: PSID = ptr::null_mut();
    // SAFETY: the handle is open; owner and descriptor are writable, the rest is not asked for.
    let code = unsafe {
        GetSecurityInfo(
            pipe.as_raw_handle(),
            SE_KERNEL_OBJECT,
            OWNER_SECURITY_INFORMATION,
            &mut sid,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            &mut descriptor,
        )
    };
    if code != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(code.cast_signed()));
    }
    let owner = if sid.is_null() {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "nobody owns it"))
    } else {
        account::show(sid).map(|text| Owner { sid: text, name: account::name(sid) })
    };
    // SAFETY: made by the system for us; `sid` points into it and is not used any more.
    unsafe { LocalFree(descriptor) };
    owner
}
