//! Processes that are not this one's children, by their ids: workers belong to the app server.

use std::process::Command;

/// Ends a process at once, without a chance to say goodbye.
///
/// # Panics
/// When the system does not do it.
pub fn kill(pid: u32) {
    let output = if cfg!(windows) {
        Command::new("taskkill").args(["/F", "/PID", &pid.to_string()]).output()
    } else {
        Command::new("kill").args(["-KILL", &pid.to_string()]).output()
    };
    let output = output.unwrap();
    assert!(output.status.success(), "could not kill {pid}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Sends a signal by its name, such as `STOP`. For tests of Unix' own ways.
///
/// # Panics
/// When the process is not there.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(status.success(), "could not send {name} to {pid}");
}

/// Whether a process is there and is more than the entry of a dead one.
pub fn is_alive(pid: u32) -> bool {
    tidegate_host::resident_memory(pid).is_some_and(|bytes| bytes > 0)
}
