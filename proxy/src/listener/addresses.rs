//! `limits.connections_per_address`: how many connections each address has. Counts only while there is a limit, so
//! connections from before one was set do not count.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use parking_lot::Mutex;

/// Connections of each address.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection that counts; not any more when it is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    key: IpAddr,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// An address has as many connections as it may.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full(pub(crate) usize);

impl Addresses {
    /// Counts a connection, unless nobody counts or it is that of a trusted proxy, which speaks for many.
    pub(crate) fn enter(
        &self,
        address: IpAddr,
        limit: Option<usize>,
        trusted: &[IpNet],
    ) -> Result<Option<Counted>, Full> {
        let Some(limit) = limit else { return Ok(None) };
        if trusted.iter().any(|net| net.contains(&address)) {
            return Ok(None);
        }
        let key = key(address);
        let mut counts = self.0.lock();
        let count = counts.entry(key).or_insert(0);
        if *count >= limit {
            return Err(Full(limit));
        }
        *count += 1;
        Ok(Some(Counted { key, addresses: Arc::clone(&self.0) }))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.addresses.lock().entry(self.key) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// A customer of an IPv6 provider has a /64 at least, and any address in it.
fn key(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_share_and_gets_it_back() {
        let addresses = Addresses::default();
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let enter = |address: &str| addresses.enter(address.parse().unwrap(), Some(2), &trusted);
        let one = enter("192.0.2.1").unwrap();
        let _two = enter("192.0.2.1").unwrap();
        assert_eq!(enter("192.0.2.1").unwrap_err(), Full(2));
        let _other = enter("192.0.2.2").unwrap();
        drop(one);
        let _again = enter("192.0.2.1").unwrap();

        let _six = enter("2001:db8:0:1::1").unwrap();
        let _six = enter("2001:db8:0:1:ffff::1").unwrap();
        assert!(enter("2001:db8:0:1::2").is_err(), "the same /64");
        assert!(enter("2001:db8:0:2::1").is_ok());

        for _ in 0..3 {
            assert!(enter("10.1.2.3").unwrap().is_none());
        }
        assert!(addresses.enter("192.0.2.1".parse().unwrap(), None, &[]).unwrap().is_none());
        drop((_two, _again, _other, _six));
    }

    #[test]
    fn an_address_without_connections_is_forgotten() {
        let addresses = Addresses::default();
        for number in 0..1000_u32 {
            drop(addresses.enter(IpAddr::from(number.to_be_bytes()), Some(1), &[]).unwrap());
        }
        assert!(addresses.0.lock().is_empty());
    }
}
