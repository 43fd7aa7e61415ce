//! Whether an account with a password can log on as a service: asked before a service is installed, so that a wrong password is an
//! error then and not at a start; and giving it to one. Used for `tidegate service install --account`; keeps nothing.

use std::io;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::ptr;

use windows_service::service::Service;
use windows_sys::Win32::Security::{
    GetTokenInformation, LOGON32_LOGON, LOGON32_LOGON_NETWORK, LOGON32_LOGON_SERVICE, LOGON32_PROVIDER_DEFAULT,
    LogonUserW, SID_AND_ATTRIBUTES, TOKEN_GROUPS, TokenGroups,
};
use windows_sys::Win32::System::Services::{ChangeServiceConfigW, SERVICE_NO_CHANGE};

use super::file::wide;
use super::{account, logon_right};
use crate::context;
use crate::password::Password;
use crate::service::Installed;
use crate::service_rules::{Refusal, refusal};

/// Administrators.
const ADMINISTRATORS: &str = "S-1-5-32-544";

/// Tries it. An account that has nothing but the right missing gets that.
pub(crate) fn try_logon(name: &str, password: &Password) -> io::Result<Installed> {
    let password = password
        .wide()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the password is not UTF-8, or has a NUL in it"))?;
    let password = password.as_slice();
    let sid = account::lookup(name)?;
    let mut told = Installed::default();
    let mut tried = log_on(name, password, LOGON32_LOGON_SERVICE);
    let is_right_missing = |tried: &io::Result<_>| matches!(tried, Err(error) if refusal(error) == Refusal::Right);
    if is_right_missing(&tried) {
        // Before an administrator gets it: who that is, another kind of logon tells as well.
        if let Ok(Some(groups)) = log_on(name, password, LOGON32_LOGON_NETWORK) {
            refuse_administrator(name, &groups)?;
        }
        give_right(name, &sid, &mut told);
        tried = log_on(name, password, LOGON32_LOGON_SERVICE);
    }
    match tried {
        Ok(Some(groups)) => refuse_administrator(name, &groups)?,
        Ok(None) => {
            told.warnings
                .push(format!("whether the password of {name} is right was not told; a start of the service tells"));
            give_right(name, &sid, &mut told);
        }
        Err(error) => match refusal(&error) {
            Refusal::Account => return Err(context(error, format_args!("{name} cannot log on"))),
            Refusal::Right => {
                told.warnings.push(format!(
                    "{name} may not log on as a service, and its password is right: a policy denies it (secpol.msc, Local Policies, \
                     User Rights Assignment, \"Deny log on as a service\")"
                ));
            }
            Refusal::Unknown => {
                told.warnings.push(format!(
                    "whether the password of {name} is right could not be tried ({error}); a start of the service tells"
                ));
                give_right(name, &sid, &mut told);
            }
        },
    }
    Ok(told)
}

fn give_right(name: &str, sid: &account::Sid, told: &mut Installed) {
    match logon_right::grant(sid) {
        Ok(true) => told.done.push(format!("account {name} may log on as a service from now on")),
        Ok(false) => {}
        Err(error) => told.warnings.push(format!(
            "{name} was not given the right to log on as a service ({error}): do it by hand (secpol.msc, Local Policies, User \
             Rights Assignment)"
        )),
    }
}

/// Apps would run with all rights.
fn refuse_administrator(name: &str, groups: &[String]) -> io::Result<()> {
    // Also where it is a group that only denies: such a token is a filtered one of an administrator.
    if groups.iter().any(|group| group == ADMINISTRATORS) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name} is an administrator, and apps would run with all rights: expected an account of their own"),
        ));
    }
    Ok(())
}

/// The groups of an account that logs on with this password, which ends in NUL; none where the system says that it has done so
/// and has nothing to show for it (Wine).
fn log_on(name: &str, password: &[u16], kind: LOGON32_LOGON) -> io::Result<Option<Vec<String>>> {
    let (domain, user) = match name.rsplit_once('\\') {
        Some((domain, user)) => (Some(wide(domain)), wide(user)),
        None => (None, wide(name)),
    };
    let mut token = ptr::null_mut();
    // SAFETY: all texts end in NUL and outlive the call, and `token` is writable.
    let done = unsafe {
        LogonUserW(
            user.as_ptr(),
            domain.as_ref().map_or(ptr::null(), |domain| domain.as_ptr()),
            password.as_ptr(),
            kind,
            LOGON32_PROVIDER_DEFAULT,
            &mut token,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    if token.is_null() {
        return Ok(None);
    }
    // SAFETY: just made for us, and ours alone.
    Ok(groups(&unsafe { OwnedHandle::from_raw_handle(token) }).ok())
}

/// Makes it a service's. The manager keeps the password, and tries it at a start only.
pub(super) fn set_account(service: &Service, account: &str, password: &Password) -> io::Result<()> {
    let password = password.wide().ok_or(io::ErrorKind::InvalidInput)?;
    let account = wide(account);
    // SAFETY: the handle is open as long as `service`; both texts end in NUL and outlive the call; the rest stays as it is.
    let done = unsafe {
        ChangeServiceConfigW(
            service.raw_handle(),
            SERVICE_NO_CHANGE,
            SERVICE_NO_CHANGE,
            SERVICE_NO_CHANGE,
            ptr::null(),
            ptr::null(),
            ptr::null_mut(),
            ptr::null(),
            account.as_ptr(),
            password.as_ptr(),
            ptr::null(),
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The identifiers of a token's groups.
fn groups(token: &OwnedHandle) -> io::Result<Vec<String>> {
    let mut length = 0;
    // SAFETY: nothing is written but the length, which is writable; it fails for want of a buffer.
    unsafe { GetTokenInformation(token.as_raw_handle(), TokenGroups, ptr::null_mut(), 0, &mut length) };
    // Of u64 for the alignment of what is written to it.
    let mut buffer = vec![0_u64; (length as usize).div_ceil(size_of::<u64>()).max(1)];
    let size = u32::try_from(size_of_val(buffer.as_slice())).map_err(io::Error::other)?;
    // SAFETY: the buffer is writable and as large as said.
    let known = unsafe {
        GetTokenInformation(token.as_raw_handle(), TokenGroups, buffer.as_mut_ptr().cast(), size, &mut length)
    };
    if known == 0 {
        return Err(io::Error::last_os_error());
    }
    let told = buffer.as_ptr().cast::<TOKEN_GROUPS>();
    // SAFETY: the system has put a TOKEN_GROUPS there, with as many groups as it says, all of it in the buffer.
    let groups: &[SID_AND_ATTRIBUTES] =
        unsafe { std::slice::from_raw_parts((&raw const (*told).Groups).cast(), (*told).GroupCount as usize) };
    groups.iter().map(|group| account::show(group.Sid)).collect()
}

#[cfg(test)]
mod tests {
    use windows_sys::Win32::Security::TOKEN_QUERY;
    use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

    use super::*;

    #[test]
    fn the_groups_of_a_token_are_read() {
        let mut token = ptr::null_mut();
        // SAFETY: the pseudo handle needs no closing; `token` is writable.
        assert_ne!(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) }, 0);
        // SAFETY: just opened, and ours alone.
        let token = unsafe { OwnedHandle::from_raw_handle(token) };
        let groups = groups(&token).unwrap();
        assert!(groups.iter().any(|group| group == "S-1-1-0"), "everybody is of Everyone: {groups:?}");
    }

    #[test]
    fn an_account_that_is_not_there_is_an_error() {
        assert!(try_logon(r"NoSuchDomain\nobody", &Password::new(b"x".to_vec())).is_err());
    }
}
