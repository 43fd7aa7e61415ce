//! Who may open our pipes and private files. What was not granted here nobody has: the lists are protected, so
//! nothing comes from a directory.

use std::io;
use std::ptr;
use std::sync::OnceLock;

use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES};

use super::account::{own_sid, sid_text};
use crate::Audience;
use crate::sddl;

/// A security descriptor that lives as long as the process.
pub(super) struct Descriptor(pub(super) PSECURITY_DESCRIPTOR);

// SAFETY: it is never written to after it was made, nor freed.
unsafe impl Send for Descriptor {}
// SAFETY: as above.
unsafe impl Sync for Descriptor {}

/// Attributes of a new file for this process's account, SYSTEM and Administrators. What the default
/// would grant includes reading for Everyone.
pub(super) fn private() -> io::Result<SECURITY_ATTRIBUTES> {
    static DESCRIPTOR: OnceLock<Descriptor> = OnceLock::new();
    attributes(&DESCRIPTOR, sddl::private)
}

/// Attributes of a new pipe for those whom it is for.
pub(super) fn pipe(audience: Audience) -> io::Result<SECURITY_ATTRIBUTES> {
    static DESCRIPTORS: [OnceLock<Descriptor>; 3] = [const { OnceLock::new() }; 3];
    attributes(&DESCRIPTORS[audience as usize], |own| sddl::pipe(audience, own, &trusted()))
}

fn attributes(
    kept: &'static OnceLock<Descriptor>,
    text: impl FnOnce(&str) -> String,
) -> io::Result<SECURITY_ATTRIBUTES> {
    let descriptor = match kept.get() {
        Some(descriptor) => descriptor,
        None => {
            let made = make(&text(&own_sid()?))?;
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

/// The descriptor of this text.
pub(super) fn make(text: &str) -> io::Result<Descriptor> {
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
