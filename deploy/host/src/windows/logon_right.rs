//! The right to log on as a service, which an account needs beside its password. Given to the account itself, where nobody has
//! done so; rights that it has through a group are not looked at.

use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::NTSTATUS;
use windows_sys::Win32::Security::Authentication::Identity::{
    LSA_HANDLE, LSA_OBJECT_ATTRIBUTES, LSA_UNICODE_STRING, LsaAddAccountRights, LsaClose, LsaEnumerateAccountRights,
    LsaFreeMemory, LsaNtStatusToWinError, LsaOpenPolicy, POLICY_CREATE_ACCOUNT, POLICY_LOOKUP_NAMES,
};
use windows_sys::Win32::Security::PSID;

use super::account::Sid;
use super::file::wide;

/// Its name.
const RIGHT: &str = "SeServiceLogonRight";

/// The machine's policy.
struct Policy(LSA_HANDLE);

impl Drop for Policy {
    fn drop(&mut self) {
        // SAFETY: opened below, and ours alone.
        unsafe { LsaClose(self.0) };
    }
}

/// Gives it to an account. Whether it had it not.
pub(super) fn grant(sid: &Sid) -> io::Result<bool> {
    let attributes = LSA_OBJECT_ATTRIBUTES::default();
    let mut handle = 0;
    let access = (POLICY_CREATE_ACCOUNT | POLICY_LOOKUP_NAMES).cast_unsigned();
    // SAFETY: no machine is named, the attributes are the empty ones that are asked for, `handle` is writable.
    result(unsafe { LsaOpenPolicy(ptr::null(), &attributes, access, &mut handle) })?;
    let policy = Policy(handle);
    let sid: PSID = sid.as_ptr().cast_mut().cast();
    if rights(&policy, sid).iter().any(|right| right == RIGHT) {
        return Ok(false);
    }
    let mut name = wide(RIGHT);
    let bytes = u16::try_from(size_of_val(name.as_slice())).map_err(io::Error::other)?;
    // The length leaves the NUL out.
    let right = LSA_UNICODE_STRING { Length: bytes - 2, MaximumLength: bytes, Buffer: name.as_mut_ptr() };
    // SAFETY: the policy is open, the identifier is valid, and one right is given, whose text outlives the call.
    result(unsafe { LsaAddAccountRights(policy.0, sid, &right, 1) })?;
    Ok(true)
}

/// The rights that it was given by name. An account that has none is unknown to the policy, which is an error to it.
fn rights(policy: &Policy, sid: PSID) -> Vec<String> {
    let (mut list, mut count) = (ptr::null_mut::<LSA_UNICODE_STRING>(), 0);
    // SAFETY: the policy is open, the identifier is valid; list and count are writable.
    let status = unsafe { LsaEnumerateAccountRights(policy.0, sid, &mut list, &mut count) };
    if status != 0 || list.is_null() {
        return Vec::new();
    }
    // SAFETY: the system has made as many entries as it says, each with a text of so many bytes; freed once, below.
    let rights = unsafe {
        let entries = std::slice::from_raw_parts(list, count as usize);
        let text = |entry: &LSA_UNICODE_STRING| {
            String::from_utf16_lossy(std::slice::from_raw_parts(entry.Buffer, usize::from(entry.Length / 2)))
        };
        entries.iter().map(text).collect()
    };
    // SAFETY: made by the system for us, and not used any more.
    unsafe { LsaFreeMemory(list.cast()) };
    rights
}

fn result(status: NTSTATUS) -> io::Result<()> {
    if status == 0 {
        return Ok(());
    }
    // SAFETY: no preconditions.
    let code = unsafe { LsaNtStatusToWinError(status) };
    Err(io::Error::from_raw_os_error(code.cast_signed()))
}
