//! Order, limits and what is left behind.

use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;

use bytes::Bytes;

use super::*;
use crate::metrics::Metrics;

/// A directory of its own, not made yet.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("tidegate-buffer-{}-{number}", std::process::id())))
    }

    fn limits(&self, disk: u64) -> BufferLimits {
        BufferLimits { memory: 10_000, disk, response: 1 << 20, directory: self.0.clone() }
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn buffers() -> Arc<Buffers> {
    Buffers::new(Metrics::new("test").buffers())
}

/// In memory, on the disk.
fn held(buffers: &Buffers) -> (i64, i64) {
    (buffers.metrics.memory.get(), buffers.metrics.disk.get())
}

/// Bytes that tell where in a body they are.
fn pattern(from: usize, length: usize) -> Bytes {
    (from..from + length).map(|at| (at % 251) as u8).collect()
}

async fn fill(spool: &mut Spool<'_>, sizes: &[usize]) -> usize {
    let mut length = 0;
    for &size in sizes {
        spool.push(pattern(length, size));
        length += size;
        if spool.relieve().is_ok() {
            spool.settle().await.unwrap();
        }
    }
    length
}

async fn read(stored: &Arc<Stored>) -> Vec<u8> {
    let mut reading = Reading::new(stored);
    let mut bytes = Vec::new();
    while let Some(piece) = poll_fn(|cx| reading.poll_next(cx)).await {
        bytes.extend_from_slice(&piece.unwrap());
        assert_eq!(reading.left(), stored.length() - bytes.len() as u64);
    }
    bytes
}

#[tokio::test]
async fn what_comes_in_first_goes_out_first_wherever_it_waits() {
    let (directory, buffers) = (Directory::new(), buffers());
    let limits = directory.limits(1 << 20);
    let mut spool = Spool::for_response(&buffers, &limits);
    let (mut pushed, mut popped) = (0, 0);
    // Grows over the limit and back, with pieces on both sides of every threshold.
    for round in 0..200_usize {
        if round % 60 < 40 {
            let size = [1, 100, 4_095, 4_096, 9_000, 12_000][round % 6];
            spool.push(pattern(pushed, size));
            pushed += size;
            let _ = spool.relieve();
        }
        if round % 3 == 0 || round % 60 >= 40 {
            let Some(piece) = spool.pop().await.unwrap() else { continue };
            assert_eq!(piece, pattern(popped, piece.len()), "round {round}");
            popped += piece.len();
        }
    }
    while let Some(piece) = spool.pop().await.unwrap() {
        assert_eq!(piece, pattern(popped, piece.len()));
        popped += piece.len();
    }
    assert_eq!(popped, pushed);
    assert_eq!(held(&buffers), (0, 0));
    assert!(buffers.metrics.files.get() > 1, "given up when it was empty, made again when needed");
    assert_eq!(buffers.metrics.rejected.get(), 0);
}

#[tokio::test]
async fn a_small_body_takes_no_file() {
    let (directory, buffers) = (Directory::new(), buffers());
    let limits = directory.limits(1 << 20);
    let mut spool = Spool::new(&buffers, &limits);
    let length = fill(&mut spool, &[10; 1000]).await;
    assert!(spool.has_room());
    assert_eq!(held(&buffers), (10_000, 0));
    let stored = spool.store();
    assert_eq!(read(&stored).await, pattern(0, length));
    drop(stored);
    assert_eq!(held(&buffers), (0, 0));
    assert_eq!(buffers.metrics.files.get(), 0);
    assert!(!directory.0.exists());
}

#[tokio::test]
async fn a_stored_body_is_read_as_often_as_needed() {
    let (directory, buffers) = (Directory::new(), buffers());
    let limits = directory.limits(1 << 20);
    let mut spool = Spool::new(&buffers, &limits);
    let length = fill(&mut spool, &[5_000, 6_000, 300_000, 20, 7_000]).await;
    let stored = spool.store();
    assert_eq!(stored.length(), length as u64);
    assert_eq!(held(&buffers), (7_020, 311_000));
    for _ in 0..2 {
        assert_eq!(read(&stored).await, pattern(0, length));
    }
    drop(stored);
    assert_eq!(held(&buffers), (0, 0));
    assert_eq!(directory.names(), [""; 0]);
}

#[tokio::test]
async fn the_quota_is_of_all_bodies_together() {
    let (directory, buffers) = (Directory::new(), buffers());
    let limits = directory.limits(25_000);
    let mut first = Spool::new(&buffers, &limits);
    fill(&mut first, &[12_000]).await;
    let mut second = Spool::new(&buffers, &limits);
    second.push(pattern(0, 13_001));
    assert!(matches!(second.relieve(), Err(Full::Quota)));
    assert_eq!(held(&buffers), (13_001, 12_000));
    assert_eq!(buffers.metrics.rejected.get(), 1);
    assert!(!second.has_room());
    drop(first);
    second.relieve().unwrap();
    second.settle().await.unwrap();
    assert_eq!(held(&buffers), (0, 13_001));
}

#[tokio::test]
async fn a_response_has_a_limit_of_its_own_and_nobody_is_told() {
    let (directory, buffers) = (Directory::new(), buffers());
    let limits = BufferLimits { response: 15_000, ..directory.limits(1 << 20) };
    let mut spool = Spool::for_response(&buffers, &limits);
    let length = fill(&mut spool, &[12_000, 12_000]).await;
    assert!(!spool.has_room());
    assert_eq!(held(&buffers), (12_000, 12_000));
    assert_eq!(buffers.metrics.rejected.get(), 0);
    let mut popped = 0;
    while let Some(piece) = spool.pop().await.unwrap() {
        popped += piece.len();
    }
    assert_eq!(popped, length);
    assert!(spool.has_room());
}

#[tokio::test]
async fn a_disk_that_takes_nothing_loses_nothing() {
    let (directory, buffers) = (Directory::new(), buffers());
    // A file where the directory should be.
    std::fs::write(&directory.0, b"").unwrap();
    let limits = directory.limits(1 << 20);
    let mut spool = Spool::new(&buffers, &limits);
    spool.push(pattern(0, 11_000));
    spool.relieve().unwrap();
    assert!(matches!(spool.settle().await, Err(Full::Disk(_))));
    assert_eq!(held(&buffers), (11_000, 0));
    assert_eq!(spool.pop().await.unwrap(), Some(pattern(0, 11_000)));
    std::fs::remove_file(&directory.0).unwrap();
}

#[test]
fn leftovers_are_removed_and_nothing_else() {
    let directory = Directory::new();
    clear(&directory.0);
    std::fs::create_dir_all(&directory.0).unwrap();
    for name in ["tidegate-body-0123.tmp", "tidegate-body.txt", "other.tmp"] {
        std::fs::write(directory.0.join(name), b"").unwrap();
    }
    clear(&directory.0);
    let mut names = directory.names();
    names.sort();
    assert_eq!(names, ["other.tmp", "tidegate-body.txt"]);
}
