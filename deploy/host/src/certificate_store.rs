//! The certificate store of Windows: what is in it, its private keys and who may use them, and importing into it. Used for
//! the site's certificates and by the command. It never decides which certificate is meant, and never gets a key out of the store.

use std::fmt;
use std::io;
use std::str::FromStr;

use crate::access::Changed;
use crate::sys;

/// Whether this system has such a store.
pub const AVAILABLE: bool = sys::certificate_store::AVAILABLE;

/// A store by its name, such as `LocalMachine\My`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreName {
    /// Whose.
    pub location: Location,
    /// Which of theirs: `My` has certificates with keys.
    pub name: String,
}

/// Whose store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// The machine's.
    LocalMachine,
    /// Of the account that asks.
    CurrentUser,
}

/// A certificate in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// DER.
    pub certificate: Vec<u8>,
    /// SHA-1 of it in hexadecimal capitals, by which Windows' own tools name it.
    pub thumbprint: String,
    /// Whether it names a private key; that the key is there and may be used shows when it is opened.
    pub has_key: bool,
}

/// A private key that stays in the store.
#[derive(Debug)]
pub struct StoreKey(sys::certificate_store::Key);

impl StoreKey {
    /// The key of a certificate, and the certificate's issuers as far as the system knows them, without the root. `NotFound`
    /// if there is no such certificate or it has no key, `PermissionDenied` if this account may not use it.
    pub fn open(store: &StoreName, thumbprint: &str) -> io::Result<(Self, Vec<Vec<u8>>)> {
        sys::certificate_store::open(store, thumbprint).map(|(key, issuers)| (Self(key), issuers))
    }

    /// The signature schemes of TLS that it can do, by their numbers.
    pub fn schemes(&self) -> Vec<u16> {
        self.0.schemes()
    }

    /// Signs a message by one of them. Blocks for as long as the system takes.
    pub fn sign(&self, scheme: u16, message: &[u8]) -> io::Result<Vec<u8>> {
        self.0.sign(scheme, message)
    }
}

/// Everything in a store.
pub fn list(store: &StoreName) -> io::Result<Vec<Stored>> {
    sys::certificate_store::list(store)
}

/// Puts what is in a PFX file into a store: the certificate with its key there, its issuers where issuers belong. The key can be
/// taken out again only if it is `exportable`. The thumbprints of those with keys.
pub fn import(store: &StoreName, pfx: &[u8], password: &str, exportable: bool) -> io::Result<Vec<String>> {
    sys::certificate_store::import(store, pfx, password, exportable)
}

/// Lets an account use the private key of a certificate, beside those that may already. Nothing if it may. `Unsupported` if the
/// key is kept by a provider from before CNG.
pub fn grant_key(store: &StoreName, thumbprint: &str, account: &str) -> io::Result<Option<Changed>> {
    sys::certificate_store::grant_key(store, thumbprint, account)
}

/// Whether an account may use the private key of a certificate; `None` where the key's list does not tell for sure, because
/// the account's groups are not followed.
pub fn may_use_key(store: &StoreName, thumbprint: &str, account: &str) -> io::Result<Option<bool>> {
    sys::certificate_store::may_use_key(store, thumbprint, account)
}

impl FromStr for StoreName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (location, name) = text.split_once(['\\', '/']).ok_or(())?;
        let location = match location.to_ascii_lowercase().as_str() {
            "localmachine" => Location::LocalMachine,
            "currentuser" => Location::CurrentUser,
            _ => return Err(()),
        };
        let is_plain = |letter: char| letter.is_alphanumeric() || " -_.".contains(letter);
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(());
        }
        Ok(Self { location, name: name.to_owned() })
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = match self.location {
            Location::LocalMachine => "LocalMachine",
            Location::CurrentUser => "CurrentUser",
        };
        write!(f, r"{location}\{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_has_an_owner_and_a_name() {
        for (text, shown) in [
            (r"LocalMachine\My", Some(r"LocalMachine\My")),
            (r"localmachine\WebHosting", Some(r"LocalMachine\WebHosting")),
            ("CurrentUser/My", Some(r"CurrentUser\My")),
            ("My", None),
            (r"LocalMachine\", None),
            (r"Elsewhere\My", None),
            (r"LocalMachine\My\Other", None),
        ] {
            assert_eq!(text.parse::<StoreName>().ok().map(|store| store.to_string()).as_deref(), shown, "{text}");
        }
    }
}
