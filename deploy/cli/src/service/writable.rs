//! What the programs of a site write to: its own directories, which the services' accounts are given, and those of log files, if nothing
//! else is in them. What others use too stays theirs; that a service may not write there is said.

use std::fs;
use std::path::{Path, PathBuf};

use tidegate_host::machine;
use tidegate_site::Site;

use super::places::Accounts;

/// Directories that are written to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Writable {
    /// The site's own, which may have to be made.
    pub(crate) own: Vec<PathBuf>,
    /// Those that are there, and hold what is not Tidegate's.
    pub(crate) others: Vec<PathBuf>,
}

impl Writable {
    pub(crate) fn of(site: &Site) -> Self {
        let mut found = Self { own: vec![site.state_dir.clone()], others: Vec::new() };
        let buffers = &site.limits.buffer.directory;
        if !found.has(buffers) {
            found.own.push(buffers.clone());
        }
        for directory in log_directories(site) {
            if found.has(&directory) {
                continue;
            }
            if site.not_own(&directory).is_none() && holds_logs_alone(site, &directory) {
                found.own.push(directory);
            } else {
                found.others.push(directory);
            }
        }
        found
    }

    /// Directories below its own that each program would make for itself, and so perhaps keep the other out of.
    pub(crate) fn below(site: &Site) -> Vec<PathBuf> {
        let mut below = log_directories(site);
        below.push(site.limits.buffer.directory.clone());
        below.retain(|directory| *directory != site.state_dir && directory.starts_with(&site.state_dir));
        below
    }

    fn has(&self, directory: &Path) -> bool {
        self.own.iter().any(|own| directory.starts_with(own)) || self.others.iter().any(|other| other == directory)
    }
}

/// The directories of all log files.
pub(crate) fn log_directories(site: &Site) -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = Vec::new();
    for directory in site.log.files().iter().filter_map(|file| file.parent()) {
        if !directories.iter().any(|known| known == directory) {
            directories.push(directory.to_owned());
        }
    }
    directories
}

/// Whether there is nothing in it, if it is there at all, but log files of the site and what was set aside of them.
fn holds_logs_alone(site: &Site, directory: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(directory) else { return !directory.exists() };
    let files = site.log.files();
    let names: Vec<String> =
        files.iter().filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned())).collect();
    entries.all(|entry| {
        entry.is_ok_and(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            names
                .iter()
                .any(|log| name.strip_prefix(log.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        })
    })
}

/// Log files that an account may not write, each with what to do.
pub(super) fn refused(site: &Site, accounts: &Accounts) -> Vec<String> {
    let mut refused = Vec::new();
    // The accounts own the others by now.
    for directory in Writable::of(site).others {
        for account in super::places::both(accounts) {
            if accounts.may_use(&account, &directory, true) == Some(false) {
                refused.push(format!(
                    "{account} may not write to {}, where a log file is: {}",
                    directory.display(),
                    advice(site, &directory, &account)
                ));
            }
        }
    }
    refused
}

/// What to do if an account may not write a log file there.
pub(crate) fn advice(site: &Site, directory: &Path, account: &str) -> String {
    match site.not_own(directory) {
        Some(why) => format!("it {why}, so give the log a directory of its own, and install again"),
        None => machine::grant_command(directory, account, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_logs_alone_is_the_sites_own() {
        let directory = std::env::temp_dir().join(format!("tg-writable-{}", std::process::id()));
        for name in ["new", "old", "mixed"] {
            fs::create_dir_all(directory.join(name)).unwrap();
        }
        fs::remove_dir(directory.join("new")).unwrap();
        for file in ["old/access.log", "old/access.log.20261122T170000.123Z.gz", "mixed/access.log", "mixed/other"] {
            fs::write(directory.join(file), "").unwrap();
        }
        let of = |log: &str, limits: &str| {
            let file = directory.join("tidegate.yaml");
            fs::write(&file, format!("app: a:b\nlimits: {limits}\nlog: {{ access: {{ to: {log} }} }}\n")).unwrap();
            let site = tidegate_site::load(&file).unwrap();
            let here = site.file.parent().unwrap().to_owned();
            let shown = |paths: Vec<PathBuf>| {
                let names =
                    paths.iter().map(|path| path.strip_prefix(&here).unwrap().to_string_lossy().replace('\\', "/"));
                names.collect::<Vec<_>>().join(" ")
            };
            let Writable { own, others } = Writable::of(&site);
            (shown(own), shown(others))
        };
        for (log, limits, own, others) in [
            ("new/access.log", "{}", ".tidegate new", ""),
            ("old/access.log", "{}", ".tidegate old", ""),
            ("mixed/access.log", "{}", ".tidegate", "mixed"),
            // The site file is there.
            ("access.log", "{}", ".tidegate", ""),
            (".tidegate/logs/access.log", "{ buffer_dir: b }", ".tidegate b", ""),
        ] {
            let (found_own, found_others) = of(log, limits);
            assert_eq!((found_own.as_str(), found_others.as_str()), (own, others), "{log}");
        }
        fs::remove_dir_all(&directory).unwrap();
    }
}
