//! Accounts by name and by identifier (SID).

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{ConvertSidToStringSidW, ConvertStringSidToSidW};
use windows_sys::Win32::Security::{
    CopySid, GetTokenInformation, LookupAccountNameW, LookupAccountSidW, PSID, SID_NAME_USE, SidTypeUser,
    TOKEN_INFORMATION_CLASS, TOKEN_OWNER, TOKEN_QUERY, TOKEN_USER, TokenOwner, TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};
use windows_sys::Win32::System::WindowsProgramming::{GetComputerNameW, MAX_COMPUTERNAME_LENGTH};

/// A binary identifier; of u64 for its alignment.
pub(super) type Sid = [u64; 16];

/// How the service manager names the system's own accounts; others know some of them by other names only.
const OF_SERVICES: [(&str, &str); 4] = [
    ("LocalSystem", "S-1-5-18"),
    (r".\LocalSystem", "S-1-5-18"),
    (r"NT AUTHORITY\LocalService", "S-1-5-19"),
    (r"NT AUTHORITY\NetworkService", "S-1-5-20"),
];

/// The identifier of an account that is named, or one already.
pub(super) fn sid_text(account: &str) -> io::Result<String> {
    if account.starts_with("S-1-") {
        return Ok(account.to_owned());
    }
    if let Some((_, sid)) = OF_SERVICES.iter().find(|(name, _)| name.eq_ignore_ascii_case(account)) {
        return Ok((*sid).to_owned());
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

/// The binary identifier of an account.
pub(super) fn lookup(account: &str) -> io::Result<Sid> {
    if let Some(service) = account.strip_prefix(r"NT SERVICE\") {
        return binary(&service_sid(service));
    }
    find(account).map(|(sid, _)| sid)
}

/// A user as `DOMAIN\name`, however it is named. Nobody's group, and not the one account that is always an administrator's.
pub(super) fn user(account: &str) -> io::Result<String> {
    let (sid, kind) = find(account)?;
    let sid: PSID = sid.as_ptr().cast_mut().cast();
    let refused = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{account} is {what}")));
    if kind != SidTypeUser {
        return refused("a group or a machine: expected a user");
    }
    // The administrator that every machine and domain is made with, whatever it is called by now.
    if show(sid)?.ends_with("-500") {
        return refused("an administrator, and apps would run with all rights: expected an account of their own");
    }
    Ok(name(sid).unwrap_or_else(|| named_in_full(account)))
}

/// An account of this machine with the machine's name: the service manager writes a dot, which nobody else understands.
pub(super) fn named_in_full(account: &str) -> String {
    match account.strip_prefix(r".\") {
        Some(own) if !own.eq_ignore_ascii_case("LocalSystem") => {
            machine_name().map_or_else(|| own.to_owned(), |machine| format!(r"{machine}\{own}"))
        }
        _ => account.to_owned(),
    }
}

fn machine_name() -> Option<String> {
    let mut name = [0_u16; MAX_COMPUTERNAME_LENGTH as usize + 1];
    let mut length = name.len() as u32;
    // SAFETY: the buffer is writable and as long as said.
    let told = unsafe { GetComputerNameW(name.as_mut_ptr(), &mut length) };
    (told != 0).then(|| String::from_utf16_lossy(name.get(..length as usize).unwrap_or_default()))
}

/// What account this is, and of what kind.
fn find(account: &str) -> io::Result<(Sid, SID_NAME_USE)> {
    let name = super::file::wide(named_in_full(account));
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
    Ok((sid, kind))
}

pub(super) fn binary(text: &str) -> io::Result<Sid> {
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

/// The account of this process, as `S-1-5-...`.
pub(super) fn own_sid() -> io::Result<String> {
    // SAFETY: what is told is a TOKEN_USER.
    of_token(TokenUser, |told| unsafe { (*told.cast::<TOKEN_USER>()).User.Sid })
}

/// Who owns what this process makes: its account, or Administrators where it was started with their rights.
pub(super) fn own_owner() -> io::Result<String> {
    // SAFETY: what is told is a TOKEN_OWNER.
    of_token(TokenOwner, |told| unsafe { (*told.cast::<TOKEN_OWNER>()).Owner })
}

/// An identifier that this process's token has.
fn of_token(class: TOKEN_INFORMATION_CLASS, sid: impl FnOnce(*const c_void) -> PSID) -> io::Result<String> {
    let mut token = ptr::null_mut();
    // SAFETY: the pseudo handle needs no closing; `token` is writable.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and ours alone.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // A SID has 68 bytes at the most. Of u64 for the alignment of what is written to it.
    let mut buffer = [0_u64; 32];
    let mut length = 0;
    // SAFETY: the buffer is writable and as large as said.
    let known = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            class,
            buffer.as_mut_ptr().cast::<c_void>(),
            size_of_val(&buffer) as u32,
            &mut length,
        )
    };
    if known == 0 {
        return Err(io::Error::last_os_error());
    }
    // The identifier lies in the buffer too.
    show(sid(buffer.as_ptr().cast()))
}

/// The name of an account, with its domain; none where nobody knows it any more. `sid` points to a valid one.
pub(super) fn name(sid: PSID) -> Option<String> {
    let mut name = [0_u16; 256];
    let mut domain = [0_u16; 256];
    let (mut name_length, mut domain_length) = (name.len() as u32, domain.len() as u32);
    let mut kind = 0;
    // SAFETY: callers pass a valid identifier; both buffers are writable and as large as said.
    let found = unsafe {
        LookupAccountSidW(
            ptr::null(),
            sid,
            name.as_mut_ptr(),
            &mut name_length,
            domain.as_mut_ptr(),
            &mut domain_length,
            &mut kind,
        )
    };
    if found == 0 {
        return None;
    }
    let text =
        |buffer: &[u16], length: u32| String::from_utf16_lossy(buffer.get(..length as usize).unwrap_or_default());
    let (name, domain) = (text(&name, name_length), text(&domain, domain_length));
    Some(if domain.is_empty() { name } else { format!("{domain}\\{name}") })
}

/// An identifier as text. `sid` points to a valid one.
pub(super) fn show(sid: PSID) -> io::Result<String> {
    let mut text = ptr::null_mut();
    // SAFETY: callers pass a valid identifier; `text` is writable.
    if unsafe { ConvertSidToStringSidW(sid, &mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(take_text(text))
}

/// Copies and frees a text that the system has made: it ends in NUL, is freed by `LocalFree` and by nobody else.
pub(super) fn take_text(text: *mut u16) -> String {
    // SAFETY: as said; it is not used afterwards.
    unsafe {
        let taken = self::text(text);
        LocalFree(text.cast());
        taken
    }
}

/// Copies a text that ends in NUL.
///
/// # Safety
///
/// It does, and is not written to meanwhile.
pub(super) unsafe fn text(text: *const u16) -> String {
    // SAFETY: as said.
    unsafe {
        let length = (0..).take_while(|&at| *text.add(at) != 0).count();
        String::from_utf16_lossy(std::slice::from_raw_parts(text, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_name_and_by_identifier() {
        assert_eq!(sid_text("S-1-5-18").unwrap(), "S-1-5-18");
        assert_eq!(sid_text("SYSTEM").unwrap(), "S-1-5-18");
        assert_eq!(sid_text("localsystem").unwrap(), "S-1-5-18");
        assert!(sid_text("no such account here").is_err());
        // Windows' own services have accounts of this kind, whose identifiers are well known.
        let installer = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
        assert_eq!(sid_text(r"NT SERVICE\TrustedInstaller").unwrap(), installer);
        let own = sid_text(&crate::machine::own_account()).unwrap();
        assert_eq!(own, own_sid().unwrap());
        let (_, plain) =
            crate::machine::own_account().rsplit_once('\\').map(|(d, n)| (d.to_owned(), n.to_owned())).unwrap();
        assert_eq!(sid_text(&format!(r".\{plain}")).unwrap(), own, "with a dot");
        assert_eq!(user(&format!(r".\{plain}")).unwrap(), crate::machine::own_account());
        assert!(user("Administrators").is_err() && user("Everyone").is_err());
        let sid = lookup(r"NT SERVICE\TrustedInstaller").unwrap();
        assert_eq!(show(sid.as_ptr().cast_mut().cast()).unwrap(), installer);
    }
}
