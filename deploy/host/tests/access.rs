//! Who may use a place, through the public API. Wine keeps access lists as modes, so that what is read back there is
//! not what was set; the lists' text has its tests beside the code.

#![allow(clippy::unwrap_used, reason = "tests")]

mod scratch;

use scratch::Scratch;
use tidegate_host::access::{self, Rule};

#[test]
fn a_place_is_described_and_can_be_protected_and_still_used() {
    let scratch = Scratch::new();
    let key = scratch.0.join("shop.key");
    std::fs::write(&key, "secret").unwrap();
    for place in [&key, &scratch.0] {
        let before = access::describe(place).unwrap();
        assert!(!before.text.is_empty() && !before.entries.is_empty(), "{before:?}");
        access::protect(place, &Rule::default()).unwrap();
        let after = access::describe(place).unwrap();
        println!("{} became {}", before.text, after.text);
        // Wine's list still names everybody.
        let strangers = after.strangers(&Rule::default()).unwrap();
        assert!(!strangers.iter().any(|entry| entry.id == "others"), "{after:?}");
    }
    assert_eq!(std::fs::read_to_string(&key).unwrap(), "secret");
}

#[test]
fn a_place_that_is_not_there_is_an_error() {
    let scratch = Scratch::new();
    let missing = scratch.0.join("missing");
    assert_eq!(access::describe(&missing).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert_eq!(access::protect(&missing, &Rule::default()).unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[cfg(unix)]
#[test]
fn others_lose_their_rights_and_the_group_keeps_its_own() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
    let scratch = Scratch::new();
    let key = scratch.0.join("shop.key");
    std::fs::write(&key, "secret").unwrap();
    for (mode, kept) in [(0o644, 0o640), (0o666, 0o660), (0o600, 0o600), (0o604, 0o600)] {
        std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
        let described = access::describe(&key).unwrap();
        let open = described.strangers(&Rule::default()).unwrap().iter().any(|entry| entry.id == "others");
        assert_eq!(open, mode & 7 != 0, "{mode:o}: {described:?}");
        let changed = access::protect(&key, &Rule::default()).unwrap();
        assert_eq!(changed.is_some(), mode != kept, "{mode:o}: {changed:?}");
        assert_eq!(key.metadata().unwrap().mode() & 0o777, kept);
    }
}

#[cfg(unix)]
#[test]
fn an_account_that_cannot_read_is_missing_and_one_that_does_not_exist_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let key = scratch.0.join("shop.key");
    std::fs::write(&key, "secret").unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    let rule = |account: &str| Rule { readers: vec![account.to_owned()], ..Rule::default() };
    let described = access::describe(&key).unwrap();
    assert_eq!(described.missing(&rule("nobody")).unwrap(), ["nobody"]);
    // Root reads everything.
    assert!(described.missing(&rule("root")).unwrap().is_empty());
    assert_eq!(described.missing(&rule("no-such-account")).unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[cfg(windows)]
#[test]
fn a_list_names_the_accounts_of_services_that_do_not_exist_yet() {
    let scratch = Scratch::new();
    let rule = Rule { readers: vec![r"NT SERVICE\TidegateProxy".to_owned()], ..Rule::default() };
    access::protect(&scratch.0, &rule).unwrap();
    println!("{:#?}", access::describe(&scratch.0).unwrap());
    let nobody = Rule { readers: vec!["no such account here".to_owned()], ..Rule::default() };
    assert!(access::protect(&scratch.0, &nobody).is_err());
}
