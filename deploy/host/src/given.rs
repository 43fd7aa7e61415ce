//! Listeners that were open before this process started and were given to it: those of a systemd socket unit. They
//! stay open while the program is stopped and started anew, so that clients wait instead of being refused.
//!
//! Used by the proxy, for each listener it would bind otherwise. Never accepts anything.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::OnceLock;

use crate::{context, sys};

/// A listener of the service manager's. The original stays here, so that a listener which a reload takes out of the
/// site can come back with another one.
#[derive(Debug)]
struct Given {
    address: SocketAddr,
    listener: TcpListener,
}

static GIVEN: OnceLock<Vec<Given>> = OnceLock::new();

/// All of them. What is not a TCP listener is left alone.
fn all() -> &'static [Given] {
    GIVEN.get_or_init(|| {
        let listeners = sys::given_listeners().into_iter();
        listeners.filter_map(|listener| Some(Given { address: listener.local_addr().ok()?, listener })).collect()
    })
}

/// The listener that this process was given for an address, non-blocking; nothing if it has to bind one itself.
pub fn given_listener(address: SocketAddr) -> Option<io::Result<TcpListener>> {
    let given = all().iter().find(|given| serves(given.address, address))?;
    let listener = given.listener.try_clone();
    Some(listener.map_err(|error| context(error, format_args!("failed to take over the listener on {address}"))))
}

/// The addresses of the given listeners that none of `wanted` uses.
pub fn given_in_vain(wanted: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_in_vain = |given: &&Given| !wanted.iter().any(|wanted| serves(given.address, *wanted));
    all().iter().filter(is_in_vain).map(|given| given.address).collect()
}

/// Whether the listener is the one that the site means. On a system without IPv6 `[::]` is `0.0.0.0`.
fn serves(given: SocketAddr, wanted: SocketAddr) -> bool {
    let is_instead = given.ip().is_unspecified() && wanted.ip().is_unspecified() && wanted.is_ipv6();
    given.port() == wanted.port() && (given.ip() == wanted.ip() || is_instead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_serves_the_address_it_is_bound_to() {
        for (given, wanted, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("0.0.0.0:80", "127.0.0.1:80", false),
            ("[::]:80", "[::]:80", true),
            ("0.0.0.0:80", "[::]:80", true),
            ("[::]:80", "0.0.0.0:80", false),
        ] {
            assert_eq!(serves(given.parse().unwrap(), wanted.parse().unwrap()), expected, "{given} for {wanted}");
        }
    }
}
