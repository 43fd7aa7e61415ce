//! The certificates in use, and the choice among them during a handshake.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::Certificate;

/// Certificates, replaced all at once. Handshakes under way keep the one they have chosen.
#[derive(Debug)]
pub struct Store(ArcSwap<Table>);

/// Keys by name; several for one name (RSA and ECDSA, say) in the order given.
#[derive(Debug, Default)]
struct Table {
    certificates: Vec<Certificate>,
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

impl Store {
    /// The first certificate is for clients that name no host, or one that none is for.
    pub fn new(certificates: Vec<Certificate>) -> Self {
        Self(ArcSwap::from_pointee(Table::new(certificates)))
    }

    /// Puts others in the place of all.
    pub fn replace(&self, certificates: Vec<Certificate>) {
        self.0.store(Arc::new(Table::new(certificates)));
    }

    /// Those in use, in the order given.
    pub fn certificates(&self) -> Vec<Certificate> {
        self.0.load().certificates.clone()
    }
}

impl ResolvesServerCert for Store {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().choose(hello.server_name(), hello.signature_schemes())
    }
}

impl Table {
    fn new(certificates: Vec<Certificate>) -> Self {
        let mut table = Self::default();
        for certificate in &certificates {
            for name in &certificate.names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut table.wildcard, parent),
                    None => (&mut table.exact, name.as_str()),
                };
                map.entry(name.to_owned()).or_default().push(Arc::clone(&certificate.key));
            }
        }
        table.certificates = certificates;
        table
    }

    /// An exact name wins over a wildcard, which stands for one label. Of several the first whose
    /// key the client can verify.
    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let name = name.map(str::to_ascii_lowercase);
        let named = name.as_deref().and_then(|name| {
            let parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
            self.exact.get(name).or_else(parent)
        });
        match named.map(Vec::as_slice) {
            Some(keys @ [first, ..]) => {
                let fit = keys.iter().find(|key| key.key.choose_scheme(schemes).is_some());
                Some(Arc::clone(fit.unwrap_or(first)))
            }
            _ => self.certificates.first().map(|certificate| Arc::clone(&certificate.key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ED25519, P256, certificate};

    const ANY: &[SignatureScheme] = &[SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256];

    #[test]
    fn the_nearest_name_wins_and_the_first_certificate_is_the_default() {
        let all = [&["first.example"][..], &["*.shop.example", "shop.example"], &["www.shop.example"]]
            .map(|names| certificate(names, P256));
        let table = Table::new(all.to_vec());
        for (name, expected) in [
            (None, 0),
            (Some("first.example"), 0),
            (Some("other.example"), 0),
            (Some("shop.example"), 1),
            (Some("SHOP.example"), 1),
            (Some("a.shop.example"), 1),
            (Some("a.b.shop.example"), 0),
            (Some("www.shop.example"), 2),
            (Some("example"), 0),
        ] {
            let chosen = table.choose(name, ANY).unwrap();
            assert!(Arc::ptr_eq(&chosen, &all[expected].key), "{name:?}");
        }
    }

    #[test]
    fn of_two_for_a_name_the_client_gets_the_one_it_can_verify() {
        let edwards = certificate(&["shop.example"], ED25519);
        let nist = certificate(&["shop.example"], P256);
        let table = Table::new(vec![edwards.clone(), nist.clone()]);
        let name = Some("shop.example");
        assert!(Arc::ptr_eq(&table.choose(name, ANY).unwrap(), &edwards.key));
        assert!(Arc::ptr_eq(&table.choose(name, &ANY[1..]).unwrap(), &nist.key));
        assert!(Arc::ptr_eq(&table.choose(name, &[]).unwrap(), &edwards.key));
    }

    #[test]
    fn replacing_changes_what_is_chosen_and_shown() {
        let store = Store::new(Vec::new());
        assert!(store.0.load().choose(None, ANY).is_none());
        let new = certificate(&["new.example"], P256);
        store.replace(vec![new.clone()]);
        assert!(Arc::ptr_eq(&store.0.load().choose(None, ANY).unwrap(), &new.key));
        assert_eq!(store.certificates()[0].names, ["new.example"]);
    }
}
