//! The console at standard input, with and without echo.

use std::io::{self, stdin};
use std::os::windows::io::AsRawHandle as _;

use windows_sys::Win32::System::Console::{CONSOLE_MODE, ENABLE_ECHO_INPUT, GetConsoleMode, SetConsoleMode};

/// Restores the console's mode when dropped.
#[derive(Debug)]
pub(crate) struct Quiet(CONSOLE_MODE);

impl Quiet {
    pub(crate) fn start() -> io::Result<Self> {
        let mut before = 0;
        // SAFETY: the handle is this process's standard input, and `before` is writable.
        if unsafe { GetConsoleMode(stdin().as_raw_handle(), &mut before) } == 0 {
            return Err(io::Error::last_os_error());
        }
        set(before & !ENABLE_ECHO_INPUT)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A console that has gone needs nothing.
        let _ = set(self.0);
    }
}

fn set(mode: CONSOLE_MODE) -> io::Result<()> {
    // SAFETY: the handle is this process's standard input.
    if unsafe { SetConsoleMode(stdin().as_raw_handle(), mode) } == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
