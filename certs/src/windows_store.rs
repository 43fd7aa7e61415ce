//! A certificate of the Windows store: which one is meant, and signing with its key, which never leaves the store. Which is
//! chosen is decided here and tested on every system; the store itself is `tidegate_host`'s.

use std::cmp::Reverse;
use std::io;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, OtherError, SignatureAlgorithm, SignatureScheme};
use tidegate_host::certificate_store::{self, StoreKey, StoreName, Stored};
use tidegate_site::StorePick;

use crate::certificate::date;
use crate::{CertificateError, Facts};

/// The thumbprint of the certificate that is meant now.
pub fn pick(store: &StoreName, pick: &StorePick, now: i64) -> Result<String, CertificateError> {
    let all =
        certificate_store::list(store).map_err(|source| CertificateError::Store { store: store.clone(), source })?;
    choose(&all, pick, now).map(|chosen| chosen.thumbprint.clone()).map_err(|problem| CertificateError::NotInStore {
        store: store.clone(),
        pick: pick.clone(),
        problem,
    })
}

/// Chain and key of the certificate that is meant now, and its thumbprint.
pub(crate) fn load(store: &StoreName, pick: &StorePick, now: i64) -> Result<(CertifiedKey, String), CertificateError> {
    let thumbprint = self::pick(store, pick, now)?;
    let listed = certificate_store::list(store);
    let stored = listed.ok().and_then(|all| all.into_iter().find(|stored| stored.thumbprint == thumbprint));
    let opened = StoreKey::open(store, &thumbprint).and_then(|opened| {
        let stored =
            stored.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it is not in the store any more"))?;
        Ok((opened, stored))
    });
    let ((key, issuers), stored) = opened.map_err(|source| CertificateError::StoreKey {
        store: store.clone(),
        thumbprint: thumbprint.clone(),
        next: match source.kind() {
            io::ErrorKind::PermissionDenied => format!(
                "let the account of the proxy ({}) read it: `tidegate service install` does, or certlm.msc, the certificate, All \
                 Tasks, Manage Private Keys",
                tidegate_host::machine::own_account()
            ),
            _ => "import it with its key: `tidegate certificate import FILE.pfx`".to_owned(),
        },
        source,
    })?;
    let chain = std::iter::once(stored.certificate).chain(issuers).map(CertificateDer::from).collect();
    let schemes = key.schemes().into_iter().map(SignatureScheme::from).collect();
    Ok((CertifiedKey::new(chain, Arc::new(Key { key: Arc::new(key), schemes })), thumbprint))
}

/// By subject: of those with a key that are valid now the one that was issued last.
fn choose<'a>(all: &'a [Stored], pick: &StorePick, now: i64) -> Result<&'a Stored, String> {
    match pick {
        StorePick::Thumbprint(thumbprint) => {
            let found = all.iter().find(|stored| stored.thumbprint.eq_ignore_ascii_case(thumbprint));
            let found = found.ok_or_else(|| format!("there is none with this thumbprint among {}", all.len()))?;
            if found.has_key { Ok(found) } else { Err(WITHOUT_KEY.to_owned()) }
        }
        StorePick::Subject(subject) => {
            let named: Vec<(&Stored, Facts)> = all
                .iter()
                .filter_map(|stored| Some((stored, Facts::read(&stored.certificate)?)))
                .filter(|(_, facts)| facts.is_for(subject))
                .collect();
            let usable = |(stored, facts): &&(&Stored, Facts)| {
                stored.has_key && facts.not_before <= now && now <= facts.not_after
            };
            if let Some((stored, _)) = named
                .iter()
                .filter(usable)
                .max_by_key(|(stored, facts)| (facts.not_before, facts.not_after, Reverse(stored.thumbprint.clone())))
            {
                return Ok(stored);
            }
            let Some((last, facts)) = named.iter().max_by_key(|(_, facts)| facts.not_after) else {
                return Err(format!("there is none for this name among {}", all.len()));
            };
            Err(match (last.has_key, facts.not_before > now) {
                (false, _) => WITHOUT_KEY.to_owned(),
                (true, true) => format!("the one for this name is valid only from {} on", date(facts.not_before)),
                (true, false) => format!("the last one for this name expired at {}", date(facts.not_after)),
            })
        }
    }
}

const WITHOUT_KEY: &str = "it is there without a private key";

/// A key of the store, as rustls uses one.
#[derive(Debug)]
struct Key {
    key: Arc<StoreKey>,
    schemes: Vec<SignatureScheme>,
}

/// What signs in one way.
#[derive(Debug)]
struct InStore {
    key: Arc<StoreKey>,
    scheme: SignatureScheme,
}

impl SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = preferred(&self.schemes, offered)?;
        Some(Box::new(InStore { key: Arc::clone(&self.key), scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.schemes.first() {
            Some(SignatureScheme::ECDSA_NISTP256_SHA256 | SignatureScheme::ECDSA_NISTP384_SHA384) => {
                SignatureAlgorithm::ECDSA
            }
            _ => SignatureAlgorithm::RSA,
        }
    }
}

/// PSS first: the other padding is not allowed in TLS 1.3.
fn preferred(own: &[SignatureScheme], offered: &[SignatureScheme]) -> Option<SignatureScheme> {
    let is_pss = |scheme: &SignatureScheme| (0x0804..=0x0806).contains(&u16::from(*scheme));
    let common = || own.iter().copied().filter(|scheme| offered.contains(scheme));
    common().find(is_pss).or_else(|| common().next())
}

impl Signer for InStore {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.key.sign(u16::from(self.scheme), message).map_err(|error| Error::Other(OtherError(Arc::new(error))))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};
    use time::OffsetDateTime;

    use super::*;

    /// Valid from and until, in days of the test's calendar.
    fn stored(thumbprint: &str, name: &str, common: &str, days: (i64, i64), has_key: bool) -> Stored {
        let at = |day: i64| OffsetDateTime::from_unix_timestamp(day * 86_400).unwrap();
        let names: Vec<String> = if name.is_empty() { Vec::new() } else { vec![name.to_owned()] };
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        (params.not_before, params.not_after) = (at(days.0), at(days.1));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        Stored { certificate, thumbprint: thumbprint.to_owned(), has_key }
    }

    fn store() -> Vec<Stored> {
        vec![
            stored("A1", "shop.example", "old", (100, 190), true),
            stored("A2", "shop.example", "now", (150, 240), true),
            stored("A3", "shop.example", "no key", (180, 270), false),
            stored("A4", "shop.example", "later", (300, 390), true),
            stored("B1", "", "Desk.example", (100, 400), true),
            stored("C1", "*.wild.example", "wild", (100, 400), true),
            stored("D1", "gone.example", "gone", (1, 50), true),
            stored("E1", "keyless.example", "x", (100, 400), false),
            stored("F1", "early.example", "x", (500, 600), true),
        ]
    }

    #[test]
    fn a_subject_means_the_newest_that_is_valid_and_has_a_key() {
        let all = store();
        for (subject, day, expected) in [
            ("shop.example", 120, Ok("A1")),
            ("shop.example", 160, Ok("A2")),
            ("SHOP.example", 200, Ok("A2")),
            ("shop.example", 320, Ok("A4")),
            ("shop.example", 500, Err("the last one for this name expired at 1971-01-26T00:00:00Z")),
            ("desk.example", 200, Ok("B1")),
            ("a.wild.example", 200, Ok("C1")),
            ("gone.example", 200, Err("the last one for this name expired at 1970-02-20T00:00:00Z")),
            ("keyless.example", 200, Err("it is there without a private key")),
            ("early.example", 200, Err("the one for this name is valid only from 1971-05-16T00:00:00Z on")),
            ("other.example", 200, Err("there is none for this name among 9")),
        ] {
            let pick = StorePick::Subject(subject.to_owned());
            let chosen = choose(&all, &pick, day * 86_400).map(|stored| stored.thumbprint.as_str());
            assert_eq!(chosen, expected.map_err(str::to_owned), "{subject} on day {day}");
        }
    }

    /// As a renewal goes, look by look: this is what the proxy's watch asks for.
    #[test]
    fn a_newer_certificate_is_meant_from_the_look_on_in_which_it_can_be_used() {
        let old = stored("A1", "shop.example", "old", (100, 190), true);
        let without_key = stored("A2", "shop.example", "new", (180, 270), false);
        let new = stored("A2", "shop.example", "new", (180, 270), true);
        let pick = StorePick::Subject("shop.example".to_owned());
        let gone = "there is none for this name among 0";
        for (day, listed, expected) in [
            (179, vec![&old], Ok("A1")),
            // Added a day ahead of its time, and its key after it.
            (179, vec![&old, &new], Ok("A1")),
            (181, vec![&old, &without_key], Ok("A1")),
            (181, vec![&new, &old], Ok("A2")),
            (191, vec![&old, &new], Ok("A2")),
            // Taken back.
            (185, vec![&old], Ok("A1")),
            (185, vec![], Err(gone)),
        ] {
            let listed: Vec<Stored> = listed.into_iter().cloned().collect();
            let chosen = choose(&listed, &pick, day * 86_400).map(|stored| stored.thumbprint.as_str());
            assert_eq!(chosen, expected.map_err(str::to_owned), "{} on day {day}", listed.len());
        }
    }

    #[test]
    fn a_thumbprint_means_that_one_valid_or_not() {
        let all = store();
        for (thumbprint, expected) in [
            ("a1", Ok("A1")),
            ("A3", Err("it is there without a private key")),
            ("FF", Err("there is none with this thumbprint among 9")),
        ] {
            let pick = StorePick::Thumbprint(thumbprint.to_owned());
            let chosen = choose(&all, &pick, 200 * 86_400).map(|stored| stored.thumbprint.as_str());
            assert_eq!(chosen, expected.map_err(str::to_owned), "{thumbprint}");
        }
    }

    #[test]
    fn an_rsa_key_signs_with_pss_where_the_client_takes_it() {
        use SignatureScheme as S;
        let rsa = [S::RSA_PKCS1_SHA256, S::RSA_PKCS1_SHA384, S::RSA_PSS_SHA256, S::RSA_PSS_SHA384];
        for (own, offered, expected) in [
            (&rsa[..], &[S::RSA_PKCS1_SHA256, S::RSA_PSS_SHA384][..], Some(S::RSA_PSS_SHA384)),
            (&rsa, &[S::RSA_PKCS1_SHA384], Some(S::RSA_PKCS1_SHA384)),
            (&rsa, &[S::ECDSA_NISTP256_SHA256], None),
            (
                &[S::ECDSA_NISTP256_SHA256],
                &[S::RSA_PSS_SHA256, S::ECDSA_NISTP256_SHA256],
                Some(S::ECDSA_NISTP256_SHA256),
            ),
        ] {
            assert_eq!(preferred(own, offered), expected);
        }
    }
}
