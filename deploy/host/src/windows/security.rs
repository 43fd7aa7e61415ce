//! Who may open our pipes and private files: SYSTEM, Administrators and the account we run under.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// A security descriptor that lives as long as the process.
struct Descriptor(PSECURITY_DESCRIPTOR);

// SAFETY: it is never written to after it was made, nor freed.
unsafe impl Send for Descriptor {}
// SAFETY: as above.
unsafe impl Sync for Descriptor {}

/// Attributes of a new object that grant everything to those three and nothing to others. What the
/// default would grant includes reading for Everyone.
pub(super) fn private() -> io::Result<SECURITY_ATTRIBUTES> {
    static DESCRIPTOR: OnceLock<Descriptor> = OnceLock::new();
    let descriptor = match DESCRIPTOR.get() {
        Some(descriptor) => descriptor,
        None => {
            let made = make()?;
            // Two threads at once make two; the second one's few bytes are lost.
            DESCRIPTOR.get_or_init(|| made)
        }
    };
    Ok(SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor.0,
        bInheritHandle: 0,
    })
}

fn make() -> io::Result<Descriptor> {
    // P: nothing is inherited from a directory.
    let text = format!("D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;{})", own_sid()?);
    let wide = super::file::wide(&text);
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
    let mut text = ptr::null_mut();
    // SAFETY: the buffer holds a TOKEN_USER now, whose SID points into the buffer.
    let converted = unsafe {
        let user = &*buffer.as_ptr().cast::<TOKEN_USER>();
        ConvertSidToStringSidW(user.User.Sid, &mut text)
    };
    if converted == 0 {
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
