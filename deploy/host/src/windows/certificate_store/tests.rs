//! The store and its keys, as far as Wine has them.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const PFX: &[u8] = include_bytes!("../../../../../tests/files/store.pfx");
/// For the same name, issued later.
const RENEWED: &[u8] = include_bytes!("../../../../../tests/files/store-renewed.pfx");

/// One that no other test has. Wine leaves an empty one where a store was deleted, and counts its processes from the beginning
/// each time.
fn new_store() -> StoreName {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let name = format!("TgTest{}-{}", now.as_nanos(), COUNT.fetch_add(1, Ordering::Relaxed));
    StoreName { location: Location::CurrentUser, name }
}

fn delete(store: &StoreName) {
    // It answers nothing that could be used, whatever came of it.
    let _ = Store::open(store, windows_sys::Win32::Security::Cryptography::CERT_STORE_DELETE_FLAG);
}

/// Without the flag for CNG, which Wine refuses. Wine keeps the key by an older interface, so that this ends there.
#[test]
fn what_was_imported_is_listed_and_its_key_is_used_by_cng_or_not_at_all() {
    let store = new_store();
    assert!(list(&store).is_err(), "a store that is not there is not made by looking");
    assert!(import_with(&store, PFX, "wrong", 0).is_err());
    let imported = import_with(&store, PFX, "tide", 0).unwrap();
    let listed = list(&store).unwrap();
    assert_eq!(listed.iter().map(|one| &one.thumbprint).collect::<Vec<_>>(), imported.iter().collect::<Vec<_>>());
    let [one] = &listed[..] else { panic!("{listed:?}") };
    assert!(one.has_key && one.thumbprint == thumbprint(&one.certificate), "{}", one.thumbprint);
    match open(&store, &one.thumbprint) {
        Ok((key, issuers)) => {
            assert!(issuers.is_empty(), "it is its own issuer");
            let scheme = u16::from(SignatureScheme::RSA_PSS_SHA256);
            assert!(key.schemes().contains(&scheme));
            assert_eq!(key.sign(scheme, b"message").unwrap().len(), 256);
        }
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}"),
    }
    let missing = open(&store, &"0".repeat(40)).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    delete(&store);
}

/// Which of the two is meant is decided by `tidegate_certs`, over such a listing.
#[test]
fn a_certificate_that_is_added_is_in_the_next_listing_beside_the_one_before() {
    let store = new_store();
    let old = import_with(&store, PFX, "tide", 0).unwrap();
    assert_eq!(list(&store).unwrap().len(), 1);
    let new = import_with(&store, RENEWED, "tide", 0).unwrap();
    let listed = list(&store).unwrap();
    assert_eq!(listed.len(), 2, "{listed:?}");
    for thumbprint in old.iter().chain(&new) {
        let found = listed.iter().find(|stored| stored.thumbprint == *thumbprint);
        assert!(found.is_some_and(|stored| stored.has_key), "{thumbprint}: {listed:?}");
    }
    delete(&store);
}

/// With a key that CNG makes for this test alone.
#[test]
fn a_key_of_cng_signs_in_every_way_that_it_says_it_can() {
    use windows_sys::Win32::Security::Cryptography::{
        BCRYPT_RSA_ALGORITHM, MS_KEY_STORAGE_PROVIDER, NCRYPT_LENGTH_PROPERTY, NCryptCreatePersistedKey,
        NCryptFinalizeKey, NCryptFreeObject, NCryptOpenStorageProvider, NCryptSetProperty,
    };
    let (mut provider, mut key, bits) = (0, 0, 2048_u32);
    // SAFETY: all that is written to is writable, names end in NUL, and the key has no name, so it is kept nowhere.
    let handle = unsafe {
        assert_eq!(NCryptOpenStorageProvider(&mut provider, MS_KEY_STORAGE_PROVIDER, 0), 0);
        assert_eq!(NCryptCreatePersistedKey(provider, &mut key, BCRYPT_RSA_ALGORITHM, ptr::null(), 0, 0), 0);
        let length = ptr::from_ref(&bits).cast();
        assert_eq!(NCryptSetProperty(key, NCRYPT_LENGTH_PROPERTY, length, 4, 0), 0);
        assert_eq!(NCryptFinalizeKey(key, 0), 0);
        NCryptFreeObject(provider);
        NCryptKey::new_owned(key)
    };
    let key = Key(CngSigningKey::new(handle).unwrap());
    assert_eq!(key.schemes().len(), 6);
    assert!(key.sign(u16::from(SignatureScheme::ED25519), b"message").is_err());
    for scheme in key.schemes() {
        assert_eq!(key.sign(scheme, b"message").unwrap().len(), 256, "{scheme:#06x}");
    }
}

/// Wine keeps no list for a key: there it ends with an error, and nothing is claimed to have been granted.
#[test]
fn a_key_is_granted_to_an_account_once_or_not_at_all() {
    use windows_sys::Win32::Security::Cryptography::{
        BCRYPT_RSA_ALGORITHM, MS_KEY_STORAGE_PROVIDER, NCryptCreatePersistedKey, NCryptDeleteKey, NCryptFinalizeKey,
        NCryptFreeObject, NCryptOpenStorageProvider,
    };
    let name = wide(format!("TgTest{}", std::process::id()));
    let (mut provider, mut key) = (0, 0);
    // SAFETY: all that is written to is writable, and names end in NUL.
    unsafe {
        assert_eq!(NCryptOpenStorageProvider(&mut provider, MS_KEY_STORAGE_PROVIDER, 0), 0);
        assert_eq!(NCryptCreatePersistedKey(provider, &mut key, BCRYPT_RSA_ALGORITHM, name.as_ptr(), 0, 0), 0);
        assert_eq!(NCryptFinalizeKey(key, 0), 0);
    }
    let account = r"NT SERVICE\TgTest";
    match key_access::grant(key, account) {
        Ok(changed) => {
            let changed = changed.expect("it could not use the key before");
            assert_eq!(changed.after.entries.len(), changed.before.entries.len() + 1, "{changed:?}");
            assert_eq!(key_access::grant(key, account).unwrap(), None);
        }
        Err(error) => println!("not granted: {error}"),
    }
    // SAFETY: both are open, and not used again.
    unsafe {
        NCryptDeleteKey(key, 0);
        NCryptFreeObject(provider);
    }
}

/// The way of a grant without the key: from a descriptor to its text, with an entry more, and back.
#[test]
fn a_list_with_a_reader_more_reads_as_it_was_meant() {
    use crate::access::Rule;
    use crate::sys::{access, account, security};

    let account = r"NT SERVICE\TgTest";
    let rule = Rule { readers: vec![account.to_owned()], ..Rule::default() };
    // As Windows writes that of a key after an import.
    let before = security::make("D:PAI(A;;0xd01f01ff;;;SY)(A;;0xd01f01ff;;;BA)").unwrap();
    let before = access::of_descriptor(before.0).unwrap();
    assert_eq!(before.missing(&rule).unwrap(), [account]);
    let sid = account::sid_text(account).unwrap();
    let after = security::make(&crate::sddl::with_reader(&before.text, &sid).unwrap()).unwrap();
    let after = access::of_descriptor(after.0).unwrap();
    assert!(after.missing(&rule).unwrap().is_empty(), "{after:?}");
    assert_eq!(after.entries.get(..2), before.entries.get(..), "what others had stays");
    let added = &after.entries[2];
    assert!(added.id == sid && added.rights.read && !added.rights.write && after.is_protected, "{after:?}");
}
