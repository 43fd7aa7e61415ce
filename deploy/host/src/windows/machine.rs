//! A machine's own figures on Windows.

use std::ffi::OsString;
use std::io;
use std::ops::RangeInclusive;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, ERROR_SUCCESS};
use windows_sys::Win32::Security::Authentication::Identity::{GetUserNameExW, NameSamCompatible};
use windows_sys::Win32::Security::{GetTokenInformation, TOKEN_ELEVATION, TOKEN_QUERY, TokenElevation};
use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_LOCAL_MACHINE, KEY_READ, REG_SZ, RRF_RT_REG_DWORD, RegCloseKey, RegEnumValueW, RegGetValueW,
    RegOpenKeyExW,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::file::wide;
use crate::access::{Access, Rule};
use crate::machine::Firewall;

/// Where the firewall's own rules are, and those of group policies.
const RULES: [&str; 2] = [
    r"SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\FirewallRules",
    r"SOFTWARE\Policies\Microsoft\WindowsFirewall\FirewallRules",
];

/// Where it says whether it is on, by the kind of network.
const POLICY: &str = r"SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy";
const PROFILES: [(&str, &str); 3] =
    [("DomainProfile", "domain"), ("StandardProfile", "private"), ("PublicProfile", "public")];

/// Defender, or another in its place.
pub(crate) const SCANS_FILES: bool = true;

/// A rule is some hundred characters long.
const LONGEST_RULE: usize = 16 << 10;
/// The longest name of a value.
const LONGEST_NAME: usize = 16_384;

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

/// Only a service of the system's knows.
pub(crate) fn is_clock_synchronised() -> Option<bool> {
    None
}

pub(crate) fn firewall() -> io::Result<Option<Firewall>> {
    let mut firewall = Firewall::default();
    for (key, name) in PROFILES {
        if number(&format!(r"{POLICY}\{key}"), "EnableFirewall")? != 0 {
            firewall.on.push(name.to_owned());
        }
    }
    let [own, policies] = RULES;
    firewall.rules = texts(own)?;
    match texts(policies) {
        Ok(rules) => firewall.rules.extend(rules),
        // Most machines have no policies.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(Some(firewall))
}

/// A number in the registry.
fn number(key: &str, name: &str) -> io::Result<u32> {
    let (key, name) = (wide(key), wide(name));
    let mut value = 0_u32;
    let mut size = size_of::<u32>() as u32;
    // SAFETY: both names end in NUL; the value has the size given.
    result(unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            key.as_ptr(),
            name.as_ptr(),
            RRF_RT_REG_DWORD,
            ptr::null_mut(),
            (&raw mut value).cast(),
            &mut size,
        )
    })?;
    Ok(value)
}

/// An open key of the registry.
struct Key(HKEY);

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: open, and closed once.
        unsafe { RegCloseKey(self.0) };
    }
}

/// Every text that a key has as a value.
fn texts(key: &str) -> io::Result<Vec<String>> {
    let name = wide(key);
    let mut opened: HKEY = ptr::null_mut();
    // SAFETY: the name ends in NUL, and `opened` is writable.
    result(unsafe { RegOpenKeyExW(HKEY_LOCAL_MACHINE, name.as_ptr(), 0, KEY_READ, &mut opened) })?;
    let key = Key(opened);
    let mut found = Vec::new();
    let mut name = vec![0_u16; LONGEST_NAME];
    let mut value = vec![0_u16; LONGEST_RULE];
    for at in 0.. {
        let mut name_length = name.len() as u32;
        let mut size = size_of_val(value.as_slice()) as u32;
        let mut kind = 0;
        // SAFETY: the key is open, and both buffers are writable and as large as said.
        let code = unsafe {
            RegEnumValueW(
                key.0,
                at,
                name.as_mut_ptr(),
                &mut name_length,
                ptr::null(),
                &mut kind,
                value.as_mut_ptr().cast(),
                &mut size,
            )
        };
        match code {
            ERROR_NO_MORE_ITEMS => break,
            // None that concerns a port is as long.
            ERROR_MORE_DATA => continue,
            code => result(code)?,
        }
        if kind == REG_SZ {
            let text = String::from_utf16_lossy(value.get(..size as usize / 2).unwrap_or_default());
            found.push(text.trim_end_matches('\0').to_owned());
        }
    }
    Ok(found)
}

fn result(code: u32) -> io::Result<()> {
    match code {
        ERROR_SUCCESS => Ok(()),
        ERROR_FILE_NOT_FOUND => Err(io::Error::new(io::ErrorKind::NotFound, "the registry does not have it")),
        code => Err(io::Error::from_raw_os_error(code.cast_signed())),
    }
}

/// A service's own account has no password, and nobody but the system can start a process under it.
pub(crate) fn command_as(_account: &str, _program: &Path) -> Option<(PathBuf, Vec<OsString>)> {
    None
}

pub(crate) fn may_use(account: &str, path: &Path, write: bool) -> Option<bool> {
    lets_in(&crate::access::describe(path).ok()?, account, write)
}

/// Groups of a domain are not followed, so an account that is named in no entry may still be let in by one.
pub(super) fn lets_in(access: &Access, account: &str, write: bool) -> Option<bool> {
    let accounts = vec![account.to_owned()];
    let rule = if write {
        Rule { writers: accounts, ..Rule::default() }
    } else {
        Rule { readers: accounts, ..Rule::default() }
    };
    let is_let_in = access.missing(&rule).ok()?.is_empty();
    (is_let_in || account.starts_with(r"NT SERVICE\")).then_some(is_let_in)
}

pub(crate) fn protect_command(path: &Path, account: Option<&str>) -> String {
    let account = account.map(|account| format!(" \"{account}:R\"")).unwrap_or_default();
    // By identifiers, because these groups have other names in other languages.
    format!("`icacls \"{}\" /inheritance:r /grant:r *S-1-5-18:F *S-1-5-32-544:F{account}`", path.display())
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
    fn the_registry_is_read() {
        let version = texts(r"SOFTWARE\Microsoft\Windows NT\CurrentVersion").unwrap();
        assert!(version.iter().any(|text| text.contains("Windows")), "{version:?}");
        assert_eq!(texts(r"SOFTWARE\no such key").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_account_and_the_disk_are_told() {
        assert!(own_account().is_some_and(|name| !name.is_empty()));
        assert!(free_space(Path::new(r"C:\")).is_ok());
    }
}
