//! Where a site's log lines are, by its configuration and how it runs. Called by `logs` before anything is read.

use std::path::{Path, PathBuf};

use tidegate_host::ServiceState;
use tidegate_site::{AccessTo, Log, Site};

use super::records::Only;
use crate::args;
use crate::failure::Failure;

/// The programs, in the order in which lines of the same moment are shown.
const PROGRAMS: [&str; 2] = ["appserver", "proxy"];

/// Where the lines are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// In files.
    Files(Vec<Source>),
    /// In the system's journal.
    Journal {
        /// Of these services.
        services: Vec<String>,
        /// These lines.
        only: Only,
    },
}

/// A log file, and which of its lines are meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) only: Only,
}

/// What is meant by the command's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Both,
    Program(&'a str),
    Access,
    App(&'a str),
}

/// Finds them.
pub(super) fn find(site: &Site, arguments: &args::Logs) -> Result<Found, Failure> {
    let part = match arguments.part.as_deref() {
        None => Part::Both,
        Some("access") => Part::Access,
        Some(name) => match PROGRAMS.into_iter().find(|program| *program == name) {
            Some(program) => Part::Program(program),
            None if site.app(name).is_some() => Part::App(name),
            None => return Err(unknown(site, name)),
        },
    };
    let only = Only { level: arguments.level, ..Only::default() };
    if part == Part::Access {
        let file = site.file.display();
        let Some(access) = &site.log.access else {
            return Err(Failure::new("the access log is off")
                .next(format!("remove `log.access: off` from {file}, then `tidegate reload`")));
        };
        match &access.to {
            AccessTo::File(path) => return Ok(Found::Files(vec![Source { path: path.clone(), only }])),
            AccessTo::Log => {}
            stream @ (AccessTo::Stderr | AccessTo::Stdout) => {
                let stream = if *stream == AccessTo::Stderr { "standard error" } else { "standard output" };
                return Err(Failure::new(format!("the access log goes to the proxy's {stream}, not to a file"))
                    .next(format!("set `log.access.to` in {file}, such as logs/access.log, then `tidegate reload`")));
            }
        }
    }
    let names = PROGRAMS.map(|program| tidegate_host::service_name(&arguments.set.name, program));
    match place(site, &names)? {
        Some(log) => Ok(Found::Files(files(&log, part, &only))),
        None => {
            let services = names.into_iter().zip(PROGRAMS).filter(|(_, program)| part.concerns(program));
            Ok(Found::Journal { services: services.map(|(name, _)| name).collect(), only: part.narrow(&only) })
        }
    }
}

impl Part<'_> {
    /// Whether a program may log it.
    fn concerns(self, program: &str) -> bool {
        match self {
            Self::Both | Self::App(_) => true,
            Self::Program(name) => name == program,
            Self::Access => program == "proxy",
        }
    }

    fn narrow(self, only: &Only) -> Only {
        match self {
            Self::Both | Self::Program(_) => only.clone(),
            Self::Access => Only { access: true, ..only.clone() },
            Self::App(name) => Only { app: Some(name.to_owned()), ..only.clone() },
        }
    }
}

/// Where both programs log, if it is not in the journal.
fn place(site: &Site, names: &[String]) -> Result<Option<Log>, Failure> {
    if site.log.to.is_some() {
        return Ok(Some(site.log.clone()));
    }
    let is_installed =
        |name: &String| matches!(tidegate_host::service_state(name), Ok(state) if state != ServiceState::Missing);
    if tidegate_host::journal_command(names).is_some() {
        // On a system without systemd nothing is installed.
        if names.iter().any(is_installed) {
            return Ok(None);
        }
    } else {
        let log = site.service_log();
        if names.iter().any(is_installed) || log.files().iter().any(|path| path.exists()) {
            return Ok(Some(log));
        }
    }
    let file = site.file.display();
    Err(Failure::new("both programs log to standard error, where they were started, and to no file")
        .next(format!("set `log: {{ to: logs/tidegate.log }}` in {file}, then `tidegate reload`")))
}

fn files(log: &Log, part: Part<'_>, only: &Only) -> Vec<Source> {
    let concerned = PROGRAMS.into_iter().filter(|program| part.concerns(program));
    let of = |program| Some(Source { path: log.file_of(program)?, only: part.narrow(only) });
    let mut found: Vec<Source> = concerned.filter_map(of).collect();
    // Requests to an app are its as well, unless their lines do not say which app answered.
    if let (Part::App(_), Some(path)) = (part, log.access.as_ref().and_then(|access| access.file().map(Path::to_owned)))
    {
        found.push(Source { path, only: part.narrow(only) });
    }
    found
}

fn unknown(site: &Site, name: &str) -> Failure {
    let apps: Vec<&str> = site.apps.iter().map(|app| &*app.name).collect();
    let apps = if apps.is_empty() { String::new() } else { format!(", or an app: {}", apps.join(", ")) };
    Failure::new(format!("there is no log {name:?}")).next(format!("name proxy, appserver or access{apps}"))
}
