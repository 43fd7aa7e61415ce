//! What an interpreter is, by the files around it: the kind of environment it belongs to, and why it cannot run where
//! that shows. Used by the check of `python`, and by the app server before each start; runs nothing.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Virtualenvs that are looked for in an app's directory, in this order.
pub const CUSTOMARY: [&str; 3] = [".venv", "venv", "env"];

/// Who made the environment that an interpreter belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Nobody: it is an installation's own.
    Installation,
    /// `python -m venv`.
    Venv,
    /// virtualenv.
    Virtualenv,
    /// uv.
    Uv,
    /// conda, or one of its kind.
    Conda,
}

/// Why an interpreter cannot run an app.
#[derive(Debug, Error)]
pub enum Unusable {
    /// Nothing is there.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// It may be there.
    #[error("{} cannot be read: {source}; the account that Tidegate runs under has to be able to read it", .path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory that is no environment.
    #[error("no {}", .0.display())]
    NoInterpreter(PathBuf),
    /// A virtualenv is a link to the Python that it was made from.
    #[error(
        "the virtualenv {} was made from the Python in {}, which is not there any more: make it anew with a Python that is",
        .environment.display(), .base.display()
    )]
    NoBase {
        /// The environment.
        environment: PathBuf,
        /// The directory of its base interpreter.
        base: PathBuf,
    },
    /// Windows' placeholder, or the Store's own Python.
    #[error(
        "{} belongs to the Microsoft Store's Python, which only the account that installed it can run, and no service: \
         install Python from python.org for all users",
        .0.display()
    )]
    Store(PathBuf),
    /// For another kind of processor than Tidegate.
    #[error("{} is a 32-bit program, and Tidegate's worker is a 64-bit library: install the 64-bit Python", .0.display())]
    Narrow(PathBuf),
}

/// The interpreter of an environment: a virtualenv, or what conda makes.
pub fn of_directory(directory: &Path) -> Result<PathBuf, Unusable> {
    let candidates = tidegate_host::environment_pythons(directory);
    for candidate in &candidates {
        // A link that leads nowhere counts: its environment says where it should have led.
        if candidate.symlink_metadata().is_ok() {
            examine(candidate)?;
            return Ok(candidate.clone());
        }
    }
    readable(directory)?;
    let [usual, _] = candidates;
    // A virtualenv whose base is gone may have lost its interpreter with it.
    settings(directory).map_or(Ok(()), |text| base(directory, &text, &usual))?;
    Err(Unusable::NoInterpreter(usual))
}

/// The kind of environment, unless this interpreter cannot run.
pub fn examine(path: &Path) -> Result<Layout, Unusable> {
    if is_of_store(path) {
        return Err(Unusable::Store(path.to_owned()));
    }
    let environment = environment(path);
    let settings = environment.and_then(settings);
    if let (Some(environment), Some(settings)) = (environment, &settings) {
        base(environment, settings, path)?;
    }
    readable(path)?;
    if cfg!(target_pointer_width = "64") && is_narrow(path) {
        return Err(Unusable::Narrow(path.to_owned()));
    }
    Ok(match (settings, environment) {
        (Some(settings), _) => maker(&settings),
        (None, Some(environment)) if environment.join("conda-meta").is_dir() => Layout::Conda,
        _ => Layout::Installation,
    })
}

/// The directory of the Python that an interpreter's virtualenv was made from.
pub fn base_directory(python: &Path) -> Option<PathBuf> {
    value(&settings(environment(python)?)?, "home").map(PathBuf::from)
}

/// Whether a directory is an environment, even a broken one.
pub fn is_environment(directory: &Path) -> bool {
    settings(directory).is_some()
        || tidegate_host::environment_pythons(directory).iter().any(|python| python.symlink_metadata().is_ok())
}

/// The directory that would be the environment's: above `bin` or `Scripts`, or the interpreter's own for conda on Windows.
fn environment(python: &Path) -> Option<&Path> {
    let own = python.parent()?;
    let is_root = own.join("conda-meta").is_dir() || own.join(SETTINGS).is_file();
    if is_root { Some(own) } else { own.parent() }
}

const SETTINGS: &str = "pyvenv.cfg";

fn settings(environment: &Path) -> Option<String> {
    fs::read_to_string(environment.join(SETTINGS)).ok()
}

/// The value of a key in `pyvenv.cfg`.
fn value<'a>(settings: &'a str, key: &str) -> Option<&'a str> {
    settings.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        name.trim().eq_ignore_ascii_case(key).then(|| value.trim())
    })
}

fn maker(settings: &str) -> Layout {
    if value(settings, "uv").is_some() {
        Layout::Uv
    } else if value(settings, "virtualenv").is_some() {
        Layout::Virtualenv
    } else {
        Layout::Venv
    }
}

/// An error if the base interpreter of a virtualenv is gone.
fn base(environment: &Path, settings: &str, python: &Path) -> Result<(), Unusable> {
    let Some(home) = value(settings, "home").map(PathBuf::from) else { return Ok(()) };
    let is_link = python.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    let link_leads_nowhere = is_link && is_missing(python);
    // Windows' virtualenvs hold a program that starts the base by its directory.
    let is_program = python.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("exe"));
    if is_missing(&home) || link_leads_nowhere || is_program && is_missing(&home.join("python.exe")) {
        return Err(Unusable::NoBase { environment: environment.to_owned(), base: home });
    }
    if is_of_store(&home) { Err(Unusable::Store(home)) } else { Ok(()) }
}

fn is_missing(path: &Path) -> bool {
    path.metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

fn readable(path: &Path) -> Result<(), Unusable> {
    let read = if path.is_dir() { fs::read_dir(path).map(drop) } else { File::open(path).map(drop) };
    read.map_err(|source| match source.kind() {
        ErrorKind::NotFound => Unusable::Missing(path.to_owned()),
        _ => Unusable::Unreadable { path: path.to_owned(), source },
    })
}

/// `...\Microsoft\WindowsApps\python.exe` is the placeholder, `...\WindowsApps\PythonSoftwareFoundation...` the real one.
fn is_of_store(path: &Path) -> bool {
    path.to_string_lossy().split(['\\', '/']).any(|part| part.eq_ignore_ascii_case("WindowsApps"))
}

/// Whether a program is for 32 bits. False for what is no program, a script for example.
fn is_narrow(path: &Path) -> bool {
    File::open(path).is_ok_and(|mut file| narrow(&mut file).unwrap_or(false))
}

fn narrow(file: &mut File) -> io::Result<bool> {
    const MACHINE_I386: [u8; 2] = [0x4c, 0x01];
    let mut head = [0; 64];
    file.read_exact(&mut head)?;
    if head.starts_with(b"\x7fELF") {
        return Ok(head[4] == 1);
    }
    if !head.starts_with(b"MZ") {
        return Ok(false);
    }
    let [.., a, b, c, d] = head;
    file.seek(SeekFrom::Start(u32::from_le_bytes([a, b, c, d]).into()))?;
    let mut header = [0; 6];
    file.read_exact(&mut header)?;
    Ok(header.starts_with(b"PE\0\0") && header.ends_with(&MACHINE_I386))
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Installation => "no virtualenv",
            Self::Venv => "a virtualenv",
            Self::Virtualenv => "a virtualenv made by virtualenv",
            Self::Uv => "a virtualenv made by uv",
            Self::Conda => "a conda environment",
        })
    }
}
