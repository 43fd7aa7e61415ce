//! Who may use a private key of CNG: its access list, read and added to. Called for the certificates that a site names; takes
//! no right from anybody.

use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Cryptography::{
    NCRYPT_KEY_HANDLE, NCRYPT_SECURITY_DESCR_PROPERTY, NCRYPT_SILENT_FLAG, NCryptGetProperty, NCryptSetProperty,
};
use windows_sys::Win32::Security::{DACL_SECURITY_INFORMATION, GetSecurityDescriptorLength, IsValidSecurityDescriptor};

use super::{acquire, explained, find};
use crate::access::{Access, Changed, Rule};
use crate::certificate_store::StoreName;
use crate::sddl;
use crate::sys::{access, account, machine, security};

/// The list alone, and nothing shown to anybody.
const LIST: u32 = DACL_SECURITY_INFORMATION | NCRYPT_SILENT_FLAG;

pub(crate) fn grant_key(store: &StoreName, thumbprint: &str, account: &str) -> io::Result<Option<Changed>> {
    let key = acquire(&find(store, thumbprint)?).map_err(explained)?;
    grant(key.inner(), account)
}

pub(crate) fn may_use_key(store: &StoreName, thumbprint: &str, account: &str) -> io::Result<Option<bool>> {
    let key = acquire(&find(store, thumbprint)?).map_err(explained)?;
    Ok(machine::lets_in(&describe(key.inner())?, account, false))
}

pub(super) fn grant(key: NCRYPT_KEY_HANDLE, account: &str) -> io::Result<Option<Changed>> {
    let sid = account::sid_text(account)?;
    let rule = Rule { readers: vec![sid.clone()], ..Rule::default() };
    let before = describe(key)?;
    if before.missing(&rule)?.is_empty() {
        return Ok(None);
    }
    let text = sddl::with_reader(&before.text, &sid)
        .ok_or_else(|| io::Error::other(format!("its access list cannot be added to: {}", before.text)))?;
    let descriptor = security::make(&text)?;
    // SAFETY: the key is open; the descriptor was just made, of one piece, and is freed once afterwards.
    let outcome = unsafe {
        let size = GetSecurityDescriptorLength(descriptor.0);
        let set = NCryptSetProperty(key, NCRYPT_SECURITY_DESCR_PROPERTY, descriptor.0.cast(), size, LIST);
        LocalFree(descriptor.0);
        result(set)
    };
    outcome?;
    let after = describe(key)?;
    if !after.missing(&rule)?.is_empty() {
        return Err(io::Error::other("the key's provider has not kept the change of its access list"));
    }
    Ok(Some(Changed { before, after }))
}

fn describe(key: NCRYPT_KEY_HANDLE) -> io::Result<Access> {
    let mut size = 0;
    // SAFETY: the key is open; only the size is asked for.
    result(unsafe { NCryptGetProperty(key, NCRYPT_SECURITY_DESCR_PROPERTY, ptr::null_mut(), 0, &mut size, LIST) })?;
    // Of u64 for its alignment.
    let mut descriptor = vec![0_u64; (size as usize).div_ceil(size_of::<u64>())];
    let pointer = descriptor.as_mut_ptr().cast::<u8>();
    // SAFETY: the key is open, and the buffer at least as large as said.
    result(unsafe { NCryptGetProperty(key, NCRYPT_SECURITY_DESCR_PROPERTY, pointer, size, &mut size, LIST) })?;
    // SAFETY: the buffer outlives both calls.
    if size == 0 || unsafe { IsValidSecurityDescriptor(pointer.cast()) } == 0 {
        return Err(io::Error::other("the key's provider does not tell its access list"));
    }
    access::of_descriptor(pointer.cast())
}

fn result(status: i32) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(explained(io::Error::from_raw_os_error(status))) }
}
