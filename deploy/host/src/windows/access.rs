//! Access lists of files and directories.

use std::io;
use std::path::{Path, PathBuf};
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, GENERIC_ALL, GENERIC_READ, GENERIC_WRITE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW, EXPLICIT_ACCESS_W, GRANT_ACCESS, GetNamedSecurityInfoW,
    SDDL_REVISION_1, SE_FILE_OBJECT, SetEntriesInAclW, SetNamedSecurityInfoW, TRUSTEE_IS_SID, TRUSTEE_IS_UNKNOWN,
    TRUSTEE_W,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACL, CONTAINER_INHERIT_ACE, DACL_SECURITY_INFORMATION, GetAce, GetSecurityDescriptorControl,
    GetSecurityDescriptorDacl, GetSecurityDescriptorOwner, INHERIT_ONLY_ACE, INHERITED_ACE, OBJECT_INHERIT_ACE,
    OWNER_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID, SE_DACL_PROTECTED,
};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_APPEND_DATA, FILE_DELETE_CHILD, FILE_READ_DATA, FILE_WRITE_DATA, WRITE_DAC, WRITE_OWNER,
};

use super::account::{self, Sid};
use super::file::wide;
use super::ownership;
use super::security;
use crate::access::{Access, Entry, Owner, Rights, Rule};
use crate::sddl;

/// Sees the content.
const SEES: u32 = FILE_READ_DATA | GENERIC_READ | GENERIC_ALL;
/// Changes it, or gets itself the right to.
const CHANGES: u32 = FILE_WRITE_DATA
    | FILE_APPEND_DATA
    | FILE_DELETE_CHILD
    | DELETE
    | WRITE_DAC
    | WRITE_OWNER
    | GENERIC_WRITE
    | GENERIC_ALL;

/// SYSTEM, Administrators, the creator of a file and the owner's own rights, the installer of Windows.
const SYSTEM: [&str; 5] = [
    "S-1-5-18",
    "S-1-5-32-544",
    "S-1-3-0",
    "S-1-3-4",
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
];

/// Everyone, Authenticated Users, Users, SERVICE, ALL SERVICES: the accounts of services are in all of them.
const EVERYBODY: [&str; 5] = ["S-1-1-0", "S-1-5-11", "S-1-5-32-545", "S-1-5-6", "S-1-5-80-0"];

/// Groups that anybody may be in beside those: of whoever logs on in some way, Guests, packaged apps.
const ORDINARY: [&str; 8] =
    ["S-1-5-2", "S-1-5-3", "S-1-5-4", "S-1-5-7", "S-1-5-14", "S-1-5-15", "S-1-5-32-546", "S-1-15-2-1"];
/// Every domain has its own Users, Guests and Computers, and its own administrators (the account, and the groups of the domain, its schema and
/// its forest).
const ORDINARY_OF_A_DOMAIN: [&str; 3] = ["-513", "-514", "-515"];
const ADMINISTRATORS_OF_A_DOMAIN: [&str; 4] = ["-500", "-512", "-518", "-519"];

/// `ACCESS_ALLOWED_ACE_TYPE` and the like, which the bindings have among other constants of another size. A condition behind the
/// last of them may be true.
const ALLOWED: u8 = 0;
const DENIED: u8 = 1;
const DENIED_IF: u8 = 10;

/// Replaces the list: what came from the directory above goes too, and so does an owner who could change it back.
/// A list is made anew.
pub(crate) fn is_handed_over(_path: &Path, _rule: &Rule) -> io::Result<bool> {
    Ok(true)
}

pub(crate) fn protect(path: &Path, rule: &Rule) -> io::Result<()> {
    let _held = ownership::hold(path)?;
    if describe(path)?.foreign_owner(rule)?.is_some() {
        ownership::take(path)?;
    }
    let sids =
        |accounts: &[String]| accounts.iter().map(|name| account::sid_text(name)).collect::<io::Result<Vec<_>>>();
    let text = sddl::place(&sids(&rule.readers)?, &sids(&rule.writers)?, path.is_dir());
    let descriptor = security::make(&text)?;
    let outcome = list(descriptor.0)
        .and_then(|list| set(path, list, DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION));
    // SAFETY: made above, and nobody uses it any more.
    unsafe { LocalFree(descriptor.0) };
    outcome
}

/// Makes Administrators' what not even they may look at: whoever owns a place may do that.
pub(crate) fn take(path: &Path) -> io::Result<()> {
    let _held = ownership::hold(path)?;
    ownership::take(path)
}

/// A path's owner and list, as [`describe`] and [`grant_directory`] read it; freed on drop.
struct List {
    descriptor: PSECURITY_DESCRIPTOR,
    list: *mut ACL,
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: made by the system for us, and part of nothing else.
        unsafe { LocalFree(self.descriptor) };
    }
}

fn read(path: &Path) -> io::Result<List> {
    let path = wide(path);
    let mut read = List { descriptor: ptr::null_mut(), list: ptr::null_mut() };
    // SAFETY: the path ends in NUL; list and descriptor are writable, the others not asked for: the owner is in the latter.
    result(unsafe {
        GetNamedSecurityInfoW(
            path.as_ptr(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION | OWNER_SECURITY_INFORMATION,
            ptr::null_mut(),
            ptr::null_mut(),
            &mut read.list,
            ptr::null_mut(),
            &mut read.descriptor,
        )
    })?;
    Ok(read)
}

fn set(path: &Path, list: *const ACL, what: u32) -> io::Result<()> {
    let path = wide(path);
    // SAFETY: the path ends in NUL, the list is valid; owner, group and audit list stay.
    result(unsafe {
        SetNamedSecurityInfoW(
            path.as_ptr(),
            SE_FILE_OBJECT,
            what,
            ptr::null_mut(),
            ptr::null_mut(),
            list,
            ptr::null_mut(),
        )
    })
}

pub(crate) fn describe(path: &Path) -> io::Result<Access> {
    let read = read(path)?;
    of_descriptor(read.descriptor)
}

/// What a descriptor says. It has to be valid.
pub(super) fn of_descriptor(descriptor: PSECURITY_DESCRIPTOR) -> io::Result<Access> {
    let (mut control, mut revision) = (0, 0);
    // SAFETY: callers pass a valid descriptor; both are writable.
    if unsafe { GetSecurityDescriptorControl(descriptor, &mut control, &mut revision) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let list = list(descriptor)?;
    let everything = Rights { read: true, write: true };
    let (entries, denials) = if list.is_null() {
        // No list at all lets everybody do everything.
        let everybody =
            Entry { account: "Everyone".into(), id: "S-1-1-0".into(), rights: everything, inherited: false };
        (vec![everybody], Vec::new())
    } else {
        entries(list)?
    };
    let is_protected = control & SE_DACL_PROTECTED != 0;
    Ok(Access { text: text(descriptor)?, is_protected, owner: owner(descriptor)?, entries, denials })
}

/// The owner in a valid descriptor, if it has one.
fn owner(descriptor: PSECURITY_DESCRIPTOR) -> io::Result<Option<Owner>> {
    let mut sid: PSID = ptr::null_mut();
    let mut defaulted = 0;
    // SAFETY: callers pass a valid descriptor; both are writable.
    if unsafe { GetSecurityDescriptorOwner(descriptor, &mut sid, &mut defaulted) } == 0 {
        return Err(io::Error::last_os_error());
    }
    if sid.is_null() {
        return Ok(None);
    }
    let id = account::show(sid)?;
    Ok(Some(Owner { account: account::name(sid).unwrap_or_else(|| id.clone()), id }))
}

/// The list in a valid descriptor; null where it has none.
fn list(descriptor: PSECURITY_DESCRIPTOR) -> io::Result<*mut ACL> {
    let (mut present, mut defaulted) = (0, 0);
    let mut list: *mut ACL = ptr::null_mut();
    // SAFETY: callers pass a valid descriptor; the others are writable.
    if unsafe { GetSecurityDescriptorDacl(descriptor, &mut present, &mut list, &mut defaulted) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(if present == 0 { ptr::null_mut() } else { list })
}

/// The entries that allow something, and those that forbid something. Those that only what is made in a directory gets are
/// neither.
fn entries(list: *const ACL) -> io::Result<(Vec<Entry>, Vec<Entry>)> {
    let (mut entries, mut denials) = (Vec::new(), Vec::new());
    // SAFETY: callers pass a valid list.
    for at in 0..u32::from(unsafe { (*list).AceCount }) {
        let mut entry = ptr::null_mut();
        // SAFETY: as above, and `entry` is writable.
        if unsafe { GetAce(list, at, &mut entry) } == 0 {
            return Err(io::Error::last_os_error());
        }
        let entry: *const ACCESS_ALLOWED_ACE = entry.cast();
        // SAFETY: every entry begins with this header.
        let header = unsafe { (*entry).Header };
        let flags = u32::from(header.AceFlags);
        if !matches!(header.AceType, ALLOWED | DENIED | DENIED_IF) || flags & INHERIT_ONLY_ACE != 0 {
            continue;
        }
        // SAFETY: an entry of these types has a mask, and ends in an identifier that begins at `SidStart`.
        let (mask, sid) = unsafe { ((*entry).Mask, (&raw const (*entry).SidStart).cast_mut().cast()) };
        let rights = Rights { read: mask & SEES != 0, write: mask & CHANGES != 0 };
        if rights == Rights::default() {
            continue;
        }
        let id = account::show(sid)?;
        let account = account::name(sid).unwrap_or_else(|| id.clone());
        let of_its_kind = if header.AceType == ALLOWED { &mut entries } else { &mut denials };
        of_its_kind.push(Entry { account, id, rights, inherited: flags & INHERITED_ACE != 0 });
    }
    Ok((entries, denials))
}

fn text(descriptor: PSECURITY_DESCRIPTOR) -> io::Result<String> {
    let mut text = ptr::null_mut();
    // SAFETY: callers pass a valid descriptor; the text is writable, its length not asked for.
    let told = unsafe {
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor,
            SDDL_REVISION_1,
            DACL_SECURITY_INFORMATION,
            &mut text,
            ptr::null_mut(),
        )
    };
    if told == 0 { Err(io::Error::last_os_error()) } else { Ok(account::take_text(text)) }
}

pub(crate) fn ids(name: &str) -> io::Result<Vec<String>> {
    Ok(vec![account::sid_text(name)?])
}

pub(crate) fn is_system(id: &str) -> bool {
    SYSTEM.contains(&id)
}

/// Whether whoever it is may do everything anyway.
pub(crate) fn is_administrative(id: &str) -> bool {
    is_system(id) || is_of_a_domain(id, &ADMINISTRATORS_OF_A_DOMAIN)
}

/// Whether anybody who has an account may be it.
pub(crate) fn is_ordinary(id: &str) -> bool {
    is_everybody(id) || ORDINARY.contains(&id) || is_of_a_domain(id, &ORDINARY_OF_A_DOMAIN)
}

fn is_of_a_domain(id: &str, kinds: &[&str]) -> bool {
    id.starts_with("S-1-5-21-") && kinds.iter().any(|kind| id.ends_with(kind))
}

/// Groups of one member are not made here.
pub(crate) fn is_owners_own_group(_place: &Path, _id: &str) -> bool {
    false
}

/// The places whose lists say who may change what is at a path: itself, and for a file its directory. Those above let nobody exchange
/// a directory who may not delete it by its own list, unless they were changed by hand.
pub(crate) fn way(path: &Path) -> io::Result<Vec<PathBuf>> {
    let directory = path.parent().filter(|_| !path.is_dir());
    Ok(std::iter::once(path).chain(directory).map(Path::to_owned).collect())
}

/// Whether it is the account of this process, started with an administrator's rights: what it makes is its own.
pub(crate) fn is_own_administrator(id: &str) -> bool {
    super::machine::is_administrator() && account::own_sid().is_ok_and(|own| own == id)
}

pub(crate) fn is_everybody(id: &str) -> bool {
    EVERYBODY.contains(&id)
}

/// Adds to what a directory's list grants: reading, writing and deleting below it for this account.
pub(super) fn grant_directory(directory: &Path, name: &str) -> io::Result<()> {
    let sid: Sid = account::lookup(name)?;
    let _held = ownership::hold(directory)?;
    let old = read(directory)?;
    let entry = EXPLICIT_ACCESS_W {
        grfAccessPermissions: sddl::MODIFY,
        grfAccessMode: GRANT_ACCESS,
        grfInheritance: OBJECT_INHERIT_ACE | CONTAINER_INHERIT_ACE,
        Trustee: TRUSTEE_W {
            TrusteeForm: TRUSTEE_IS_SID,
            TrusteeType: TRUSTEE_IS_UNKNOWN,
            ptstrName: sid.as_ptr().cast_mut().cast(),
            ..Default::default()
        },
    };
    let mut new: *mut ACL = ptr::null_mut();
    // SAFETY: one entry, whose trustee lives as long as `sid`; the old list as long as `old`.
    result(unsafe { SetEntriesInAclW(1, &entry, old.list, &mut new) })?;
    let outcome = set(directory, new, DACL_SECURITY_INFORMATION);
    // SAFETY: made above, and nobody uses it any more.
    unsafe { LocalFree(new.cast()) };
    outcome
}

pub(super) fn result(code: u32) -> io::Result<()> {
    if code == ERROR_SUCCESS { Ok(()) } else { Err(io::Error::from_raw_os_error(code.cast_signed())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_text(text: &str) -> Access {
        let descriptor = security::make(text).unwrap();
        of_descriptor(descriptor.0).unwrap()
    }

    #[test]
    fn entries_for_what_is_made_below_and_entries_that_forbid_are_told_apart() {
        let access = of_text("O:BAD:P(D;;FR;;;BG)(A;;FA;;;SY)(A;OICIIO;FA;;;BU)(A;;0x40;;;AU)");
        let ids: Vec<_> = access.entries.iter().map(|entry| (entry.id.as_str(), entry.rights)).collect();
        let both = Rights { read: true, write: true };
        // FILE_DELETE_CHILD alone is enough to put something else in the place of a file.
        assert_eq!(ids, [("S-1-5-18", both), ("S-1-5-11", Rights { read: false, write: true })]);
        assert_eq!(access.denials.len(), 1);
        assert!(access.denies(false) && access.denies(true));
        assert_eq!(access.owner.unwrap().id, "S-1-5-32-544");
    }

    #[test]
    fn an_owner_is_foreign_unless_the_system_or_the_rule_knows_it() {
        let rule = Rule { writers: vec![r"NT SERVICE\TidegateProxy".to_owned()], ..Rule::default() };
        let service = account::sid_text(r"NT SERVICE\TidegateProxy").unwrap();
        for (owner, foreign) in
            [("SY", false), ("BA", false), (service.as_str(), false), ("S-1-5-21-1-2-3-1001", true), ("BU", true)]
        {
            let access = of_text(&format!("O:{owner}D:P(A;;FA;;;SY)"));
            assert_eq!(access.foreign_owner(&rule).unwrap().is_some(), foreign, "{owner}");
        }
        assert!(of_text("D:P(A;;FA;;;SY)").foreign_owner(&rule).unwrap().is_none());
    }

    #[test]
    fn anybody_is_told_from_somebody_and_from_administrators() {
        for (id, ordinary, administrative) in [
            ("S-1-1-0", true, false),
            ("S-1-5-11", true, false),
            ("S-1-5-32-545", true, false),
            ("S-1-5-4", true, false),
            ("S-1-5-21-1-2-3-513", true, false),
            ("S-1-5-21-1-2-3-512", false, true),
            ("S-1-5-21-1-2-3-1001", false, false),
            ("S-1-5-18", false, true),
            ("S-1-5-80-1-2-3-4-513", false, false),
        ] {
            assert_eq!((is_ordinary(id), is_administrative(id)), (ordinary, administrative), "{id}");
        }
    }

    #[test]
    fn what_an_entry_may_forbid_is_unknown() {
        let may =
            |text: &str, write| super::super::machine::lets_in(&of_text(text), r"NT SERVICE\TidegateProxy", write);
        assert_eq!(may("D:P(A;;FA;;;WD)", true), Some(true));
        assert_eq!(may("D:P(A;OICIIO;FA;;;WD)", true), Some(false));
        assert_eq!(may("D:P(D;;FR;;;BU)(A;;FA;;;WD)", false), None);
        // Nobody is let in by being forbidden less.
        assert_eq!(may("D:P(D;;FW;;;BU)(A;;FA;;;WD)", false), Some(true));
        assert_eq!(may("D:P(D;;FR;;;BU)(A;;FA;;;SY)", false), Some(false));
    }
}
