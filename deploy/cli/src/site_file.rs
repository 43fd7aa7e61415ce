//! Which site file a command is about. Called by `main` before any command; reads none.

use std::path::{Path, PathBuf};

use crate::args::{Arguments, Command, DEFAULT_SET, ServiceSet};
use crate::failure::{BAD_CONFIGURATION, Failure};
use crate::service::Pair;

/// In the current directory, unless another is named.
const USUAL: &str = "tidegate.yaml";

/// The file that was named, or the one in the current directory; else, for commands about a site that runs, that of the
/// services, if they leave no choice.
pub(crate) fn choose(arguments: &Arguments) -> Result<PathBuf, Failure> {
    if let Some(config) = &arguments.config {
        return Ok(config.clone());
    }
    let usual = PathBuf::from(USUAL);
    let Some(set) = set(&arguments.command) else { return Ok(usual) };
    if usual.exists() {
        return Ok(usual);
    }
    // Where no service can be asked for, there is none to speak of.
    let pairs = match set {
        Some(set) => vec![Pair { set: set.to_owned() }],
        None => Pair::all().unwrap_or_default(),
    };
    let served: Vec<_> = pairs.into_iter().filter_map(|pair| Some((pair.site_file()?, pair.set))).collect();
    match only(&served) {
        Only::None => Ok(usual),
        Only::One(file) => {
            // Beside what is printed, which another program may read.
            eprintln!("site file: {} (of the services; there is no {USUAL} here)\n", file.display());
            Ok(file.to_owned())
        }
        Only::Many(text) => {
            Err(Failure::new(format!("there is no {USUAL} here, and several sites are services:{text}"))
                .next("name one of these files with --config")
                .exit_with(BAD_CONFIGURATION))
        }
    }
}

/// Whether a command is about a site that runs, and the set of services that it names.
fn set(command: &Command) -> Option<Option<&str>> {
    match command {
        Command::Doctor(doctor) => Some(named(&doctor.set)),
        Command::Logs(logs) => Some(named(&logs.set)),
        Command::Status(_) | Command::Top(_) | Command::Reload | Command::Maintenance(_) => Some(None),
        _ => None,
    }
}

/// The usual name says nothing: it is there without being asked for.
fn named(set: &ServiceSet) -> Option<&str> {
    (set.name != DEFAULT_SET).then_some(set.name.as_str())
}

enum Only<'a> {
    None,
    One(&'a Path),
    Many(String),
}

/// The one file among those of the sets, or a list of them.
fn only(served: &[(PathBuf, String)]) -> Only<'_> {
    let Some((first, _)) = served.first() else { return Only::None };
    if served.iter().all(|(file, _)| tidegate_host::is_same_path(file, first)) {
        return Only::One(first);
    }
    Only::Many(served.iter().map(|(file, set)| format!("\n{} ({set})", file.display())).collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn services_are_asked_for_their_file_where_that_leaves_no_choice() {
        let served = |files: &[&str]| -> Vec<(PathBuf, String)> {
            files.iter().enumerate().map(|(at, file)| (PathBuf::from(file), format!("Set{at}"))).collect()
        };
        assert!(matches!(only(&[]), Only::None));
        for files in [&["/no/a.yaml"][..], &["/no/a.yaml", "/no/a.yaml"]] {
            let served = served(files);
            assert!(matches!(only(&served), Only::One(file) if file == Path::new("/no/a.yaml")), "{files:?}");
        }
        let two = served(&["/no/a.yaml", "/no/b.yaml"]);
        let Only::Many(text) = only(&two) else { panic!("two are not one") };
        assert_eq!(text, "\n/no/a.yaml (Set0)\n/no/b.yaml (Set1)");
    }

    #[test]
    fn only_commands_about_a_running_site_look_at_services() {
        for (line, expected) in [
            (&["status"][..], Some(None)),
            (&["top"], Some(None)),
            (&["reload"], Some(None)),
            (&["doctor"], Some(None)),
            (&["logs", "--name", "Shop"], Some(Some("Shop"))),
            (&["check"], None),
            (&["up"], None),
            (&["service", "install"], None),
        ] {
            let arguments = Arguments::parse_from([&["tidegate"], line].concat());
            assert_eq!(set(&arguments.command), expected, "{line:?}");
        }
    }

    #[test]
    fn a_file_that_is_named_is_taken() {
        let arguments = Arguments::parse_from(["tidegate", "--config", "no/such.yaml", "status"]);
        assert_eq!(choose(&arguments).unwrap(), PathBuf::from("no/such.yaml"));
    }
}
