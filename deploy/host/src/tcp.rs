//! TCP listeners for clients: bound once, by nobody else, with a backlog that takes a flood of
//! connections. Used by the proxy; accepting is its affair.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{context, sys};

/// A non-blocking listener on `address`. `[::]` takes IPv4 clients too, and becomes `0.0.0.0` on a
/// system without IPv6.
pub fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listened = match listen(address) {
        Err(error) if address.ip().is_unspecified() && address.is_ipv6() && lacks_ipv6(&error) => {
            listen((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        other => other,
    };
    listened.map_err(|error| context(error, format_args!("failed to listen on {address}")))
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
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }

    #[test]
    fn the_unspecified_ipv6_address_takes_ipv4_clients() {
        let listener = listen_tcp((Ipv6Addr::UNSPECIFIED, 0).into()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_eq!(client.peer_addr().unwrap().port(), port);
    }
}
