//! Which process listens on a port, from /proc. Of processes of other accounts only root learns.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What keeps a port below 1024 from being bound, and what to do.
pub(crate) const REFUSED: Option<&str> =
    Some("ports below 1024 are root's: `tidegate service install`, then stop and start, has systemd hold this one");

/// The process that listens where `is_wanted`, and its name.
pub(crate) fn listening(is_wanted: impl Fn(SocketAddr) -> bool) -> Option<(u32, String)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let inode = tables.iter().flat_map(|table| table.lines()).find_map(|line| {
        let (address, inode) = listener(line)?;
        is_wanted(address).then_some(inode)
    })?;
    let wanted = format!("socket:[{inode}]");
    let mut pids =
        fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let holds = |pid: &u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files.map(|file| file.path()).any(|file| fs::read_link(file).is_ok_and(|target| *target.as_os_str() == *wanted))
    };
    let pid = pids.find(holds)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some((pid, name.trim_end().to_owned()))
}

/// A line of the kernel's table: the local address and the socket's inode, if it is one of a listener.
fn listener(line: &str) -> Option<(SocketAddr, u64)> {
    const LISTENING: &str = "0A";
    let mut fields = line.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    if fields.nth(1)? != LISTENING {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // Words of 32 bits in the machine's order of bytes.
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip: IpAddr = if address.len() == 8 {
        Ipv4Addr::from(word(0)?).into()
    } else {
        let mut octets = [0; 16];
        for (place, octets) in octets.chunks_exact_mut(4).enumerate() {
            octets.copy_from_slice(&word(place * 8)?);
        }
        Ipv6Addr::from(octets).into()
    };
    Some((SocketAddr::new(ip, port), inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_table_is_understood() {
        let rest = "00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0";
        for (address, expected) in [
            ("0100007F:1F90", "127.0.0.1:8080"),
            ("00000000:0050", "0.0.0.0:80"),
            ("00000000000000000000000000000000:01BB", "[::]:443"),
            ("00000000000000000000000001000000:01BB", "[::1]:443"),
        ] {
            assert_eq!(listener(&format!("   0: {address} {rest}")), Some((expected.parse().unwrap(), 4711)));
        }
        let connected = rest.replace(" 0A ", " 01 ");
        assert_eq!(listener(&format!("   0: 0100007F:1F90 {connected}")), None);
        assert_eq!(listener("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when"), None);
    }
}
