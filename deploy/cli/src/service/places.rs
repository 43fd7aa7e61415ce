//! The files and directories that only the services' accounts may use, and keeping others out of them. What the site file
//! does not name as secret is left as it is.

use std::path::{Path, PathBuf};

use tidegate_host::access::{self, Changed, Rule};
use tidegate_host::machine;
use tidegate_site::{Reader, Site};

use crate::style::Style;

/// The accounts of the two services.
#[derive(Debug, Clone)]
pub(crate) struct Accounts {
    pub(crate) server: String,
    pub(crate) proxy: String,
}

impl Accounts {
    /// Whether both services have one: then apps can read what the proxy can.
    pub(crate) fn are_one(&self) -> bool {
        self.server == self.proxy
    }

    /// Whether one of them may read a place, or write to it, as a service; `None` where that cannot be told.
    pub(crate) fn may_use(&self, account: &str, path: &Path, write: bool) -> Option<bool> {
        if account == self.proxy {
            machine::may_use_as_guest(account, &self.server, path, write)
        } else {
            machine::may_use(account, path, write)
        }
    }

    /// Those of them that are not these.
    fn others(&self, those: &[String]) -> Vec<String> {
        both(self).into_iter().filter(|account| !those.contains(account)).collect()
    }
}

/// A file or directory, and who may use it beside the system.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) what: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) rule: Rule,
}

/// Every such place of a site that is there. A file that both programs read is for both.
pub(crate) fn places(site: &Site, accounts: &Accounts) -> Vec<Place> {
    let both = Rule { writers: both(accounts), ..Rule::default() };
    let mut places = vec![Place { what: "state directory", path: site.state_dir.clone(), rule: both }];
    // The proxy makes it anew when its time comes.
    let own = Rule { writers: vec![accounts.proxy.clone()], ..Rule::default() };
    places.push(Place { what: "private key", path: site.state_dir.join("development.key"), rule: own });
    for secret in site.secrets() {
        let reader = if secret.reader == Reader::AppServer { &accounts.server } else { &accounts.proxy };
        match places.iter_mut().find(|place| place.path == secret.file) {
            Some(place) if place.rule.readers.contains(reader) => {}
            Some(place) => place.rule.readers.push(reader.clone()),
            None => {
                let rule = Rule { readers: vec![reader.clone()], ..Rule::default() };
                places.push(Place { what: secret.what, path: secret.file, rule });
            }
        }
    }
    for Place { rule, .. } in &mut places {
        let known: Vec<String> = rule.readers.iter().chain(&rule.writers).cloned().collect();
        rule.others = accounts.others(&known);
    }
    places.retain(|place| place.path.exists());
    places
}

/// Each account once.
pub(super) fn both(accounts: &Accounts) -> Vec<String> {
    let mut both = vec![accounts.server.clone()];
    if accounts.proxy != accounts.server {
        both.push(accounts.proxy.clone());
    }
    both
}

/// Keeps everybody else out, and says of what. What could not be done is a warning: the services work without.
pub(crate) fn protect(site: &Site, accounts: &Accounts, style: Style) {
    for Place { what, path, rule } in places(site, accounts) {
        let shown = path.display();
        match access::protect(&path, &rule) {
            Ok(Some(changed)) => println!("{what} {shown}: {}", sentence(&changed)),
            Ok(None) => {}
            Err(error) => eprintln!("{} {what} {shown}: {error}", style.warning("warning:")),
        }
        let missing: Vec<String> = access::describe(&path)
            .and_then(|access| Ok(access.missing(&rule)?.into_iter().map(str::to_owned).collect()))
            .unwrap_or_default();
        for account in missing {
            let write = rule.writers.contains(&account);
            // It may be of the group that the place has.
            if accounts.may_use(&account, &path, write) == Some(true) {
                continue;
            }
            let next = machine::grant_command(&path, &account, write);
            eprintln!("{} {what} {shown}: {account} may not use it: {next}", style.warning("warning:"));
        }
    }
}

/// Who may use a place now and before, and whose it is, if that has changed.
pub(super) fn sentence(Changed { before, after }: &Changed) -> String {
    let owner = match (&before.owner, &after.owner) {
        (Some(before), Some(after)) if before != after => {
            format!("; it belongs to {}, before: {}", after.account, before.account)
        }
        _ => String::new(),
    };
    format!("{after}; before: {before}{owner}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_secret_is_for_the_program_that_reads_it() {
        let directory = std::env::temp_dir().join(format!("tg-places-{}", std::process::id()));
        std::fs::create_dir_all(directory.join(".tidegate")).unwrap();
        for name in ["shop.pem", "shop.key", "both"] {
            std::fs::write(directory.join(name), "A=1\n").unwrap();
        }
        let yaml = "certificates: [{ certificate: shop.pem, key: shop.key }, { certificate: shop.pem, key: both }]\n\
                    apps: { shop: { wsgi: \"a:b\", environment_file: both } }\n";
        let file = directory.join("tidegate.yaml");
        std::fs::write(&file, yaml).unwrap();
        let site = tidegate_site::load(&file).unwrap();
        let accounts = Accounts { server: "server".to_owned(), proxy: "proxy".to_owned() };
        let found: Vec<_> = places(&site, &accounts)
            .into_iter()
            .map(|place| {
                let name = place.path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, place.rule.readers.join(" "), place.rule.writers.join(" "))
            })
            .collect();
        let expected = [(".tidegate", "", "server proxy"), ("shop.key", "proxy", ""), ("both", "proxy server", "")];
        let expected = expected.map(|(name, readers, writers)| (name.into(), readers.into(), writers.into()));
        assert_eq!(found, expected);
        let one = Accounts { server: "tidegate".to_owned(), proxy: "tidegate".to_owned() };
        assert_eq!(places(&site, &one)[0].rule.writers, ["tidegate"]);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
