//! Directories that are nobody's alone. The site file is refused if it gives one to Tidegate, because a service's account
//! gets what is Tidegate's own with all that is below. It only looks at names; whether they are there does not matter.

use std::path::Path;

use crate::sys;

/// What a directory is that cannot be one program's own, given with links resolved; `None` for any other.
pub fn shared_directory(path: &Path) -> Option<&'static str> {
    if path.parent().is_none() {
        return Some("the root of a file system");
    }
    if sys::directories::is_home(path) {
        return Some("a home directory");
    }
    sys::directories::is_shared(path).then_some("a directory of the system")
}

/// Whether a path lies where the system keeps programs' data, and lets everybody make files by default (ProgramData on Windows).
pub fn is_below_shared_data(path: &Path) -> bool {
    sys::directories::is_below_shared_data(path)
}
