//! TCP listeners for clients: bound once, by nobody else, with a backlog that takes a flood of
//! connections. Used by the proxy and by the command's check; accepting is the proxy's affair.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{context, sys};

/// A non-blocking listener on `address`. `[::]` takes IPv4 clients too, and becomes `0.0.0.0` on a
/// system without IPv6. Where another process has the address, the error names it, if the system tells.
pub fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listened = match listen(address) {
        Err(error) if address.ip().is_unspecified() && address.is_ipv6() && lacks_ipv6(&error) => {
            listen((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        other => other,
    };
    listened.map_err(|error| {
        let error = match error.kind() {
            // Windows refuses to share an address by rights, Unix by use.
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => named(error, address),
            _ => error,
        };
        context(error, format_args!("failed to listen on {address}"))
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if let SocketAddr::V6(v6) = address {
        socket.set_only_v6(!v6.ip().is_unspecified())?;
    }
    sys::prepare_tcp(&socket)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(sys::TCP_BACKLOG)?;
    Ok(socket.into())
}

/// The error with the process that has the address.
fn named(error: io::Error, address: SocketAddr) -> io::Error {
    match sys::port::listening(|taken| clashes(taken, address)) {
        Some((pid, name)) => io::Error::new(error.kind(), format!("{error}, taken by {name} (process {pid})")),
        None if error.kind() == io::ErrorKind::PermissionDenied && address.port() < 1024 => match sys::port::REFUSED {
            Some(reason) => io::Error::new(error.kind(), format!("{error}: {reason}")),
            None => error,
        },
        None => error,
    }
}

/// Whether a listener on one address keeps another from being bound. `[::]` takes IPv4 too, unless it was told not to.
fn clashes(taken: SocketAddr, wanted: SocketAddr) -> bool {
    let covers = |a: SocketAddr, b: SocketAddr| a.ip().is_unspecified() && (a.is_ipv6() || b.is_ipv4());
    let (taken_ip, wanted_ip) = (taken.ip().to_canonical(), wanted.ip().to_canonical());
    taken.port() == wanted.port() && (taken_ip == wanted_ip || covers(taken, wanted) || covers(wanted, taken))
}

/// Compiled out, or switched off: then no address of the family can be bound.
fn lacks_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(sys::NO_ADDRESS_FAMILY) || error.kind() == io::ErrorKind::AddrNotAvailable
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, TcpStream};

    #[test]
    fn a_second_listener_on_the_address_is_refused_by_name() {
        let first = listen_tcp((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = first.local_addr().unwrap();
        let error = listen_tcp(address).unwrap_err();
        let error = error.to_string();
        let this = format!("(process {})", std::process::id());
        assert!(error.contains(&address.to_string()) && error.contains(&this), "{error}");
    }

    #[test]
    fn the_unspecified_ipv6_address_takes_ipv4_clients() {
        let listener = listen_tcp((Ipv6Addr::UNSPECIFIED, 0).into()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_eq!(client.peer_addr().unwrap().port(), port);
    }
}
