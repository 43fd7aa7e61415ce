//! Checks passwords against their hashes, away from the I/O threads, a few at a time, and remembers for a
//! minute which were right, so that a page with fifty files costs one check. One for the whole proxy; what is
//! remembered holds over a reload, because the hash is part of it.
//!
//! No password is kept: what is remembered is an HMAC under a key that this process alone has.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc;
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use sha2::Sha256;
use tidegate_contract::Cause;
use tidegate_site::PasswordHash;
use tokio::sync::Semaphore;

use crate::metrics::PasswordMetrics;
use crate::request::error::Failure;

/// How long a right password is remembered: a visit's pages, and a changed file is in force soon.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Remembered at once; forty bytes each.
const MOST: usize = 10_000;
/// How long a request waits for its turn: a crowd of wrong passwords must not collect requests without end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What identifies a name, a password and the hash that it fits.
type Digest = [u8; 32];

/// The checks of one proxy.
#[derive(Debug)]
pub(crate) struct Passwords {
    key: [u8; 32],
    right: Mutex<HashMap<Digest, Instant>>,
    /// One for every second processor: the others serve.
    turns: Arc<Semaphore>,
    /// Counters.
    pub(super) metrics: PasswordMetrics,
}

impl Passwords {
    /// Nothing is remembered.
    pub(crate) fn new(metrics: PasswordMetrics) -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let turns = Arc::new(Semaphore::new((processors / 2).max(1)));
        Ok(Self { key, right: Mutex::default(), turns, metrics })
    }

    /// Whether a user's password fits the hash. Without a hash the user is unknown, and the answer no takes
    /// as long as with `decoy`.
    pub(super) async fn check(
        &self,
        user: &str,
        password: &[u8],
        hash: Option<&PasswordHash>,
        decoy: &PasswordHash,
    ) -> Result<bool, Failure> {
        let digest = hash.map(|hash| self.digest(user, password, hash));
        if self.remembers(digest.as_ref()) {
            return Ok(true);
        }
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Failure::new(Cause::ConcurrencyLimited, "too many passwords are being checked"));
        };
        // Others of the same page may have been first.
        if self.remembers(digest.as_ref()) {
            return Ok(true);
        }
        let (password, hash) = (password.to_owned(), hash.unwrap_or(decoy).clone());
        // Whoever asked may have gone; the work goes on and keeps its turn.
        let checked = tokio::task::spawn_blocking(move || (fits(&password, &hash), turn));
        // The turn ends when the outcome is remembered: the next one must not compute it again.
        let (fits, _turn) =
            checked.await.map_err(|panic| Failure::new(Cause::Internal, format!("checking a password: {panic}")))?;
        match digest.filter(|_| fits) {
            Some(digest) => {
                self.metrics.right.inc();
                self.remember(digest);
                Ok(true)
            }
            None => {
                self.metrics.wrong.inc();
                Ok(false)
            }
        }
    }

    fn digest(&self, user: &str, password: &[u8], hash: &PasswordHash) -> Digest {
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.key) {
            Ok(mac) => mac,
            // HMAC takes keys of every length.
            Err(_) => unreachable!("a key of 32 bytes"),
        };
        for part in [user.as_bytes(), hash.text().as_bytes(), password] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    fn remembers(&self, digest: Option<&Digest>) -> bool {
        let known =
            digest.is_some_and(|digest| self.right.lock().get(digest).is_some_and(|until| *until > Instant::now()));
        if known {
            self.metrics.remembered.inc();
        }
        known
    }

    fn remember(&self, digest: Digest) {
        let now = Instant::now();
        let mut right = self.right.lock();
        if right.len() >= MOST {
            right.retain(|_, until| *until > now);
            if right.len() >= MOST {
                right.clear();
            }
        }
        right.insert(digest, now + REMEMBERED);
    }
}

/// Computes the hash of a password and compares; blocking, for tens of milliseconds.
fn fits(password: &[u8], hash: &PasswordHash) -> bool {
    let result = match hash {
        PasswordHash::Bcrypt(text) => bcrypt::verify(password, text).map_err(|error| error.to_string()),
        PasswordHash::Argon2id(text) => match phc::PasswordHash::new(text) {
            Ok(hash) => Ok(Argon2::default().verify_password(password, &hash).is_ok()),
            Err(error) => Err(error.to_string()),
        },
    };
    result.unwrap_or_else(|error| {
        tracing::error!(%error, "a hash of a users_file cannot be used");
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "secret", with the least cost that there is.
    fn hashes() -> [PasswordHash; 2] {
        use argon2::password_hash::PasswordHasher as _;
        let cheap = argon2::Params::new(8, 1, 1, None).unwrap();
        let argon = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cheap);
        [
            PasswordHash::Bcrypt(bcrypt::hash("secret", 4).unwrap()),
            PasswordHash::Argon2id(argon.hash_password(b"secret").unwrap().to_string()),
        ]
    }

    #[tokio::test]
    async fn a_right_password_is_checked_once_a_minute_and_a_wrong_one_always() {
        for hash in hashes() {
            let passwords = Passwords::new(PasswordMetrics::unregistered()).unwrap();
            for _ in 0..3 {
                assert!(passwords.check("joe", b"secret", Some(&hash), &hash).await.unwrap());
                assert!(!passwords.check("joe", b"Secret", Some(&hash), &hash).await.unwrap());
                assert!(!passwords.check("joe", b"", Some(&hash), &hash).await.unwrap());
            }
            let metrics = &passwords.metrics;
            assert_eq!((metrics.right.get(), metrics.remembered.get(), metrics.wrong.get()), (1, 2, 6));
            // Another user with the same password, or the same with another hash, is another one.
            assert!(passwords.check("ann", b"secret", Some(&hash), &hash).await.unwrap());
            assert_eq!(passwords.metrics.right.get(), 2);
            // Nothing fits an unknown user, and nothing is remembered of one.
            for _ in 0..2 {
                assert!(!passwords.check("eve", b"secret", None, &hash).await.unwrap());
            }
            assert_eq!(passwords.metrics.wrong.get(), 8);
        }
    }

    #[tokio::test]
    async fn requests_that_come_together_wait_for_the_first() {
        let [hash, _] = hashes();
        let passwords = Passwords::new(PasswordMetrics::unregistered()).unwrap();
        let checks = (0..50).map(|_| passwords.check("joe", b"secret", Some(&hash), &hash));
        for fits in futures_util::future::join_all(checks).await {
            assert!(fits.unwrap());
        }
        let most = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        assert!(passwords.metrics.right.get() <= most, "{:?}", passwords.metrics);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let passwords = Passwords::new(PasswordMetrics::unregistered()).unwrap();
        for number in 0..(MOST as u64 + 10) {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_le_bytes());
            passwords.remember(digest);
        }
        assert!(passwords.right.lock().len() <= MOST);
    }
}
