//! Giving directories to the services that write there, when they are installed. One that several accounts write to is the last
//! service's (the proxy's, who may know what apps may not), and the group of the others makes files in it; the sticky bit keeps
//! each from what is another's.

use std::io;
use std::path::{Path, PathBuf};

use super::access;
use super::place::{self, Missing, Owner, Share};
use super::service::account_of;
use crate::context;
use crate::service::{Installed, Service};

/// Makes all of them, and gives them with what is below.
pub(super) fn prepare(services: &[Service], installed: &mut Installed) -> io::Result<()> {
    let mut done: Vec<&Path> = Vec::new();
    for directory in services.iter().flat_map(|service| &service.writable) {
        if !done.contains(&directory.as_path()) {
            done.push(directory);
            prepare_one(directory, services, installed)?;
        }
    }
    Ok(())
}

fn prepare_one(directory: &Path, services: &[Service], installed: &mut Installed) -> io::Result<()> {
    let writers: Vec<&Service> =
        services.iter().filter(|service| service.writable.iter().any(|own| own == directory)).collect();
    let Some(last) = writers.last() else { return Ok(()) };
    let account = account_of(last);
    let mut left = Vec::new();
    let given = share(directory, account, &writers, &mut left);
    given.map_err(|error| context(error, format_args!("failed to give {} to {account}", directory.display())))?;
    let left =
        left.into_iter().map(|what| format!("{} was not given to {account} as a whole: {what}", directory.display()));
    installed.warnings.extend(left);
    for guest in writers.iter().map(|service| account_of(service)).filter(|guest| *guest != account) {
        let others = access::other_members(access::owner(guest)?.group, &[guest, account]);
        if !others.is_empty() {
            installed.warnings.push(format!(
                "the group of {guest} has other members, who can make files in {}: {}",
                directory.display(),
                others.join(", ")
            ));
        }
    }
    Ok(())
}

fn share(directory: &Path, account: &str, writers: &[&Service], left: &mut Vec<String>) -> io::Result<()> {
    let owner = access::owner(account)?;
    let mut guests = None;
    let mut files: Vec<(PathBuf, Owner)> = Vec::new();
    for guest in writers.iter().filter(|service| account_of(service) != account) {
        let theirs = access::owner(account_of(guest))?;
        guests = Some(theirs.group);
        files.extend(guest.files.iter().map(|file| (file.clone(), theirs)));
    }
    // An account could have put a link in the place of its directory.
    let place = place::open(directory, Missing::IsMade)?;
    let below = writers.iter().flat_map(|service| &service.below).filter(|below| below.starts_with(directory));
    for below in below {
        place::open(below, Missing::IsMade)?;
    }
    place.share_all(directory, &Share { owner, guests, files: &files }, left)
}
