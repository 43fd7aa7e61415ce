//! The terminal at standard input, with and without echo.

use std::io;
use std::mem::MaybeUninit;

/// Restores the terminal's settings when dropped.
pub(crate) struct Quiet(libc::termios);

impl std::fmt::Debug for Quiet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Quiet")
    }
}

impl Quiet {
    pub(crate) fn start() -> io::Result<Self> {
        let mut before = MaybeUninit::uninit();
        // SAFETY: `before` is writable and of the kind that is asked for.
        if unsafe { libc::tcgetattr(libc::STDIN_FILENO, before.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has filled it.
        let before = unsafe { before.assume_init() };
        let mut quiet = before;
        quiet.c_lflag &= !libc::ECHO;
        set(&quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing.
        let _ = set(&self.0);
    }
}

fn set(settings: &libc::termios) -> io::Result<()> {
    // SAFETY: the settings are valid for the call. What was typed before is thrown away.
    let done = unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSAFLUSH, settings) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
