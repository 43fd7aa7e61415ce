//! The ways out of the process.

use std::thread;
use std::time::Duration;

use crate::log;

unsafe extern "C" {
    /// The C library's, on every system: ends the process without running anything in it.
    fn _exit(code: i32) -> !;
}

/// Ends the process as soon as its last lines are written. Nothing else runs: destructors and exit functions of libraries that
/// other threads are still using are what makes leaving dangerous.
pub(crate) fn at_once(code: i32) -> ! {
    log::finish();
    // SAFETY: takes a plain number and does not return.
    unsafe { _exit(code) }
}

/// Ends the process with `code` after `patience`, unless it has ended by then.
pub(crate) fn after(patience: Duration, code: i32) {
    let started = thread::Builder::new().name("tidegate-exit".to_owned()).spawn(move || {
        thread::sleep(patience);
        log::line("leaving although the app has not finished");
        at_once(code)
    });
    if started.is_err() {
        log::line("failed to start the thread that bounds the exit");
    }
}
