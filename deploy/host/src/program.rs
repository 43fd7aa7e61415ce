//! Where programs are: Python interpreters, and Tidegate's own files beside the running executable.
//! Used by the app server and the command; starts nothing.

use std::env;
use std::path::{Path, PathBuf};

use crate::sys;

/// The interpreter of a virtual environment.
pub fn venv_python(venv: &Path) -> PathBuf {
    venv.join(sys::VENV_PYTHON)
}

/// Where the interpreter of an environment may be: as virtualenvs have it, and as conda does.
pub fn environment_pythons(environment: &Path) -> [PathBuf; 2] {
    [sys::VENV_PYTHON, sys::CONDA_PYTHON].map(|place| environment.join(place))
}

/// Names under which Python is searched for on PATH, best first.
pub fn python_names() -> &'static [&'static str] {
    sys::PYTHON_NAMES
}

/// File names of the worker library, in the order in which they are looked for.
pub fn worker_library_names() -> &'static [&'static str] {
    sys::WORKER_LIBRARY_NAMES
}

/// The file name of a program: `.exe` is added where programs have it.
pub fn program_name(stem: &str) -> String {
    format!("{stem}{}", sys::PROGRAM_SUFFIX)
}

/// The first program called `name` on PATH. Relative entries of PATH are passed over: what they
/// mean changes with the working directory.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .flat_map(|dir| [dir.join(name), dir.join(program_name(name))])
        .find(|candidate| sys::is_program(candidate))
}

/// The first of these files that exists beside the running executable.
pub fn beside_executable(names: &[&str]) -> Option<PathBuf> {
    let executable = env::current_exe().ok()?;
    // A link in /usr/local/bin leads to where the rest of Tidegate is.
    let executable = plain(executable.canonicalize().unwrap_or(executable));
    let directory = executable.parent()?;
    names.iter().map(|name| directory.join(name)).find(|file| file.is_file())
}

/// Whether both paths lead to the same file or directory, as far as they are there; below a drive of Windows the case of
/// letters does not matter.
pub fn is_same_path(one: &Path, other: &Path) -> bool {
    comparable(one) == comparable(other)
}

fn comparable(path: &Path) -> String {
    let path = plain(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
    let text = path.display().to_string();
    let is_on_drive = text.as_bytes().get(1) == Some(&b':');
    let text = text.trim_end_matches(['/', '\\']);
    if is_on_drive { text.to_lowercase() } else { text.to_owned() }
}

/// A path on a drive of Windows without the prefix `\\?\` that resolving links adds: services and firewall rules are known by
/// the path as people write it.
fn plain(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_prefix(r"\\?\")) {
        Some(rest) if rest.as_bytes().get(1) == Some(&b':') => PathBuf::from(rest),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_on_drives_are_as_people_write_them() {
        for (path, expected) in [
            (r"\\?\C:\Program Files\Tidegate\tidegate.exe", r"C:\Program Files\Tidegate\tidegate.exe"),
            (r"\\?\UNC\server\share\tidegate.exe", r"\\?\UNC\server\share\tidegate.exe"),
            ("/usr/lib/tidegate/tidegate", "/usr/lib/tidegate/tidegate"),
        ] {
            assert_eq!(plain(PathBuf::from(path)), PathBuf::from(expected));
        }
    }

    #[test]
    fn a_path_on_a_drive_is_the_same_in_any_case() {
        for (one, other, same) in [
            (r"Q:\No\Tidegate", r"q:\no\TIDEGATE\", true),
            (r"Q:\No\tidegate.yaml", r"Q:\No\tidegate.yaml.old", false),
            ("/opt/none/Tidegate", "/opt/none/tidegate", false),
            ("/opt/none/tidegate/", "/opt/none/tidegate", true),
        ] {
            assert_eq!(is_same_path(Path::new(one), Path::new(other)), same, "{one} {other}");
        }
    }

    #[test]
    fn programs_are_found_on_path_only() {
        let name = if program_name("x") == "x" { "sh" } else { "cmd" };
        let found = find_program(name).unwrap();
        assert!(found.is_absolute() && found.is_file());
        assert_eq!(find_program("no-such-program-anywhere"), None);
    }

    #[test]
    fn files_beside_the_executable_are_found_in_order() {
        let own = env::current_exe().unwrap();
        let own_name = own.file_name().unwrap().to_str().unwrap();
        let found = beside_executable(&["no-such-file", own_name]).unwrap();
        assert_eq!(found.file_name(), own.file_name());
        assert_eq!(beside_executable(&["no-such-file"]), None);
    }
}
