//! Whose a file or directory is, and that it is one: whoever made it keeps the right to change its list, and may have put a
//! link in its place. Used before a list is changed, by an administrator.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::path::Path;
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_NOT_ALL_ASSIGNED, GetLastError, LUID};
use windows_sys::Win32::Security::Authorization::{SE_FILE_OBJECT, SetNamedSecurityInfoW};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, LUID_AND_ATTRIBUTES, LookupPrivilegeValueW, OWNER_SECURITY_INFORMATION,
    SE_PRIVILEGE_ENABLED, TOKEN_ADJUST_PRIVILEGES, TOKEN_PRIVILEGES, TOKEN_QUERY,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_REPARSE_POINT, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_READ_ATTRIBUTES,
    FILE_READ_DATA, FILE_SHARE_READ, FILE_SHARE_WRITE,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::access::result;
use super::account;
use super::file::wide;

/// Administrators.
const ADMINISTRATORS: &str = "S-1-5-32-544";
/// To take what the list keeps from us, and to give it to somebody else than ourselves.
const PRIVILEGES: [&str; 2] = ["SeTakeOwnershipPrivilege", "SeRestorePrivilege"];

/// To open what the list keeps from us.
const READING: &str = "SeBackupPrivilege";

/// Keeps a file or directory from being exchanged for another while the handle is open. A link of any kind is refused.
pub(super) fn hold(path: &Path) -> io::Result<File> {
    // What administrators may not read the list does not keep from them then.
    let _ = enable(READING);
    let held = OpenOptions::new()
        // With attributes alone Windows would let others do as if nobody had it open.
        .access_mode(FILE_READ_ATTRIBUTES | FILE_READ_DATA)
        .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
        // Backup semantics: directories can be opened.
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS)
        .open(path)?;
    refuse_link(held.metadata()?.file_attributes())?;
    Ok(held)
}

fn refuse_link(attributes: u32) -> io::Result<()> {
    if attributes & FILE_ATTRIBUTE_REPARSE_POINT == 0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is a link or junction, and is not followed"))
}

/// Makes it Administrators'.
pub(super) fn take(path: &Path) -> io::Result<()> {
    for privilege in PRIVILEGES {
        // Without it the list may let us do it.
        let _ = enable(privilege);
    }
    let mut sid = account::binary(ADMINISTRATORS)?;
    let path = wide(path);
    // SAFETY: the path ends in NUL, the identifier is valid; group and lists stay.
    let outcome = result(unsafe {
        SetNamedSecurityInfoW(
            path.as_ptr(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION,
            sid.as_mut_ptr().cast(),
            ptr::null_mut(),
            ptr::null(),
            ptr::null(),
        )
    });
    outcome.map_err(|error| crate::context(error, "failed to make it Administrators'"))
}

/// Turns on a privilege that this process has.
fn enable(privilege: &str) -> io::Result<()> {
    let mut token = ptr::null_mut();
    // SAFETY: the pseudo handle needs no closing; `token` is writable.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY, &mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and ours alone.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    let name = wide(privilege);
    let mut luid = LUID::default();
    // SAFETY: the name ends in NUL, and `luid` is writable.
    if unsafe { LookupPrivilegeValueW(ptr::null(), name.as_ptr(), &mut luid) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = TOKEN_PRIVILEGES {
        PrivilegeCount: 1,
        Privileges: [LUID_AND_ATTRIBUTES { Luid: luid, Attributes: SE_PRIVILEGE_ENABLED }],
    };
    // SAFETY: the token is open, one privilege is given as said; the state before is not asked for.
    let adjusted =
        unsafe { AdjustTokenPrivileges(token.as_raw_handle(), 0, &wanted, 0, ptr::null_mut(), ptr::null_mut()) };
    // It succeeds without having done it, and says so this way.
    // SAFETY: no preconditions.
    if adjusted == 0 || unsafe { GetLastError() } == ERROR_NOT_ALL_ASSIGNED {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_refused_and_files_and_directories_are_held() {
        assert!(refuse_link(FILE_ATTRIBUTE_REPARSE_POINT | 0x10).is_err());
        let directory = std::env::temp_dir().join(format!("tg-hold-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("key");
        std::fs::write(&file, b"x").unwrap();
        for path in [&directory, &file] {
            drop(hold(path).unwrap());
            take(path).unwrap();
        }
        let held = hold(&file).unwrap();
        assert!(std::fs::rename(&file, directory.join("other")).is_err(), "it can be exchanged while it is held");
        drop(held);
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn the_privileges_have_these_names() {
        // An administrator has both, and Wine's user is one.
        for privilege in PRIVILEGES.into_iter().chain([READING]) {
            enable(privilege).unwrap();
        }
        assert!(enable("SeNoSuchPrivilege").is_err());
    }
}
