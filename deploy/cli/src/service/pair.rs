//! The two services of a site, by the beginning of their names: which pairs there are, and the site file that each serves.

use std::path::{Path, PathBuf};

use tidegate_host::{ServiceSettings, ServiceState};
use tidegate_site::Site;

use super::failed;
use crate::args;
use crate::failure::Failure;
use crate::up;

/// The two services, in the order in which they start.
pub(crate) const PARTS: [&str; 2] = ["appserver", "proxy"];

/// Both services of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) set: String,
}

impl Pair {
    pub(crate) fn of(set: &args::ServiceSet) -> Self {
        Self { set: set.name.clone() }
    }

    /// Those that the command line means.
    pub(super) fn chosen(chosen: &args::ServiceChoice) -> Result<Vec<Self>, Failure> {
        if chosen.all { Self::all() } else { Ok(vec![Self::of(&chosen.set)]) }
    }

    /// Every pair whose programs are those beside this one.
    pub(crate) fn all() -> Result<Vec<Self>, Failure> {
        let own = up::program("tidegate")?;
        let services = tidegate_host::services_of(own.parent().unwrap_or(&own)).map_err(failed)?;
        Ok(among(services.iter().map(|(name, _)| name.as_str())))
    }

    pub(crate) fn name(&self, part: &str) -> String {
        tidegate_host::service_name(&self.set, part)
    }

    pub(crate) fn names(&self) -> [String; 2] {
        PARTS.map(|part| self.name(part))
    }

    /// The site file that its services were installed for.
    pub(crate) fn site_file(&self) -> Option<PathBuf> {
        let settings = |name: &String| tidegate_host::service_settings(name).ok().flatten();
        self.names().iter().find_map(|name| site_file(&settings(name)?))
    }

    /// What its services serve; that of `otherwise` if none is installed.
    pub(super) fn site(&self, otherwise: &Path) -> Result<Site, Failure> {
        super::load(&self.site_file().unwrap_or_else(|| otherwise.to_owned()))
    }

    /// Whether any of them runs, or is on its way there.
    pub(super) fn runs(&self) -> Result<bool, Failure> {
        for name in self.names() {
            if matches!(super::state(&name)?, ServiceState::Running { .. } | ServiceState::Starting) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The site file that a service was installed for.
pub(crate) fn site_file(settings: &ServiceSettings) -> Option<PathBuf> {
    let mut arguments = settings.arguments.iter();
    arguments.find(|argument| *argument == "--config")?;
    arguments.next().map(PathBuf::from)
}

/// The pairs that these services belong to, each once.
fn among<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Pair> {
    let ends = PARTS.map(|part| tidegate_host::service_name("", part));
    let mut pairs = Vec::new();
    for name in names {
        let Some(set) = ends.iter().find_map(|end| name.strip_suffix(end.as_str())) else { continue };
        let pair = Pair { set: set.to_owned() };
        if !set.is_empty() && !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    pairs.sort_by(|one, other| one.set.cmp(&other.set));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_put_into_pairs_by_their_names() {
        let names = [("Tidegate", "proxy"), ("Shop", "appserver"), ("Tidegate", "appserver")];
        let names = names.map(|(set, part)| tidegate_host::service_name(set, part));
        let others = ["Spooler".to_owned(), tidegate_host::service_name("", "proxy")];
        let found = among(names.iter().chain(&others).map(String::as_str));
        let found: Vec<_> = found.iter().map(|pair| pair.set.to_lowercase()).collect();
        assert_eq!(found, ["shop", "tidegate"]);
    }

    #[test]
    fn the_site_file_is_the_word_after_its_option() {
        for (arguments, expected) in [
            (&["--config", r"C:\a b\t.yaml", "--service", "x"][..], Some(r"C:\a b\t.yaml")),
            (&["--service", "--config", "/srv/t.yaml"], Some("/srv/t.yaml")),
            (&["--service", "x"], None),
            (&["--config"], None),
        ] {
            let settings = ServiceSettings {
                account: String::new(),
                start: tidegate_host::StartType::Automatic,
                command: String::new(),
                program: PathBuf::new(),
                arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            };
            assert_eq!(site_file(&settings), expected.map(PathBuf::from), "{arguments:?}");
        }
    }
}
