//! Which process listens on a port, from the system's table of TCP listeners.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::windows::io::AsRawHandle;
use std::path::Path;

use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, NO_ERROR};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    GetExtendedTcpTable, MIB_TCP6ROW_OWNER_PID, MIB_TCPROW_OWNER_PID, TCP_TABLE_OWNER_PID_LISTENER,
};
use windows_sys::Win32::Networking::WinSock::{AF_INET, AF_INET6};
use windows_sys::Win32::System::Threading::{PROCESS_NAME_WIN32, QueryFullProcessImageNameW};

/// Here a port is refused for other reasons than its number.
pub(crate) const REFUSED: Option<&str> = None;

/// The process that listens where `is_wanted`, and its name.
pub(crate) fn listening(is_wanted: impl Fn(SocketAddr) -> bool) -> Option<(u32, String)> {
    let v4 = rows::<MIB_TCPROW_OWNER_PID>(AF_INET).into_iter().map(|row| {
        let ip = Ipv4Addr::from(row.dwLocalAddr.to_ne_bytes());
        (SocketAddr::new(ip.into(), port(row.dwLocalPort)), row.dwOwningPid)
    });
    let v6 = rows::<MIB_TCP6ROW_OWNER_PID>(AF_INET6).into_iter().map(|row| {
        let ip = Ipv6Addr::from(row.ucLocalAddr);
        (SocketAddr::new(ip.into(), port(row.dwLocalPort)), row.dwOwningPid)
    });
    let (_, pid) = v4.chain(v6).find(|(address, _)| is_wanted(*address))?;
    Some((pid, name(pid).unwrap_or_else(|| "a process of another account".to_owned())))
}

/// The first two of four bytes, in the network's order.
fn port(field: u32) -> u16 {
    let [high, low, ..] = field.to_ne_bytes();
    u16::from_be_bytes([high, low])
}

/// The table's rows; none if it cannot be had. `Row` has to be the row of that family's table.
fn rows<Row: Copy>(family: u16) -> Vec<Row> {
    let mut size = 0;
    // The table grows between a question for its size and the next one for it.
    for _ in 0..4 {
        // In words, so that rows are aligned.
        let mut table = vec![0_u32; (size as usize).div_ceil(size_of::<u32>())];
        let buffer = if table.is_empty() { std::ptr::null_mut() } else { table.as_mut_ptr().cast() };
        // SAFETY: `buffer` has `size` bytes, or is null with a size of 0, which asks for the size.
        let result =
            unsafe { GetExtendedTcpTable(buffer, &mut size, 0, u32::from(family), TCP_TABLE_OWNER_PID_LISTENER, 0) };
        match result {
            NO_ERROR if !table.is_empty() => {
                let room = (table.len() - 1) * size_of::<u32>() / size_of::<Row>();
                let count = (table[0] as usize).min(room);
                let first = table[1..].as_ptr().cast::<Row>();
                // SAFETY: `count` rows of whole words follow the number of rows, and lie in the table.
                return (0..count).map(|row| unsafe { first.add(row).read() }).collect();
            }
            ERROR_INSUFFICIENT_BUFFER => {}
            _ => break,
        }
    }
    Vec::new()
}

fn name(pid: u32) -> Option<String> {
    let process = super::open_process(pid)?;
    let mut path = [0_u16; 1024];
    let mut length = path.len() as u32;
    // SAFETY: the handle is open, and `path` has room for `length` characters.
    let known = unsafe {
        QueryFullProcessImageNameW(process.as_raw_handle(), PROCESS_NAME_WIN32, path.as_mut_ptr(), &mut length)
    } != 0;
    let path = String::from_utf16_lossy(path.get(..length as usize).filter(|_| known)?);
    Some(Path::new(&path).file_name()?.to_string_lossy().into_owned())
}
