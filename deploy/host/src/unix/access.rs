//! Owners and modes.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::place::{self, Missing};

use crate::access::{Access, Entry, Owner, Rights, Rule};

/// Of everybody who is neither owner nor of the group.
const OTHERS: u32 = 0o007;
const GROUP_READS: u32 = 0o040;
/// Of a directory in which everybody deletes their own files only.
const STICKY: u32 = 0o1000;

/// Others lose their rights. A chosen group keeps its own: other services may share a certificate by it. Where the rule is for one
/// account and keeps others out, it takes the place of theirs, and of root's group.
pub(crate) fn protect(path: &Path, rule: &Rule) -> io::Result<()> {
    let place = place::open(path, Missing::Fails)?;
    let mut mode = place.mode() & !OTHERS;
    if let Some(account) = sole(rule).filter(|_| !rule.others.is_empty()) {
        let now = place.owner();
        let heir = heir(now, owner(account)?, &owners(&rule.others)?, is_private(path, now.group));
        if let Some((heir, by_group)) = heir {
            place.give(heir)?;
            mode |= if by_group { GROUP_READS } else { 0 };
        }
    }
    if mode == place.mode() { Ok(()) } else { place.set_mode(mode) }
}

/// The account of a rule that is for one.
pub(super) fn sole(rule: &Rule) -> Option<&str> {
    let mut accounts = rule.readers.iter().chain(&rule.writers);
    let first = accounts.next()?;
    accounts.all(|account| account == first).then_some(first.as_str())
}

fn owners(accounts: &[String]) -> io::Result<Vec<place::Owner>> {
    accounts.iter().map(|account| owner(account)).collect()
}

fn is_private(path: &Path, group: u32) -> bool {
    is_owners_own_group(path, &format!("group:{group}"))
}

/// Whose a secret is to be that is `now` somebody's, and whether the group has to let its reader in. None: as it is.
/// `private`: its group has no member but the owner.
fn heir(
    now: place::Owner,
    reader: place::Owner,
    others: &[place::Owner],
    private: bool,
) -> Option<(place::Owner, bool)> {
    if now.user == reader.user {
        let is_open = others.iter().any(|other| other.group == now.group);
        return is_open.then_some((reader, false));
    }
    if others.iter().any(|other| other.user == now.user) {
        return Some((reader, false));
    }
    let is_free = now.group == 0 || private || others.iter().any(|other| other.group == now.group);
    (is_free || now.group == reader.group).then_some((place::Owner { group: reader.group, ..now }, true))
}

/// Whether an account will be able to read a secret once it was protected: `None` if that does not change who may.
pub(crate) fn is_handed_over(path: &Path, rule: &Rule) -> io::Result<bool> {
    let Some(account) = sole(rule) else { return Ok(false) };
    let now = place::open(path, Missing::Fails)?.owner();
    Ok(heir(now, owner(account)?, &owners(&rule.others)?, is_private(path, now.group)).is_some())
}

pub(crate) fn describe(path: &Path) -> io::Result<Access> {
    let metadata = fs::metadata(path)?;
    let (mode, uid, gid) = (metadata.mode(), metadata.uid(), metadata.gid());
    let (user, group) = (user_name(uid), group_name(gid));
    let rights = |shift: u32| Rights { read: mode >> shift & 4 != 0, write: mode >> shift & 2 != 0 };
    let entries = [
        (user.clone(), format!("user:{uid}"), rights(6)),
        (format!("group {group}"), format!("group:{gid}"), rights(3)),
        ("everybody".to_owned(), "others".to_owned(), rights(0)),
    ];
    let allowed = |entry: &(String, String, Rights)| entry.2 != Rights::default();
    Ok(Access {
        text: format!("{} {user}:{group}", letters(mode)),
        is_protected: true,
        owner: Some(Owner { account: user, id: format!("user:{uid}") }),
        denials: Vec::new(),
        entries: entries
            .into_iter()
            .filter(allowed)
            .map(|(account, id, rights)| Entry { account, id, rights, inherited: false })
            .collect(),
    })
}

/// As `ls -l` writes a mode.
fn letters(mode: u32) -> String {
    (0..9).map(|at| if mode >> (8 - at) & 1 == 1 { char::from(b"rwxrwxrwx"[at]) } else { '-' }).collect()
}

/// The identifiers of an account and of the group that it has by itself.
pub(crate) fn ids(account: &str) -> io::Result<Vec<String>> {
    let place::Owner { user, group } = owner(account)?;
    Ok(vec![format!("user:{user}"), format!("group:{group}")])
}

/// An account and the group that it has by itself.
pub(super) fn owner(account: &str) -> io::Result<place::Owner> {
    let name = CString::new(account)?;
    let found = password_entry(|entry, buffer, size, result| {
        // SAFETY: the name ends in NUL, and what is written to has the sizes given.
        unsafe { libc::getpwnam_r(name.as_ptr(), entry, buffer, size, result) }
    })?;
    match found {
        Some((_, user, group)) => Ok(place::Owner { user, group }),
        None => Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no account {account}"))),
    }
}

pub(crate) fn is_system(id: &str) -> bool {
    matches!(id, "user:0" | "group:0")
}

/// Nothing is kept from root.
pub(crate) fn take(_path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::PermissionDenied.into())
}

pub(crate) fn is_administrative(id: &str) -> bool {
    is_system(id)
}

/// Groups have chosen members.
pub(crate) fn is_ordinary(id: &str) -> bool {
    is_everybody(id)
}

/// Whether a group has no member but the owner and root: many systems give each user a group of its own, and let it write.
pub(crate) fn is_owners_own_group(place: &Path, id: &str) -> bool {
    let Ok(metadata) = fs::metadata(place) else { return false };
    if id != format!("group:{}", metadata.gid()) {
        return false;
    }
    let Some(members) = members(metadata.gid()) else { return false };
    let owner = user_name(metadata.uid());
    members.iter().all(|member| *member == owner || member == "root")
}

/// Everybody in a group.
fn members(gid: u32) -> Option<Vec<String>> {
    let (_, mut members) = group(gid)?;
    // Whose own group it is, is not in the group's list.
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_group = |line: &&str| line.split(':').nth(3) == Some(&gid.to_string());
    members.extend(accounts.lines().filter(of_group).filter_map(|line| Some(line.split(':').next()?.to_owned())));
    Some(members)
}

/// Those in a group that are none of these accounts.
pub(super) fn other_members(gid: u32, accounts: &[&str]) -> Vec<String> {
    let mut others = members(gid).unwrap_or_default();
    others.retain(|member| member != "root" && !accounts.contains(&member.as_str()));
    others
}

/// The directories by which a path is reached, and itself, also where links lead. Of those above that have the sticky bit nobody exchanges what is
/// another's.
pub(crate) fn way(path: &Path) -> io::Result<Vec<PathBuf>> {
    let path = std::path::absolute(path)?;
    let real = fs::canonicalize(&path)?;
    let mut way: Vec<PathBuf> = Vec::new();
    for start in [path.as_path(), real.as_path()] {
        for (above, place) in start.ancestors().enumerate() {
            let metadata = fs::metadata(place)?;
            let is_sticky = metadata.is_dir() && metadata.mode() & STICKY != 0;
            if (above == 0 || !is_sticky) && !way.iter().any(|known| known == place) {
                way.push(place.to_owned());
            }
        }
    }
    Ok(way)
}

/// Root is the system.
pub(crate) fn is_own_administrator(_id: &str) -> bool {
    false
}

pub(crate) fn is_everybody(id: &str) -> bool {
    id == "others"
}

fn user_name(uid: u32) -> String {
    let found = password_entry(|entry, buffer, size, result| {
        // SAFETY: what is written to has the sizes given.
        unsafe { libc::getpwuid_r(uid, entry, buffer, size, result) }
    });
    found.ok().flatten().map_or_else(|| uid.to_string(), |(name, ..)| name)
}

type Ask<'a> = &'a mut libc::passwd;

/// Name, user and group of an account that `ask` looks for.
fn password_entry(
    ask: impl Fn(Ask<'_>, *mut libc::c_char, usize, *mut *mut libc::passwd) -> i32,
) -> io::Result<Option<(String, u32, u32)>> {
    let mut buffer = vec![0; LINE];
    loop {
        // SAFETY: a structure of numbers and pointers, for which zeroes are valid.
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let mut result = std::ptr::null_mut();
        match ask(&mut entry, buffer.as_mut_ptr(), buffer.len(), &mut result) {
            0 if result.is_null() => return Ok(None),
            // Some systems say so of a name that they do not know.
            libc::ENOENT | libc::ESRCH => return Ok(None),
            0 => {
                // SAFETY: the name is a string in `buffer`, which is still there.
                let name = unsafe { CStr::from_ptr(entry.pw_name) };
                return Ok(Some((name.to_string_lossy().into_owned(), entry.pw_uid, entry.pw_gid)));
            }
            libc::ERANGE if buffer.len() < MOST => buffer.resize(buffer.len() * 4, 0),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

fn group_name(gid: u32) -> String {
    group(gid).map_or_else(|| gid.to_string(), |(name, _)| name)
}

/// The name of a group, and those who are in it beside whose own it is.
fn group(gid: u32) -> Option<(String, Vec<String>)> {
    let mut buffer = vec![0; LINE];
    loop {
        // SAFETY: a structure of numbers and pointers, for which zeroes are valid.
        let mut entry: libc::group = unsafe { std::mem::zeroed() };
        let mut result = std::ptr::null_mut();
        // SAFETY: what is written to has the sizes given.
        match unsafe { libc::getgrgid_r(gid, &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut result) } {
            0 if !result.is_null() => {
                // SAFETY: a string in `buffer`, which is still there.
                let text = |text: *const libc::c_char| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
                // SAFETY: the list ends in a null pointer, and is in `buffer` too.
                let member = |at: usize| unsafe { *entry.gr_mem.add(at) };
                let members =
                    (0..).map(member).take_while(|member| !member.is_null()).map(|member| text(member)).collect();
                return Some((text(entry.gr_name), members));
            }
            libc::ERANGE if buffer.len() < MOST => buffer.resize(buffer.len() * 4, 0),
            _ => return None,
        }
    }
}

/// Of an account's line in the system's list, usually.
const LINE: usize = 1 << 10;
/// With the names of thousands of members.
const MOST: usize = 1 << 20;

/// The name of the group that an account has by itself.
pub(super) fn own_group(account: &str) -> io::Result<String> {
    owner(account).map(|owner| group_name(owner.group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_to_its_reader_and_away_from_others() {
        let account = |number| place::Owner { user: number, group: number };
        let of = |user, group| place::Owner { user, group };
        let (root, server, proxy, ada, chosen) = (0, 998, 997, 1000, 4711);
        for (now, private, expected) in [
            // Installed under one account before.
            (account(server), true, Some((account(proxy), false))),
            (of(root, server), false, Some((of(root, proxy), true))),
            (of(proxy, server), false, Some((account(proxy), false))),
            // Nobody's of them.
            (account(root), true, Some((of(root, proxy), true))),
            (account(ada), true, Some((of(ada, proxy), true))),
            // As it was left before, perhaps without the right.
            (of(root, proxy), false, Some((of(root, proxy), true))),
            (account(proxy), true, None),
            (of(root, chosen), false, None),
            (of(ada, chosen), false, None),
        ] {
            assert_eq!(heir(now, account(proxy), &[account(server)], private), expected, "{now:?}");
        }
    }

    #[test]
    fn a_mode_is_shown_as_ls_shows_it() {
        for (mode, shown) in [(0o100640, "rw-r-----"), (0o40750, "rwxr-x---"), (0o777, "rwxrwxrwx"), (0, "---------")] {
            assert_eq!(letters(mode), shown);
        }
    }

    #[test]
    fn a_way_leaves_out_what_only_owners_exchange_things_in() {
        let directory = std::env::temp_dir().join(format!("tg-way-{}", std::process::id()));
        fs::create_dir_all(directory.join("real")).unwrap();
        std::os::unix::fs::symlink("real", directory.join("link")).unwrap();
        let way = way(&directory.join("link")).unwrap();
        assert!(way.contains(&directory) && way.contains(&directory.join("real")), "{way:?}");
        let is_sticky = fs::metadata("/tmp").unwrap().mode() & STICKY != 0;
        assert_eq!(way.contains(&PathBuf::from("/tmp")), !is_sticky && directory.starts_with("/tmp"));
        assert_eq!(group(0).unwrap().0, "root");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn accounts_are_known_by_name_or_not_at_all() {
        assert_eq!(ids("root").unwrap(), ["user:0", "group:0"]);
        assert_eq!(ids("no-such-account").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!((user_name(0), group_name(0)), ("root".to_owned(), "root".to_owned()));
        assert_eq!(user_name(4_000_000_000), "4000000000");
        let root = owner("root").unwrap();
        assert_eq!((other_members(root.group, &[]), own_group("root").unwrap()), (Vec::new(), "root".to_owned()));
    }
}
