//! Whether a directory can be Tidegate's own: given to the services' accounts, with all that is below it. Asked while a site
//! file is checked, and by `tidegate service install` before it gives a directory away. It changes nothing.

use std::path::{Component, Path, PathBuf};

use crate::{Python, Site, place};

impl Site {
    /// Why a directory cannot be, such as `holds the site file`; `None` if it can.
    pub fn not_own(&self, directory: &Path) -> Option<String> {
        let directory = real(directory);
        if let Some(what) = tidegate_host::shared_directory(&directory) {
            return Some(format!("is {what}"));
        }
        let holds = |path: &Path| real(path).starts_with(&directory);
        let held = self.of_others().into_iter().find(|(_, path)| holds(path));
        held.map(|(what, path)| format!("holds {what} {}", path.display()))
    }

    /// What a site names and does not make itself, and the programs.
    fn of_others(&self) -> Vec<(&'static str, PathBuf)> {
        let mut found = vec![("the site file", self.file.clone())];
        for app in &self.apps {
            found.push(("the app's directory", app.directory.clone()));
            if let Python::At(python) = &app.python {
                found.push(("the app's Python", python.clone()));
            }
        }
        found.extend(self.secrets().into_iter().map(|secret| (secret.what, secret.file)));
        let certificates = self.certificates.iter().flat_map(|certificate| certificate.files());
        found.extend(certificates.map(|file| ("the certificate file", file.clone())));
        found.extend(std::env::current_exe().ok().map(|program| ("the program", program)));
        found
    }
}

/// A path with links resolved as far as it is there, and without `..` behind that.
fn real(path: &Path) -> PathBuf {
    for existing in path.ancestors() {
        let Ok(found) = place::canonical(existing) else { continue };
        let Ok(rest) = path.strip_prefix(existing) else { break };
        return rest.components().fold(found, |mut path, part| {
            match part {
                Component::ParentDir => drop(path.pop()),
                Component::CurDir => {}
                part => path.push(part),
            }
            path
        });
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_yet_is_found_below_what_is() {
        let here = place::canonical(&std::env::temp_dir()).unwrap();
        for (path, expected) in [
            ("none/of/these", here.join("none").join("of").join("these")),
            ("none/../none", here.join("none")),
            ("none/../../none", here.parent().unwrap_or(&here).join("none")),
            ("./", here.clone()),
        ] {
            assert_eq!(real(&here.join(path)), expected, "{path}");
        }
    }
}
