//! What processes have used, from Linux' /proc. Elsewhere, and for processes that are gone, there are no figures.

use std::fs;
use std::path::PathBuf;

/// A process and everything below it.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return vec![root] };
    let parents: Vec<(u32, u32)> = entries
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((pid, stat(pid)?.first()?.parse().ok()?))
        })
        .collect();
    let mut tree = vec![root];
    let mut next = 0;
    while next < tree.len() {
        let parent = tree[next];
        tree.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    tree
}

/// Whether a process' program has a name with this beginning.
pub(crate) fn is_named(pid: u32, beginning: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with(beginning))
}

/// Seconds of processor time that a process has used.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    // Linux counts them in hundredths for programs, whatever the kernel's own tick is.
    let ticks = |fields: Vec<String>| -> Option<f64> {
        Some(fields.get(10)?.parse::<f64>().ok()? + fields.get(11)?.parse::<f64>().ok()?)
    };
    stat(pid).and_then(ticks).unwrap_or(0.0) / 100.0
}

/// The most resident memory that a process has had, in MiB.
pub(crate) fn peak_memory(pid: u32) -> Option<f64> {
    status(pid, "VmHWM:")
}

/// The resident memory that a process has now, in MiB.
pub(crate) fn memory(pid: u32) -> Option<f64> {
    status(pid, "VmRSS:")
}

/// The path of a Unix socket that a process listens on.
pub(crate) fn listening_socket(pid: u32) -> Option<PathBuf> {
    /// In the column of flags: it accepts connections.
    const LISTENS: &str = "00010000";
    let links = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let own: Vec<String> = links
        .filter_map(|link| Some(fs::read_link(link.ok()?.path()).ok()?.to_str()?.to_owned()))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = fs::read_to_string("/proc/net/unix").ok()?;
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = fields.get(3) == Some(&LISTENS) && own.iter().any(|inode| fields.get(6) == Some(&inode.as_str()));
        listens.then(|| fields.get(7).map(PathBuf::from)).flatten()
    })
}

fn status(pid: u32, key: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

/// Fields of /proc/PID/stat after the program's name: state is left out, so the parent is the first.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    Some(fields.split_whitespace().skip(1).map(str::to_owned).collect())
}
