//! What a machine says of itself to somebody who looks for what is wrong with it: accounts, disks, clocks, limits, ports,
//! firewall. Used by `tidegate doctor`, and by the app server to say under which account it runs. It only reads, and
//! judges nothing; what a system does not tell is `None`.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::access::Rule;
use crate::sys;
use crate::{ServiceState, StartType};

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

/// The code page of functions that take bytes, which the manifest of our programs asks to be UTF-8, [`UTF_8`] (Windows).
pub fn code_page() -> Option<u32> {
    sys::machine::code_page()
}

/// Windows' number for UTF-8.
pub const UTF_8: u32 = 65001;

/// Ports that the system gives to nobody (Windows).
pub fn excluded_ports() -> Vec<RangeInclusive<u16>> {
    sys::machine::excluded_ports()
}

/// What keeps the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clock {
    /// The kernel of Linux, steered by a time service or not.
    Kernel {
        /// Whether it was told that nobody steers it.
        is_unsynchronised: bool,
        /// By how much it may be wrong, by its own account.
        error: Duration,
    },
    /// The time service of Windows (W32Time).
    Service(TimeService),
}

/// The time service of Windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeService {
    /// What it does.
    pub state: ServiceState,
    /// How it is started.
    pub start: Option<StartType>,
    /// Where it takes the time from: `NTP`, `NT5DS` (the domain), `AllSync`, `NoSync`.
    pub source: Option<String>,
    /// The servers of `NTP`, `time.windows.com,0x9`.
    pub servers: Option<String>,
}

/// What keeps the clock. No other machine is asked.
pub fn clock() -> io::Result<Clock> {
    sys::machine::clock()
}

/// The scanner of Windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defender {
    /// Whether it looks into files when they are opened.
    pub scans: bool,
    /// Files and directories that it leaves out, or why that cannot be known.
    pub paths: Result<Vec<String>, String>,
    /// Programs whose files it leaves out.
    pub processes: Result<Vec<String>, String>,
}

/// The system's scanner. `None` where it has none of its own (Linux).
pub fn defender() -> Option<Defender> {
    sys::machine::defender()
}

/// Whether an account may read a file or directory, or write to it; `None` where that cannot be told for sure. Linux tells
/// root alone; Windows' lists tell of services' own accounts, and of others what is granted to them by name.
pub fn may_use(account: &str, path: &Path, write: bool) -> Option<bool> {
    sys::machine::may_use(account, None, path, write)
}

/// The same of a service that has the group of another account, `host`, beside its own (Linux).
pub fn may_use_as_guest(account: &str, host: &str, path: &Path, write: bool) -> Option<bool> {
    sys::machine::may_use(account, Some(host).filter(|host| *host != account), path, write)
}

/// Whether a service that has the group of another account, `host`, beside its own may reach what is in a directory (Linux asks the
/// kernel as root; on Windows everybody may).
pub fn may_pass(account: &str, host: &str, directory: &Path) -> bool {
    sys::machine::may_pass(account, host, directory)
}

/// The command by which an administrator keeps a file or directory from everybody but those whom the rule names.
pub fn protect_command(path: &Path, rule: &Rule) -> String {
    sys::machine::protect_command(path, rule)
}

/// The command by which an administrator keeps everybody from writing to a place that services run from; their accounts
/// read it.
pub fn close_command(path: &Path, readers: &[String]) -> String {
    sys::machine::close_command(path, readers)
}

/// The command by which a place becomes the administrators'.
pub fn own_command(path: &Path) -> String {
    sys::machine::own_command(path)
}

/// The command by which an administrator lets an account read a file or directory, or write to it.
pub fn grant_command(path: &Path, account: &str, write: bool) -> String {
    sys::machine::grant_command(path, account, write)
}

/// The firewall of Windows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Names of the profiles in which it is on: `domain`, `private`, `public`.
    pub on: Vec<String>,
    /// Names of the profiles that apply now, if the system tells.
    pub active: Option<Vec<String>>,
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
