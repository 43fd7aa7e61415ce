//! Directories of Windows that are never one program's own. Names are compared without regard to case, as the file
//! system does.

use std::path::{Path, PathBuf};

/// Variables that name directories of the system or of everybody. What lies below may well be a program's.
const SHARED: [&str; 6] =
    ["ProgramData", "ProgramFiles", "ProgramFiles(x86)", "CommonProgramFiles", "CommonProgramFiles(x86)", "PUBLIC"];

pub(crate) fn is_shared(path: &Path) -> bool {
    let system = directory("SystemRoot");
    SHARED.iter().filter_map(|name| directory(name)).any(|shared| is_same(path, &shared))
        || users().is_some_and(|users| is_same(path, &users))
        || system.is_some_and(|system| path.ancestors().any(|above| is_same(above, &system)))
}

pub(crate) fn is_home(path: &Path) -> bool {
    let is_beside_others = path.parent().zip(users()).is_some_and(|(above, users)| is_same(above, &users));
    is_beside_others || directory("USERPROFILE").is_some_and(|home| is_same(path, &home))
}

pub(crate) fn is_below_shared_data(path: &Path) -> bool {
    directory("ProgramData").is_some_and(|data| path.ancestors().skip(1).any(|above| is_same(above, &data)))
}

/// Where the homes are.
fn users() -> Option<PathBuf> {
    directory("PUBLIC")?.parent().map(Path::to_owned)
}

fn directory(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn is_same(one: &Path, other: &Path) -> bool {
    // By parts, so that a separator at the end does not matter.
    one.components().count() == other.components().count()
        && one
            .components()
            .zip(other.components())
            .all(|(one, other)| one.as_os_str().eq_ignore_ascii_case(other.as_os_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_one_programs_own_is_known() {
        let data = directory("ProgramData").unwrap();
        assert!(is_shared(&data) && is_shared(Path::new(&data.to_string_lossy().to_uppercase())));
        assert!(!is_shared(&data.join("shop")));
        assert!(is_below_shared_data(&data.join("shop").join("app")) && !is_below_shared_data(&data));
        let system = directory("SystemRoot").unwrap();
        assert!(is_shared(&system) && is_shared(&system.join("System32")));
        assert!(is_home(&directory("USERPROFILE").unwrap()) && !is_home(&data));
    }
}
