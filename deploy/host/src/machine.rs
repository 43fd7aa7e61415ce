//! What a machine says of itself to somebody who looks for what is wrong with it: accounts, disks, clocks, limits, ports,
//! firewall. Used by `tidegate doctor`, and by the app server to say under which account it runs. It only reads, and
//! judges nothing; what a system does not tell is `None`.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::sys;

/// The account that this process runs under.
pub fn own_account() -> String {
    sys::machine::own_account().unwrap_or_else(|| "an account without a name".to_owned())
}

/// Whether this process may do everything on this machine.
pub fn is_administrator() -> bool {
    sys::machine::is_administrator()
}

/// Bytes that may still be written to the file system of this path, which has to be there.
pub fn free_space(path: &Path) -> io::Result<u64> {
    sys::machine::free_space(path)
}

/// How many files a process may have open, this one if none is named; `None` where there is no such limit, or it may not
/// be asked.
pub fn file_limit(pid: Option<u32>) -> Option<u64> {
    sys::machine::file_limit(pid)
}

/// Ports that the system gives to nobody (Windows).
pub fn excluded_ports() -> Vec<RangeInclusive<u16>> {
    sys::machine::excluded_ports()
}

/// Whether the clock is kept by another one, where the system tells without asking others.
pub fn is_clock_synchronised() -> Option<bool> {
    sys::machine::is_clock_synchronised()
}

/// Whether the system usually has a scanner that looks into every file when it is opened.
pub fn scans_files() -> bool {
    sys::machine::SCANS_FILES
}

/// Whether an account may read a file or directory, or write to it; `None` where that cannot be told for sure. Linux tells
/// root alone; Windows' lists tell of services' own accounts, and of others what is granted to them by name.
pub fn may_use(account: &str, path: &Path, write: bool) -> Option<bool> {
    sys::machine::may_use(account, path, write)
}

/// The command by which an administrator keeps a secret from everybody but an account.
pub fn protect_command(path: &Path, account: Option<&str>) -> String {
    sys::machine::protect_command(path, account)
}

/// The command by which an administrator lets an account read a file or directory, or write to it.
pub fn grant_command(path: &Path, account: &str, write: bool) -> String {
    sys::machine::grant_command(path, account, write)
}

/// The firewall of Windows, as the registry has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Names of the profiles in which it is on.
    pub on: Vec<String>,
    /// Its rules, `v2.31|Action=Allow|Active=TRUE|Dir=In|...`.
    pub rules: Vec<String>,
}

/// The system's firewall. `Ok(None)` where this program does not know one (Linux).
pub fn firewall() -> io::Result<Option<Firewall>> {
    sys::machine::firewall()
}

/// The command that runs a program under another account, if this process may: it has no password to give.
pub fn command_as(account: &str, program: &Path) -> Option<(PathBuf, Vec<std::ffi::OsString>)> {
    sys::machine::command_as(account, program)
}
