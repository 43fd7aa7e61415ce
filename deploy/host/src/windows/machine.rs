//! A machine's own figures on Windows.

use std::ffi::OsString;
use std::io;
use std::ops::RangeInclusive;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;

use windows_sys::Win32::Security::Authentication::Identity::{GetUserNameExW, NameSamCompatible};
use windows_sys::Win32::Security::{GetTokenInformation, TOKEN_ELEVATION, TOKEN_QUERY, TokenElevation};
use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

pub(crate) use super::clock::clock;
pub(crate) use super::defender::defender;
use super::file::wide;
pub(crate) use super::firewall::firewall;
use crate::access::{Access, Rule};

pub(crate) fn own_account() -> Option<String> {
    let mut name = [0_u16; 512];
    let mut length = name.len() as u32;
    // SAFETY: the buffer is writable and as long as said.
    let told = unsafe { GetUserNameExW(NameSamCompatible, name.as_mut_ptr(), &mut length) };
    told.then(|| String::from_utf16_lossy(name.get(..length as usize).unwrap_or_default()))
}

pub(crate) fn is_administrator() -> bool {
    let mut token = ptr::null_mut();
    // SAFETY: the pseudo handle needs no closing; `token` is writable.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) } == 0 {
        return false;
    }
    // SAFETY: just opened, and ours alone.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    let mut elevation = TOKEN_ELEVATION::default();
    let mut length = 0;
    // SAFETY: the buffer is writable and as large as said.
    let known = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenElevation,
            (&raw mut elevation).cast(),
            size_of::<TOKEN_ELEVATION>() as u32,
            &mut length,
        )
    };
    known != 0 && elevation.TokenIsElevated != 0
}

pub(crate) fn free_space(path: &Path) -> io::Result<u64> {
    let path = wide(path);
    let mut free = 0;
    // SAFETY: the path ends in NUL, and `free` is writable; the others are not asked for.
    if unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &mut free, ptr::null_mut(), ptr::null_mut()) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(free)
}

#[link(name = "kernel32")]
unsafe extern "system" {
    /// Of the process, not of the console.
    safe fn GetACP() -> u32;
}

pub(crate) fn code_page() -> Option<u32> {
    Some(GetACP())
}

/// Handles have no limit that anybody meets.
pub(crate) fn file_limit(_pid: Option<u32>) -> Option<u64> {
    None
}

/// The system has no documented call for them.
pub(crate) fn excluded_ports() -> Vec<RangeInclusive<u16>> {
    let mut ask = Command::new("netsh");
    let shown = ask.args(["interface", "ipv4", "show", "excludedportrange", "protocol=tcp"]).output();
    shown.map(|output| parse_ranges(&String::from_utf8_lossy(&output.stdout))).unwrap_or_default()
}

/// Lines with two numbers, and perhaps a star; the words around them are in the system's language.
fn parse_ranges(table: &str) -> Vec<RangeInclusive<u16>> {
    let range = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (first, last) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        matches!(words.next(), None | Some("*")).then_some(first..=last)
    };
    table.lines().filter_map(range).collect()
}

/// A service's own account has no password, and nobody but the system can start a process under it.
pub(crate) fn command_as(_account: &str, _program: &Path) -> Option<(PathBuf, Vec<OsString>)> {
    None
}

/// Traverse checking is bypassed.
pub(crate) fn may_pass(_account: &str, _host: &str, _directory: &Path) -> bool {
    true
}

pub(crate) fn may_use(account: &str, _host: Option<&str>, path: &Path, write: bool) -> Option<bool> {
    lets_in(&crate::access::describe(path).ok()?, account, write)
}

/// Groups are not followed, so an entry that forbids something may be for any account; and an account that is named in no entry may still be let in by one.
pub(super) fn lets_in(access: &Access, account: &str, write: bool) -> Option<bool> {
    let accounts = vec![account.to_owned()];
    let rule = if write {
        Rule { writers: accounts, ..Rule::default() }
    } else {
        Rule { readers: accounts, ..Rule::default() }
    };
    let is_let_in = access.missing(&rule).ok()?.is_empty();
    if is_let_in && access.denies(write) {
        return None;
    }
    (is_let_in || account.starts_with(r"NT SERVICE\")).then_some(is_let_in)
}

pub(crate) fn protect_command(path: &Path, rule: &Rule) -> String {
    let readers = rule.readers.iter().map(|account| (account.as_str(), "R"));
    only_for(path, readers.chain(rule.writers.iter().map(|account| (account.as_str(), "M"))))
}

pub(crate) fn close_command(path: &Path, readers: &[String]) -> String {
    only_for(path, readers.iter().map(|account| (account.as_str(), "RX")))
}

/// The command that lets these accounts in, and SYSTEM and Administrators, and nobody else.
fn only_for<'a>(path: &Path, accounts: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let inherited = if path.is_dir() { "(OI)(CI)" } else { "" };
    let accounts: String = accounts.map(|(account, right)| format!(" \"{account}:{inherited}{right}\"")).collect();
    let path = path.display();
    // By identifiers, because these groups have other names in other languages.
    format!("`icacls \"{path}\" /inheritance:r /grant:r *S-1-5-18:{inherited}F *S-1-5-32-544:{inherited}F{accounts}`")
}

pub(crate) fn own_command(path: &Path) -> String {
    format!("`icacls \"{}\" /setowner *S-1-5-32-544`", path.display())
}

pub(crate) fn grant_command(path: &Path, account: &str, write: bool) -> String {
    let (path, right) = (path.display(), if write { "M" } else { "RX" });
    format!("`icacls \"{path}\" /grant \"{account}:(OI)(CI){right}\"` (without (OI)(CI) for a file)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excluded_ranges_are_read_in_any_language() {
        let table = "\r\nPortausschlussbereiche f\u{fc}r das Protokoll \"tcp\"\r\n\r\nStartport     Endport\r\n\
                     ----------    --------\r\n        80          80\r\n     50000       50059     *\r\n\r\n\
                     * - Verwaltete Portausschl\u{fc}sse.\r\n";
        assert_eq!(parse_ranges(table), [80..=80, 50000..=50059]);
        assert!(parse_ranges("").is_empty());
    }

    #[test]
    fn a_command_lets_in_whom_the_rule_names() {
        let [reader, writer] = ["NT SERVICE\\A", "NT SERVICE\\B"].map(str::to_owned);
        let rule = Rule { readers: vec![reader], writers: vec![writer], ..Rule::default() };
        assert_eq!(
            protect_command(Path::new(r"C:\no such file"), &rule),
            "`icacls \"C:\\no such file\" /inheritance:r /grant:r *S-1-5-18:F *S-1-5-32-544:F \"NT SERVICE\\A:R\" \"NT SERVICE\\B:M\"`"
        );
        let directory = protect_command(&std::env::temp_dir(), &rule);
        assert!(
            directory.contains("544:(OI)(CI)F \"NT SERVICE\\A:(OI)(CI)R\" \"NT SERVICE\\B:(OI)(CI)M\""),
            "{directory}"
        );
    }

    #[test]
    fn the_account_and_the_disk_are_told() {
        assert!(own_account().is_some_and(|name| !name.is_empty()));
        assert!(free_space(Path::new(r"C:\")).is_ok());
    }
}
