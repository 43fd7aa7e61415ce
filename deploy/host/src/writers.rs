//! Who may change what is at a path, or put something else there: asked of what services run, before they are installed, and
//! before an administrator's command runs it. It judges nobody and changes nothing.

use std::io;
use std::path::{Path, PathBuf};

use crate::access::{self, Entry};
use crate::sys;

/// Somebody who may write to a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The file or directory.
    pub place: PathBuf,
    /// The account by its name.
    pub account: String,
    /// What lets it.
    pub by: By,
}

/// What lets an account write to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Being any account of this machine.
    BeingAnybody,
    /// An entry for this account, or for a group of some.
    AnEntry,
    /// Owning it.
    OwningIt,
}

/// Everybody who may write to a file or directory, or exchange it for another, beside the system, administrators and the accounts
/// that are `trusted`. On Unix the directories above are looked at as well; on Windows that of a file.
pub fn writers(path: &Path, trusted: &[String]) -> io::Result<Vec<Writer>> {
    // One that does not exist yet writes nowhere.
    let known: Vec<String> = trusted.iter().filter_map(|account| sys::access::ids(account).ok()).flatten().collect();
    let is_known =
        |id: &String| known.contains(id) || sys::access::is_administrative(id) || sys::access::is_own_administrator(id);
    let mut found: Vec<Writer> = Vec::new();
    for place in sys::access::way(path)? {
        let access = access::describe(&place)?;
        let owner = access.owner.filter(|owner| !is_known(&owner.id));
        let mut add = |account: String, by| {
            let writer = Writer { place: place.clone(), account, by };
            if !found.contains(&writer) {
                found.push(writer);
            }
        };
        for Entry { account, id, rights, .. } in access.entries {
            let is_owner = owner.as_ref().is_some_and(|owner| owner.id == id);
            if !rights.write || is_owner || is_known(&id) || sys::access::is_owners_own_group(&place, &id) {
                continue;
            }
            let by = if sys::access::is_ordinary(&id) { By::BeingAnybody } else { By::AnEntry };
            add(account, by);
        }
        if let Some(owner) = owner {
            add(owner.account, By::OwningIt);
        }
    }
    Ok(found)
}
