//! Who may open our pipes and private files: SYSTEM, Administrators and the account we run under; our pipes
//! also the accounts that we were told to trust, such as that of the other service of the pair.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, ConvertStringSidToSidW,
    EXPLICIT_ACCESS_W, GRANT_ACCESS, GetNamedSecurityInfoW, SDDL_REVISION_1, SE_FILE_OBJECT, SetEntriesInAclW,
    SetNamedSecurityInfoW, TRUSTEE_IS_SID, TRUSTEE_IS_UNKNOWN, TRUSTEE_W,
};
use windows_sys::Win32::Security::{
    ACL, CONTAINER_INHERIT_ACE, CopySid, DACL_SECURITY_INFORMATION, GetTokenInformation, LookupAccountNameW,
    OBJECT_INHERIT_ACE, PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{DELETE, FILE_GENERIC_EXECUTE, FILE_GENERIC_READ, FILE_GENERIC_WRITE};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// A security descriptor that lives as long as the process.
struct Descriptor(PSECURITY_DESCRIPTOR);

// SAFETY: it is never written to after it was made, nor freed.
unsafe impl Send for Descriptor {}
// SAFETY: as above.
unsafe impl Sync for Descriptor {}

/// Attributes of a new file that grant everything to those three and nothing to others. What the default
/// would grant includes reading for Everyone.
pub(super) fn private() -> io::Result<SECURITY_ATTRIBUTES> {
    static DESCRIPTOR: OnceLock<Descriptor> = OnceLock::new();
    attributes(&DESCRIPTOR, &[])
}

/// Attributes of a new pipe: the same, and trusted accounts may connect.
pub(super) fn pipe() -> io::Result<SECURITY_ATTRIBUTES> {
    static DESCRIPTOR: OnceLock<Descriptor> = OnceLock::new();
    attributes(&DESCRIPTOR, &trusted())
}

fn attributes(kept: &'static OnceLock<Descriptor>, clients: &[String]) -> io::Result<SECURITY_ATTRIBUTES> {
    let descriptor = match kept.get() {
        Some(descriptor) => descriptor,
        None => {
            let made = make(&sddl(&own_sid()?, clients))?;
            // Two threads at once make two; the second one's few bytes are lost.
            kept.get_or_init(|| made)
        }
    };
    Ok(SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor.0,
        bInheritHandle: 0,
    })
}

/// Reading and writing without FILE_CREATE_PIPE_INSTANCE (which is FILE_APPEND_DATA): a client that had it could
/// make instances of its own and take other clients' connections.
const CONNECT: &str = "0x12019b";

/// P: nothing is inherited from a directory.
fn sddl(own: &str, clients: &[String]) -> String {
    let clients: String = clients.iter().map(|sid| format!("(A;;{CONNECT};;;{sid})")).collect();
    format!("D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;{own}){clients}")
}

static TRUSTED: OnceLock<Vec<String>> = OnceLock::new();

/// Lets these accounts (names, or identifiers as `S-1-5-...`) connect to the pipes of this process. Counts once, before
/// the first pipe.
pub(crate) fn trust(accounts: &[String]) -> io::Result<()> {
    let sids: Vec<String> = accounts.iter().map(|account| sid_text(account)).collect::<io::Result<_>>()?;
    // A second call would be too late for pipes that exist.
    TRUSTED.set(sids).map_err(|_| io::Error::other("the trusted accounts were told before"))
}

/// Their identifiers.
pub(crate) fn trusted() -> Vec<String> {
    TRUSTED.get().cloned().unwrap_or_default()
}

fn sid_text(account: &str) -> io::Result<String> {
    if account.starts_with("S-1-") {
        return Ok(account.to_owned());
    }
    if let Some(service) = account.strip_prefix(r"NT SERVICE\") {
        return Ok(service_sid(service));
    }
    let sid = lookup(account)?;
    show(sid.as_ptr().cast_mut().cast())
}

/// The identifier of a service's own account: the SHA-1 of its name in capitals, as five little-endian numbers. So it
/// is known before the service exists.
fn service_sid(service: &str) -> String {
    use sha1::{Digest as _, Sha1};
    let name: Vec<u8> = service.to_uppercase().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let digest = Sha1::digest(&name);
    let numbers = digest.chunks_exact(4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
    numbers.fold("S-1-5-80".to_owned(), |sid, number| format!("{sid}-{number}"))
}

/// The binary identifier of an account; of u64 for its alignment.
fn lookup(account: &str) -> io::Result<[u64; 16]> {
    if let Some(service) = account.strip_prefix(r"NT SERVICE\") {
        return binary(&service_sid(service));
    }
    let name = super::file::wide(account);
    let mut sid = [0_u64; 16];
    let mut size = size_of_val(&sid) as u32;
    let mut domain = [0_u16; 256];
    let mut domain_length = domain.len() as u32;
    let mut kind = 0;
    // SAFETY: the name ends in NUL; both buffers are writable and as large as said.
    let found = unsafe {
        LookupAccountNameW(
            ptr::null(),
            name.as_ptr(),
            sid.as_mut_ptr().cast(),
            &mut size,
            domain.as_mut_ptr(),
            &mut domain_length,
            &mut kind,
        )
    };
    if found == 0 {
        let error = io::Error::last_os_error();
        return Err(crate::context(error, format_args!("there is no account {account}")));
    }
    Ok(sid)
}

fn binary(text: &str) -> io::Result<[u64; 16]> {
    let wide = super::file::wide(text);
    let mut found: PSID = ptr::null_mut();
    // SAFETY: the text ends in NUL, `found` is writable.
    if unsafe { ConvertStringSidToSidW(wide.as_ptr(), &mut found) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut sid = [0_u64; 16];
    // SAFETY: `found` is valid and freed once; the buffer is as large as said.
    let copied = unsafe {
        let copied = CopySid(size_of_val(&sid) as u32, sid.as_mut_ptr().cast(), found);
        LocalFree(found);
        copied
    };
    if copied == 0 { Err(io::Error::last_os_error()) } else { Ok(sid) }
}

/// Adds to what a directory's list grants: reading, writing and deleting below it for this account.
pub(super) fn grant_directory(directory: &Path, account: &str) -> io::Result<()> {
    let sid = lookup(account)?;
    let path = super::file::wide(directory);
    let mut old: *mut ACL = ptr::null_mut();
    let mut descriptor: PSECURITY_DESCRIPTOR = ptr::null_mut();
    // SAFETY: the path ends in NUL; `old` and `descriptor` are writable, the others not asked for.
    let code = unsafe {
        GetNamedSecurityInfoW(
            path.as_ptr(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION,
            ptr::null_mut(),
            ptr::null_mut(),
            &mut old,
            ptr::null_mut(),
            &mut descriptor,
        )
    };
    result(code)?;
    let entry = EXPLICIT_ACCESS_W {
        grfAccessPermissions: FILE_GENERIC_READ | FILE_GENERIC_WRITE | FILE_GENERIC_EXECUTE | DELETE,
        grfAccessMode: GRANT_ACCESS,
        grfInheritance: OBJECT_INHERIT_ACE | CONTAINER_INHERIT_ACE,
        Trustee: TRUSTEE_W {
            TrusteeForm: TRUSTEE_IS_SID,
            TrusteeType: TRUSTEE_IS_UNKNOWN,
            ptstrName: sid.as_ptr().cast_mut().cast(),
            ..Default::default()
        },
    };
    let mut new: *mut ACL = ptr::null_mut();
    // SAFETY: one entry, whose trustee lives as long as `sid`; `old` is part of `descriptor`, not freed yet.
    let merged = result(unsafe { SetEntriesInAclW(1, &entry, old, &mut new) });
    let set = merged.and_then(|()| {
        // SAFETY: the path ends in NUL, `new` was just made; owner, group and audit list stay.
        result(unsafe {
            SetNamedSecurityInfoW(
                path.as_ptr(),
                SE_FILE_OBJECT,
                DACL_SECURITY_INFORMATION,
                ptr::null_mut(),
                ptr::null_mut(),
                new,
                ptr::null_mut(),
            )
        })
    });
    // SAFETY: both were made by the calls above, or are null, and nobody uses them any more.
    unsafe {
        LocalFree(new.cast());
        LocalFree(descriptor);
    }
    set
}

fn result(code: u32) -> io::Result<()> {
    if code == ERROR_SUCCESS { Ok(()) } else { Err(io::Error::from_raw_os_error(code.cast_signed())) }
}

fn make(text: &str) -> io::Result<Descriptor> {
    let wide = super::file::wide(text);
    let mut descriptor = ptr::null_mut();
    // SAFETY: `wide` ends in NUL, `descriptor` is writable, the size is not asked for.
    let made = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            wide.as_ptr(),
            SDDL_REVISION_1,
            &mut descriptor,
            ptr::null_mut(),
        )
    };
    if made == 0 { Err(io::Error::last_os_error()) } else { Ok(Descriptor(descriptor)) }
}

/// The account of this process, as `S-1-5-...`.
fn own_sid() -> io::Result<String> {
    let mut token = ptr::null_mut();
    // SAFETY: the pseudo handle needs no closing; `token` is writable.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and ours alone.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // A SID has 68 bytes at the most. Of u64 for the alignment of TOKEN_USER.
    let mut buffer = [0_u64; 32];
    let mut length = 0;
    // SAFETY: the buffer is writable and as large as said.
    let known = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            buffer.as_mut_ptr().cast::<c_void>(),
            size_of_val(&buffer) as u32,
            &mut length,
        )
    };
    if known == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the buffer holds a TOKEN_USER now, whose SID points into the buffer.
    let sid = unsafe { (*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid };
    show(sid)
}

/// An identifier as text. `sid` points to a valid one.
fn show(sid: PSID) -> io::Result<String> {
    let mut text = ptr::null_mut();
    // SAFETY: callers pass a valid identifier; `text` is writable.
    if unsafe { ConvertSidToStringSidW(sid, &mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `text` is a NUL-terminated string of the system's, freed once and not used afterwards.
    unsafe {
        let length = (0..).take_while(|&at| *text.add(at) != 0).count();
        let sid = String::from_utf16_lossy(std::slice::from_raw_parts(text, length));
        LocalFree(text.cast());
        Ok(sid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trusted_account_may_connect_and_nobody_else_is_added() {
        assert_eq!(sddl("S-1-5-1", &[]), "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;S-1-5-1)");
        assert_eq!(
            sddl("S-1-5-1", &["S-1-5-80-2".to_owned()]),
            "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;S-1-5-1)(A;;0x12019b;;;S-1-5-80-2)"
        );
    }

    #[test]
    fn a_client_cannot_make_instances_of_a_pipe() {
        const FILE_CREATE_PIPE_INSTANCE: u32 = 4;
        let rights = u32::from_str_radix(CONNECT.trim_start_matches("0x"), 16).unwrap();
        assert_eq!(rights & FILE_CREATE_PIPE_INSTANCE, 0);
        make(&sddl(&own_sid().unwrap(), &[own_sid().unwrap()])).unwrap();
    }

    #[test]
    fn accounts_are_found_by_name_and_by_identifier() {
        assert_eq!(sid_text("S-1-5-18").unwrap(), "S-1-5-18");
        assert_eq!(sid_text("SYSTEM").unwrap(), "S-1-5-18");
        assert!(sid_text("no such account here").is_err());
        // Windows' own services have accounts of this kind, whose identifiers are well known.
        let installer = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
        assert_eq!(sid_text(r"NT SERVICE\TrustedInstaller").unwrap(), installer);
        let sid = lookup(r"NT SERVICE\TrustedInstaller").unwrap();
        assert_eq!(show(sid.as_ptr().cast_mut().cast()).unwrap(), installer);
    }
}
