//! Directories of Linux that are never one program's own.

use std::path::Path;

/// Of the system, or of everybody. What lies below may well be a program's.
const SHARED: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/dev/shm",
    "/etc",
    "/etc/ssl",
    "/etc/ssl/private",
    "/etc/systemd",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/run/lock",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/sbin",
    "/usr/local/share",
    "/usr/sbin",
    "/usr/share",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/lock",
    "/var/log",
    "/var/opt",
    "/var/run",
    "/var/spool",
    "/var/tmp",
    "/var/www",
];

/// Of the system alone, with all that is below.
const SYSTEM: &[&str] = &["/bin", "/boot", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr/bin", "/usr/sbin"];

pub(crate) fn is_shared(path: &Path) -> bool {
    SHARED.iter().any(|shared| path == Path::new(shared)) || SYSTEM.iter().any(|system| path.starts_with(system))
}

pub(crate) fn is_home(path: &Path) -> bool {
    let own = std::env::var_os("HOME").filter(|home| !home.is_empty());
    path.parent() == Some(Path::new("/home"))
        || path == Path::new("/root")
        || own.is_some_and(|home| path == Path::new(&home))
}

/// There is none: /var/lib and the like are root's.
pub(crate) fn is_below_shared_data(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_one_programs_own_is_known() {
        for (path, shared, home) in [
            ("/etc", true, false),
            ("/etc/tidegate/.tidegate", false, false),
            ("/usr/bin/x", true, false),
            ("/var/lib", true, false),
            ("/var/lib/tidegate", false, false),
            ("/tmp", true, false),
            ("/tmp/x", false, false),
            ("/home/ada", false, true),
            ("/home/ada/shop/.tidegate", false, false),
            ("/root", true, true),
        ] {
            assert_eq!((is_shared(Path::new(path)), is_home(Path::new(path))), (shared, home), "{path}");
        }
    }
}
