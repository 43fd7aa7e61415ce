//! A machine's own figures on Linux.

use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::access;
use crate::access::Rule;
use crate::find_program;
use crate::machine::{Clock, Defender, Firewall};

/// A path is bytes here, whatever the locale says.
pub(crate) fn code_page() -> Option<u32> {
    None
}

pub(crate) fn own_account() -> Option<String> {
    let output = Command::new("id").arg("-un").output().ok()?;
    let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    // SAFETY: geteuid has no preconditions and cannot fail.
    Some(if name.is_empty() { format!("user {}", unsafe { libc::geteuid() }) } else { name })
}

pub(crate) fn is_administrator() -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

pub(crate) fn free_space(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a structure of numbers, for which zeroes are valid.
    let mut told: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends in NUL, and `told` is writable.
    if unsafe { libc::statvfs(path.as_ptr(), &mut told) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(told.f_bavail.saturating_mul(told.f_frsize))
}

pub(crate) fn file_limit(pid: Option<u32>) -> Option<u64> {
    let process = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    parse_file_limit(&fs::read_to_string(format!("/proc/{process}/limits")).ok()?)
}

/// The hard limit: programs raise theirs to it.
fn parse_file_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

pub(crate) fn excluded_ports() -> Vec<RangeInclusive<u16>> {
    Vec::new()
}

/// As the kernel has it from whoever steers the clock.
pub(crate) fn clock() -> io::Result<Clock> {
    // SAFETY: a structure of numbers, for which zeroes are valid; with no mode set nothing is changed.
    let mut told: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `told` is writable.
    if unsafe { libc::adjtimex(&mut told) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(Clock::Kernel {
        is_unsynchronised: told.status & libc::STA_UNSYNC != 0,
        error: Duration::from_micros(u64::try_from(told.maxerror).unwrap_or_default()),
    })
}

/// Scanners of several makers, none of which has to be there.
pub(crate) fn defender() -> Option<Defender> {
    None
}

/// There are several, none of which has to be there.
pub(crate) fn firewall() -> io::Result<Option<Firewall>> {
    Ok(None)
}

pub(crate) fn command_as(account: &str, program: &Path) -> Option<(PathBuf, Vec<OsString>)> {
    if !is_administrator() {
        return None;
    }
    Some((find_program("runuser")?, vec!["-u".into(), account.into(), "--".into(), program.into()]))
}

/// Asked of the kernel under that account, so that groups and the directories above count.
pub(crate) fn may_use(account: &str, host: Option<&str>, path: &Path, write: bool) -> Option<bool> {
    let (program, mut arguments) = match host {
        None => command_as(account, &find_program("test")?)?,
        Some(host) => command_as_guest(account, host, &find_program("test")?)?,
    };
    arguments.extend([if write { "-w" } else { "-r" }.into(), path.into()]);
    Some(Command::new(program).args(arguments).output().ok()?.status.success())
}

pub(crate) fn may_pass(account: &str, host: &str, directory: &Path) -> bool {
    let test = find_program("test").and_then(|test| command_as_guest(account, host, &test));
    let Some((program, arguments)) = test else { return false };
    let passed = Command::new(program).args(arguments).arg("-x").arg(directory).output();
    passed.is_ok_and(|output| output.status.success())
}

/// With the groups that the account has, and the own one of `host`.
fn command_as_guest(account: &str, host: &str, program: &Path) -> Option<(PathBuf, Vec<OsString>)> {
    if !is_administrator() {
        return None;
    }
    let own = access::owner(account).ok()?;
    let groups = Command::new("id").arg("-G").arg(account).output().ok().filter(|output| output.status.success())?;
    let groups = String::from_utf8(groups.stdout).ok()?;
    let mut groups: Vec<String> = groups.split_ascii_whitespace().map(str::to_owned).collect();
    groups.push(access::owner(host).ok()?.group.to_string());
    let mut arguments: Vec<OsString> = Vec::new();
    for (option, value) in
        [("--reuid", own.user.to_string()), ("--regid", own.group.to_string()), ("--groups", groups.join(","))]
    {
        arguments.extend([option.into(), value.into()]);
    }
    arguments.extend(["--".into(), program.into()]);
    Some((find_program("setpriv")?, arguments))
}

pub(crate) fn protect_command(path: &Path, rule: &Rule) -> String {
    let path = path.display();
    match access::sole(rule) {
        Some(account) if !rule.others.is_empty() => {
            format!("`chown root:{account} '{path}' && chmod u=rw,g=r,o= '{path}'`")
        }
        _ => format!("`chmod o-rwx '{path}'`"),
    }
}

pub(crate) fn close_command(path: &Path, _readers: &[String]) -> String {
    format!("`chmod go-w '{}'`", path.display())
}

pub(crate) fn own_command(path: &Path) -> String {
    format!("`chown root: '{}'`", path.display())
}

pub(crate) fn grant_command(path: &Path, account: &str, write: bool) -> String {
    let path = path.display();
    if write {
        format!("`chown -R {account}: '{path}'`")
    } else {
        format!(
            "`chgrp {account} '{path}' && chmod g+r '{path}'`, and `chmod` the directories above it so that {account} may pass"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hard_limit_of_open_files_is_found() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             63432                63432                processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(parse_file_limit(limits), Some(524_288));
        assert_eq!(
            parse_file_limit("Max open files            1024                 unlimited            files"),
            Some(u64::MAX)
        );
        assert!(file_limit(None).is_some());
        assert_eq!(parse_file_limit(""), None);
    }

    #[test]
    fn the_kernel_tells_of_the_clock() {
        match clock() {
            Ok(Clock::Kernel { error, .. }) => assert!(error <= Duration::from_secs(17), "{error:?}"),
            Ok(other) => panic!("{other:?}"),
            // A container may forbid even the question.
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}"),
        }
    }

    #[test]
    fn a_disk_tells_its_free_space() {
        assert!(free_space(Path::new("/")).is_ok());
        assert_eq!(free_space(Path::new("/no such place")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
