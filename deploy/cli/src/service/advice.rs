//! What to do about what the service manager refuses: one table for all verbs.

use std::io;

use tidegate_host::Obstacle;

use crate::failure::Failure;

/// The failure of something that was asked of the service manager.
pub(crate) fn failed(error: io::Error) -> Failure {
    let obstacle = tidegate_host::obstacle(&error);
    Failure::new(error.to_string()).next(obstacle.map_or(OTHERWISE, next))
}

const OTHERWISE: &str =
    "`tidegate service status --all` shows the services that are there; the system's own log may say more";

fn next(obstacle: Obstacle) -> &'static str {
    match obstacle {
        Obstacle::Rights => "services are the administrator's: run this in an elevated console (as root)",
        Obstacle::NoManager => {
            "services need Windows or a system that systemd has booted; elsewhere `tidegate up` runs the site"
        }
        Obstacle::NoService => {
            "`tidegate service status --all` shows the services that are there; --name chooses a set"
        }
        Obstacle::NoProgram => {
            "the service's program is gone: `tidegate service install` of this installation names its own"
        }
        Obstacle::NoAccount => {
            "name an account that exists with --account, or `--account default` for each service's own"
        }
        Obstacle::Logon => {
            "its account may not log on as a service, or its password has changed: `tidegate service install --account ACCOUNT` asks for \
             that again and gives the right to an account with a password; by hand: secpol.msc, Local Policies, User Rights \
             Assignment"
        }
        Obstacle::Disabled => {
            "it is disabled: `tidegate service install --automatic` lets it start with the system again"
        }
        Obstacle::Leaving => {
            "it was removed, and goes when nobody looks at it any more: close services.msc, Task Manager and other consoles, \
             then try again"
        }
        Obstacle::NoAnswer => {
            "its process did not answer in time: `tidegate logs` and the event log (Application) say how far it came; a scan of \
             its programs by an antivirus can take long"
        }
        Obstacle::Busy => "it starts or stops at this moment: wait for it to settle, then try again",
        Obstacle::Runs => "it runs already: `tidegate service restart` starts it anew",
        Obstacle::Exists => "another program has a service of this name: choose another set with --name",
        Obstacle::TitleTaken => {
            "another service has the same title: remove that one, or choose another set with --name"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_obstacle_has_a_next_step_of_its_own() {
        let of = |kind: io::ErrorKind| failed(io::Error::new(kind, "text")).next_step().to_owned();
        assert!(of(io::ErrorKind::PermissionDenied).contains("elevated"));
        assert!(of(io::ErrorKind::NotFound).contains("--all"));
        assert!(of(io::ErrorKind::Unsupported).contains("tidegate up"));
        assert_eq!(of(io::ErrorKind::Other), OTHERWISE);
    }
}
