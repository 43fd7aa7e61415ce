//! Runs systemctl and other programs of the system, and says of what kind their failures are. Used by `service`.

use std::io;
use std::process::Command;

/// Runs systemctl.
pub(super) fn systemctl(arguments: &[&str]) -> io::Result<()> {
    run_quietly(Command::new("systemctl").args(arguments))
}

/// Runs a program of the system; what it says counts only where it fails.
pub(super) fn run_quietly(command: &mut Command) -> io::Result<()> {
    run_for_output(command).map(drop)
}

/// The same, for what it prints.
pub(super) fn run_for_output(command: &mut Command) -> io::Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| {
        let kind = if error.kind() == io::ErrorKind::NotFound { io::ErrorKind::Unsupported } else { error.kind() };
        io::Error::new(kind, format!("failed to run {program}: {error}"))
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim();
        return Err(io::Error::new(kind(output.status.code(), said), format!("{program} failed: {said}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What systemctl means by its exit code (those of LSB for the most part) and, where that is 1, by its words.
fn kind(code: Option<i32>, said: &str) -> io::ErrorKind {
    match code {
        Some(4) => io::ErrorKind::PermissionDenied,
        Some(5) => io::ErrorKind::NotFound,
        _ if said.contains("not been booted with systemd") || said.contains("Failed to connect to bus") => {
            io::ErrorKind::Unsupported
        }
        _ if ["Access denied", "authentication required", "Permission denied"]
            .iter()
            .any(|word| said.contains(word)) =>
        {
            io::ErrorKind::PermissionDenied
        }
        _ => io::ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemctl_means_is_told_apart() {
        for (code, said, expected) in [
            (4, "", io::ErrorKind::PermissionDenied),
            (5, "Failed to start x.service: Unit x.service not found.", io::ErrorKind::NotFound),
            (1, "Failed to start x.service: Access denied", io::ErrorKind::PermissionDenied),
            (1, "System has not been booted with systemd as init system (PID 1).", io::ErrorKind::Unsupported),
            (1, "Job for x.service failed.", io::ErrorKind::Other),
        ] {
            assert_eq!(kind(Some(code), said), expected, "{code} {said}");
        }
    }
}
