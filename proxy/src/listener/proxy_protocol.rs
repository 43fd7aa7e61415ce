//! The PROXY protocol, versions 1 and 2: what a load balancer says of a connection before the connection's own first
//! byte, TLS included. Called for connections to listeners with `proxy_protocol`. Reads not one byte beyond the header,
//! within bounded time and size; believes nobody who is not listed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use thiserror::Error;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// The protocol asks for three seconds at least; balancers send the header with their first packet.
const PATIENCE: Duration = Duration::from_secs(5);
/// Version 1's longest line, by its specification.
const LINE: usize = 107;
/// Version 2's length field allows 64 KiB; addresses and what clouds add to them need some hundred bytes.
const BLOCK: usize = 2048;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Why a connection is not served.
#[derive(Debug, Error)]
pub(super) enum Refused {
    /// It came around the balancer.
    #[error("the address is not in the listener's proxy_protocol")]
    NotListed,
    #[error("no PROXY header, or a malformed one: {0}")]
    Malformed(&'static str),
    #[error("no PROXY header within {} s", PATIENCE.as_secs())]
    Late,
    #[error("the connection ended in its PROXY header: {0}")]
    Ended(#[from] io::Error),
}

impl Refused {
    /// Logs it: what comes around the balancer is the internet's noise, the rest is one that is set up differently.
    pub(super) fn log(&self, peer: SocketAddr) {
        match self {
            Self::NotListed | Self::Ended(_) => tracing::debug!(%peer, error = %self, "connection refused"),
            Self::Malformed(_) | Self::Late => tracing::warn!(%peer, error = %self, "connection refused"),
        }
    }
}

/// The client's address, from the header that the peer of a new connection sends first. The peer's own for
/// connections that are not for anybody else, such as a balancer's health checks.
pub(super) async fn client(stream: &mut TcpStream, peer: SocketAddr, trusted: &[IpNet]) -> Result<SocketAddr, Refused> {
    if !trusted.iter().any(|network| network.contains(&peer.ip())) {
        return Err(Refused::NotListed);
    }
    let told = tokio::time::timeout(PATIENCE, read(stream)).await.map_err(|_| Refused::Late)??;
    Ok(told.map_or(peer, |client| SocketAddr::new(client.ip().to_canonical(), client.port())))
}

async fn read(stream: &mut TcpStream) -> Result<Option<SocketAddr>, Refused> {
    // Both versions are longer than this.
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == *SIGNATURE {
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if length > BLOCK {
            return Err(Refused::Malformed("too long"));
        }
        let mut block = vec![0; length];
        stream.read_exact(&mut block).await?;
        return version_2(head[0], head[1], &block);
    }
    if !start.starts_with(b"PROXY ") {
        return Err(Refused::Malformed("neither version"));
    }
    let mut line = start.to_vec();
    loop {
        // What is looked at stays where it is, so that nothing behind the line is taken.
        let mut ahead = [0; LINE];
        let seen = stream.peek(&mut ahead[..LINE - line.len()]).await?;
        if seen == 0 {
            return Err(Refused::Ended(io::ErrorKind::UnexpectedEof.into()));
        }
        let end = memchr::memchr(b'\n', &ahead[..seen]);
        let taken = end.map_or(seen, |end| end + 1);
        stream.read_exact(&mut ahead[..taken]).await?;
        line.extend_from_slice(&ahead[..taken]);
        if end.is_some() {
            return version_1(&line);
        }
        if line.len() == LINE {
            return Err(Refused::Malformed("line too long"));
        }
    }
}

/// Both parsers on any bytes: what is believed stands there word by word, or byte by byte. See `tests/fuzz`.
#[cfg(any(fuzzing, test))]
pub fn fuzz(data: &[u8]) {
    if let Ok(Some(client)) = version_1(data) {
        let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
        let words: Vec<&[u8]> = data.split(|byte| matches!(byte, b' ' | b'\r' | b'\n')).collect();
        assert!(words.len() == 8 && words[..2] == [b"PROXY", family.as_bytes()], "{client}");
        let word = |at: usize| std::str::from_utf8(words[at]).unwrap_or_default();
        assert!(word(2).parse() == Ok(client.ip()) && word(4).parse() == Ok(client.port()), "{client}");
        assert!(word(3).parse::<IpAddr>().is_ok_and(|server| server.is_ipv4() == client.is_ipv4()), "{client}");
    }
    let Some(([first, second], block)) = data.split_first_chunk() else { return };
    if let Ok(Some(client)) = version_2(*first, *second, block) {
        let (octets, port) = match client.ip() {
            IpAddr::V4(address) => (address.octets().to_vec(), 8),
            IpAddr::V6(address) => (address.octets().to_vec(), 32),
        };
        assert_eq!((*first, *second), (0x21, if client.is_ipv4() { 0x11 } else { 0x21 }));
        assert!(block.starts_with(&octets) && block[port..].starts_with(&client.port().to_be_bytes()), "{client}");
    }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.2 50000 443` and CR LF.
fn version_1(line: &[u8]) -> Result<Option<SocketAddr>, Refused> {
    const MALFORMED: Refused = Refused::Malformed("version 1");
    let line = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok()).ok_or(MALFORMED)?;
    let mut words = line.split(' ');
    let (Some("PROXY"), Some(family)) = (words.next(), words.next()) else { return Err(MALFORMED) };
    if family == "UNKNOWN" {
        // Whatever follows is to be ignored.
        return Ok(None);
    }
    let words: Vec<&str> = words.collect();
    let [client, server, client_port, server_port] = words[..] else { return Err(MALFORMED) };
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let port =
        |text: &str| text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse::<u16>().ok()).flatten();
    match (address(client), address(server), port(client_port), port(server_port)) {
        (Some(client), Some(_), Some(port), Some(_)) => Ok(Some(SocketAddr::new(client, port))),
        _ => Err(MALFORMED),
    }
}

/// What follows the signature: version and command, family and transport, and the block of addresses, behind which
/// more (type, length, value) may stand that nobody needs here.
fn version_2(version_command: u8, family: u8, block: &[u8]) -> Result<Option<SocketAddr>, Refused> {
    const MALFORMED: Refused = Refused::Malformed("version 2");
    match version_command {
        // LOCAL: the balancer speaks for itself.
        0x20 => return Ok(None),
        0x21 => {}
        _ => return Err(MALFORMED),
    }
    let port = |at: usize| Some(u16::from_be_bytes([*block.get(at)?, *block.get(at + 1)?]));
    let client = match family {
        0x11 if block.len() >= 12 => block.first_chunk::<4>().map(|octets| IpAddr::from(*octets)).zip(port(8)),
        0x21 if block.len() >= 36 => block.first_chunk::<16>().map(|octets| IpAddr::from(*octets)).zip(port(32)),
        // Neither a socket's path nor nothing is an address that could be told to anyone.
        0x31 if block.len() >= 216 => return Ok(None),
        0x00 => return Ok(None),
        _ => None,
    };
    client.map(|(address, port)| Some(SocketAddr::new(address, port))).ok_or(MALFORMED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_one_strict_line() {
        for (line, client) in [
            ("PROXY TCP4 192.0.2.1 198.51.100.2 50000 443\r\n", Ok(Some("192.0.2.1:50000"))),
            ("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", Ok(Some("[2001:db8::1]:1"))),
            ("PROXY UNKNOWN\r\n", Ok(None)),
            ("PROXY UNKNOWN ffff::1 x y\r\n", Ok(None)),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 50000 443\n", Err(())),
            ("PROXY TCP4 192.0.2.1  198.51.100.2 50000 443\r\n", Err(())),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 50000\r\n", Err(())),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 50000 443 1\r\n", Err(())),
            ("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", Err(())),
            ("PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n", Err(())),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n", Err(())),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n", Err(())),
            ("PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", Err(())),
            ("PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n", Err(())),
            ("PROXY \r\n", Err(())),
        ] {
            let expected = client.map(|client| client.map(|client| client.parse::<SocketAddr>().unwrap()));
            assert_eq!(version_1(line.as_bytes()).map_err(|_| ()), expected, "{line:?}");
        }
    }

    #[test]
    fn version_2_takes_addresses_and_skips_the_rest() {
        let four = [192, 0, 2, 1, 198, 51, 100, 2, 0xc3, 0x50, 1, 0xbb];
        let mut six = [0; 36];
        six[..16].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        six[33] = 7;
        let with_more = [&four[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        for (command, family, block, client) in [
            (0x21, 0x11, &four[..], Ok(Some("192.0.2.1:50000"))),
            (0x21, 0x11, &with_more, Ok(Some("192.0.2.1:50000"))),
            (0x21, 0x21, &six, Ok(Some("[2001:db8::1]:7"))),
            (0x20, 0x00, &[], Ok(None)),
            (0x20, 0x11, &four, Ok(None)),
            (0x21, 0x00, &[], Ok(None)),
            (0x21, 0x31, &[b'/'; 216], Ok(None)),
            (0x21, 0x31, &[b'/'; 215], Err(())),
            (0x21, 0x11, &four[..11], Err(())),
            (0x21, 0x21, &four, Err(())),
            (0x21, 0x12, &four, Err(())),
            (0x22, 0x11, &four, Err(())),
            (0x11, 0x11, &four, Err(())),
        ] {
            let expected = client.map(|client| client.map(|client: &str| client.parse::<SocketAddr>().unwrap()));
            let found = version_2(command, family, block).map_err(|_| ());
            assert_eq!(found, expected, "{command:x} {family:x} {}", block.len());
        }
    }
}
