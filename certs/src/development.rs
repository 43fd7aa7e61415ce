//! The self-signed certificate that a site without certificates of its own gets. It is kept between
//! starts, so that what a developer has told a browser stays told.

use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use tidegate_host::write_private;
use time::{Duration, OffsetDateTime};

use crate::{Certificate, CertificateError, certificate::load_pem as load};

/// Every one is for these, so that the first try on the machine itself works.
const ALWAYS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Browsers refuse more than 398 days.
const VALIDITY: Duration = Duration::days(365);
const RENEW_BEFORE: Duration = Duration::days(7);

/// Clients whose clock is behind must accept it too.
const BACKDATED: Duration = Duration::days(1);

/// The certificate kept as `development.pem` and `development.key` in `dir`, for `names` and this
/// machine. Made anew when there is none that can be used, a name is missing, or it ends within 7 days.
pub fn development(dir: &Path, names: &[String]) -> Result<Certificate, CertificateError> {
    development_at(dir, names, OffsetDateTime::now_utc())
}

fn development_at(dir: &Path, names: &[String], now: OffsetDateTime) -> Result<Certificate, CertificateError> {
    let names = wanted(names);
    let pem = dir.join("development.pem");
    let key = dir.join("development.key");
    let _lock = lock(dir)?;
    for path in [&pem, &key] {
        // Somebody else's key is no secret.
        tidegate_host::file::expel(path).map_err(|source| CertificateError::Write { path: path.clone(), source })?;
    }
    if let Ok(kept) = load(&pem, &key) {
        let lasts = kept.not_after > (now + RENEW_BEFORE).unix_timestamp();
        if lasts && names.iter().all(|name| kept.names.contains(name)) {
            return Ok(kept);
        }
    }
    let (chain, private) = make(&names, now)?;
    write_private(&key, private.as_bytes()).map_err(|source| CertificateError::Write { path: key.clone(), source })?;
    write_public(&pem, &chain).map_err(|source| CertificateError::Write { path: pem.clone(), source })?;
    load(&pem, &key)
}

/// Of two programs that start at once, one makes it and the other finds it.
fn lock(dir: &Path) -> Result<File, CertificateError> {
    let path = dir.join("development.lock");
    let locked = fs::create_dir_all(dir)
        .and_then(|()| tidegate_host::file::expel(&path))
        .and_then(|_| File::options().write(true).create(true).truncate(false).open(&path))
        .and_then(|file| file.lock().map(|()| file));
    locked.map_err(|source| CertificateError::Write { path, source })
}

/// In the form in which a loaded certificate tells them, each once.
fn wanted(names: &[String]) -> Vec<String> {
    let mut wanted: Vec<String> = Vec::new();
    for name in ALWAYS.into_iter().chain(names.iter().map(String::as_str)) {
        let name = match name.parse::<IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) => name.to_ascii_lowercase(),
        };
        // A host that takes any name has none to put into a certificate.
        if name != "*" && !wanted.contains(&name) {
            wanted.push(name);
        }
    }
    wanted
}

/// PEM of a certificate and of its key.
fn make(names: &[String], now: OffsetDateTime) -> Result<(String, String), CertificateError> {
    let made = || {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names)?;
        params.not_before = now - BACKDATED;
        params.not_after = now - BACKDATED + VALIDITY;
        params.distinguished_name.push(DnType::CommonName, "Tidegate development");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
    };
    made().map_err(|source| CertificateError::Generate { names: names.to_vec(), source })
}

/// In one step, like the key, but for everybody: it is what one imports into a browser.
fn write_public(path: &Path, contents: &str) -> io::Result<()> {
    let temporary: PathBuf = path.with_extension("pem.tmp");
    fs::write(&temporary, contents).and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn at(day: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap() + Duration::days(day)
    }

    fn on(scratch: &Scratch, names: &[&str], day: i64) -> Certificate {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        development_at(&scratch.0.join("state"), &names, at(day)).unwrap()
    }

    fn same(one: &Certificate, other: &Certificate) -> bool {
        one.key.cert == other.key.cert
    }

    #[test]
    fn it_is_for_this_machine_and_the_names_given() {
        let scratch = Scratch::new();
        let made = on(&scratch, &["Shop.example", "*.shop.example", "*", "10.0.0.1", "localhost"], 0);
        let expected = ["localhost", "127.0.0.1", "::1", "shop.example", "*.shop.example", "10.0.0.1"];
        assert_eq!(made.names, expected);
        assert!(made.self_signed);
        assert_eq!(made.not_after, at(364).unix_timestamp());
    }

    #[test]
    fn it_is_kept_until_a_week_before_its_end() {
        let scratch = Scratch::new();
        let first = on(&scratch, &["a.example"], 0);
        assert!(same(&first, &on(&scratch, &["a.example"], 356)));
        let second = on(&scratch, &["a.example"], 357);
        assert!(!same(&first, &second));
        assert_eq!(second.not_after, at(357 + 364).unix_timestamp());
    }

    #[test]
    fn it_is_made_anew_for_another_name_and_kept_for_fewer() {
        let scratch = Scratch::new();
        let first = on(&scratch, &["a.example", "b.example"], 0);
        assert!(same(&first, &on(&scratch, &["a.example"], 0)));
        assert!(!same(&first, &on(&scratch, &["c.example"], 0)));
    }

    #[test]
    fn one_that_is_damaged_is_replaced() {
        let scratch = Scratch::new();
        let first = on(&scratch, &[], 0);
        scratch.write("state/development.key", "garbage");
        assert!(!same(&first, &on(&scratch, &[], 0)));
    }

    #[test]
    fn a_name_that_no_certificate_can_have_is_told() {
        let scratch = Scratch::new();
        let error = development(&scratch.0, &["caf\u{e9}.example".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("caf\u{e9}.example"), "{error}");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let scratch = Scratch::new();
        let file = scratch.write("file", "");
        let error = development(&file.join("state"), &[]).unwrap_err().to_string();
        assert!(error.contains("state"), "{error}");
    }
}
