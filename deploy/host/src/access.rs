//! Who may use a file or directory: reading it, and keeping everybody but a few accounts out.
//!
//! `tidegate service install` protects what the site file names as secret, `tidegate doctor` looks whether it still is.
//! Windows has access lists, Unix owners and modes; both become an [`Access`] of entries by account. It never follows
//! what groups an account belongs to, and never decides which places are secret: callers say so.

use std::fmt;
use std::io;
use std::path::Path;

use crate::sys;

/// The accounts that may use a place. The system and its administrators always may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// Those that read it.
    pub readers: Vec<String>,
    /// Those that read, write and delete what is in it.
    pub writers: Vec<String>,
    /// Those that lose what they have of it. Only Unix has to be told: a list of Windows names all that are let in.
    pub others: Vec<String>,
}

/// What an entry allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights {
    /// Seeing the content.
    pub read: bool,
    /// Changing it.
    pub write: bool,
}

/// One line of an access list; on Unix one of owner, group and others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The account by its name, or by its identifier where it has none.
    pub account: String,
    /// The identifier: `S-1-5-18`; `user:0`, `group:0` or `others`.
    pub id: String,
    /// What it allows.
    pub rights: Rights,
    /// Whether it came from the directory above (Windows).
    pub inherited: bool,
}

/// Whose a place is: whoever owns it can let itself in, and others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The account by its name, or by its identifier where it has none.
    pub account: String,
    /// The identifier, as an entry has it.
    pub id: String,
}

/// Who may use a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// As the system writes it: SDDL, or `rw-r----- root:tidegate`.
    pub text: String,
    /// Whether it is the place's own alone: nothing comes from the directory above. Always so on Unix.
    pub is_protected: bool,
    /// Whose it is, where the system says so.
    pub owner: Option<Owner>,
    /// Everybody that it allows something.
    pub entries: Vec<Entry>,
    /// Everybody that it forbids something, whatever is allowed (Windows).
    pub denials: Vec<Entry>,
}

/// Who may use a place, before it was protected and since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Before.
    pub before: Access,
    /// Now.
    pub after: Access,
}

/// Lets the accounts of `rule` use a file or directory, and what is below it.
///
/// On Windows they are from then on the only ones, beside SYSTEM and Administrators, and a place that is nobody's of them
/// becomes Administrators'. On Unix others lose every right; owner and group stay, unless the rule is for one account and keeps
/// others out: then what is theirs becomes that account's, and what is root's own lets its group read. What others may have put
/// in its place, such as a link, is refused. Says what was changed; nothing if nothing had to be.
pub fn protect(path: &Path, rule: &Rule) -> io::Result<Option<Changed>> {
    let before = match describe(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            sys::access::take(path).map_err(|_| error)?;
            describe(path)?
        }
        described => described?,
    };
    let is_kept = before.is_protected && before.denials.is_empty() && before.foreign_owner(rule)?.is_none();
    if is_kept && before.strangers(rule)?.is_empty() && before.missing(rule)?.is_empty() {
        return Ok(None);
    }
    sys::access::protect(path, rule)
        .map_err(|error| crate::context(error, format_args!("failed to protect {}", path.display())))?;
    let after = describe(path)?;
    Ok((before != after).then_some(Changed { before, after }))
}

/// Whether [`protect`] gives a file or directory to the one account that the rule is for (Unix).
pub fn is_handed_over(path: &Path, rule: &Rule) -> io::Result<bool> {
    sys::access::is_handed_over(path, rule)
}

/// Who may use a file or directory now.
pub fn describe(path: &Path) -> io::Result<Access> {
    sys::access::describe(path)
        .map_err(|error| crate::context(error, format_args!("failed to read who may use {}", path.display())))
}

impl Access {
    /// The entries for those who have no business here: neither the system's own accounts nor those of `rule`.
    pub fn strangers(&self, rule: &Rule) -> io::Result<Vec<&Entry>> {
        let known = rule.ids()?;
        let is_known = |entry: &&Entry| known.contains(&entry.id) || sys::access::is_system(&entry.id);
        // The owner on Unix; see below.
        Ok(self.entries.iter().filter(|entry| !entry.id.starts_with("user:") && !is_known(entry)).collect())
    }

    /// The owner, where it has no business here: it could let itself in at any time.
    pub fn foreign_owner(&self, rule: &Rule) -> io::Result<Option<&Owner>> {
        let known = rule.ids()?;
        let is_foreign = |owner: &&Owner| {
            !known.contains(&owner.id)
                && !sys::access::is_system(&owner.id)
                && !sys::access::is_own_administrator(&owner.id)
        };
        Ok(self.owner.as_ref().filter(is_foreign))
    }

    /// The entries, and the owner, that belong to accounts which the rule keeps out.
    pub fn of_others(&self, rule: &Rule) -> io::Result<Vec<String>> {
        let known = rule.ids()?;
        let mut others = Vec::new();
        for account in &rule.others {
            others.extend(sys::access::ids(account)?.into_iter().filter(|id| !known.contains(id)));
        }
        let owner = self.owner.iter().map(|owner| (&owner.id, &owner.account));
        let entries = self.entries.iter().filter(|entry| entry.rights.read || entry.rights.write);
        let all = owner.chain(entries.map(|entry| (&entry.id, &entry.account)));
        let mut found: Vec<String> =
            all.filter(|(id, _)| others.contains(id)).map(|(_, account)| account.clone()).collect();
        found.dedup();
        Ok(found)
    }

    /// Whether an entry forbids reading, or writing, to somebody. Of whom that is true is known only when groups are followed.
    pub fn denies(&self, write: bool) -> bool {
        self.denials.iter().any(|denial| denial.rights.read || write && denial.rights.write)
    }

    /// The accounts of `rule` that no entry lets in by itself, and that are not the system's own.
    pub fn missing<'a>(&self, rule: &'a Rule) -> io::Result<Vec<&'a str>> {
        let mut missing = Vec::new();
        for (account, write) in rule.wanted() {
            let ids = sys::access::ids(account)?;
            let lets_in = |entry: &Entry| {
                (ids.contains(&entry.id) || sys::access::is_everybody(&entry.id))
                    && entry.rights.read
                    && (entry.rights.write || !write)
            };
            if !ids.iter().any(|id| sys::access::is_system(id)) && !self.entries.iter().any(lets_in) {
                missing.push(account);
            }
        }
        Ok(missing)
    }
}

impl Rule {
    fn ids(&self) -> io::Result<Vec<String>> {
        let mut ids = Vec::new();
        for account in self.accounts() {
            ids.extend(sys::access::ids(account)?);
        }
        Ok(ids)
    }

    fn accounts(&self) -> impl Iterator<Item = &String> {
        self.readers.iter().chain(&self.writers)
    }

    /// Each account, and whether it writes.
    fn wanted(&self) -> impl Iterator<Item = (&str, bool)> {
        let readers = self.readers.iter().map(|account| (account.as_str(), false));
        readers.chain(self.writers.iter().map(|account| (account.as_str(), true)))
    }
}

impl Entry {
    /// Whether anybody may be it: everybody, or a group that people get into by logging on, or by being of a domain.
    pub fn is_ordinary(&self) -> bool {
        sys::access::is_ordinary(&self.id)
    }

    /// Whether it is for everybody who has an account on this machine.
    pub fn is_for_everybody(&self) -> bool {
        sys::access::is_everybody(&self.id)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, entry) in self.entries.iter().enumerate() {
            write!(f, "{}{entry}", if number == 0 { "" } else { ", " })?;
        }
        if self.entries.is_empty() { f.write_str("nobody may use it") } else { Ok(()) }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let may = match self.rights {
            Rights { read: true, write: true } => "may read and write",
            Rights { read: true, write: false } => "may read",
            Rights { read: false, write: true } => "may write",
            Rights { read: false, write: false } => "may neither read nor write",
        };
        write!(f, "{} {may}", self.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_use_a_place_reads_as_a_sentence() {
        let entry = |account: &str, read, write| Entry {
            account: account.to_owned(),
            id: account.to_owned(),
            rights: Rights { read, write },
            inherited: false,
        };
        let entries = vec![entry("SYSTEM", true, true), entry("Users", true, false), entry("drop", false, true)];
        let access = Access {
            text: String::new(),
            is_protected: true,
            owner: None,
            entries,
            denials: vec![entry("Ada", false, true)],
        };
        assert_eq!((access.denies(false), access.denies(true)), (false, true));
        assert_eq!(access.to_string(), "SYSTEM may read and write, Users may read, drop may write");
        let nobody = Access { entries: Vec::new(), ..access };
        assert_eq!(nobody.to_string(), "nobody may use it");
    }
}
