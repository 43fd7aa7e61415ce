//! Rotation, deletion and trouble, on real files.

use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tidegate-log-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> PathBuf {
        self.0.join("logs").join("a.log")
    }

    /// Contents of the files that were set aside, the oldest first, and of the file itself.
    fn contents(&self) -> Vec<String> {
        let directory = self.0.join("logs");
        let mut paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        // The shortest name is the file itself.
        paths.sort_by_key(|path| (path.as_os_str().len() == self.path().as_os_str().len(), path.clone()));
        paths.iter().map(|path| read(path)).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn rotate(size: Option<u64>, keep: usize) -> Option<Rotate> {
    Some(Rotate { size, age: None, keep, compress: false })
}

fn log(scratch: &Scratch, rotate: Option<Rotate>) -> (LogFile, Arc<Tally>) {
    let tally = Arc::new(Tally::new());
    (LogFile::new(scratch.path(), rotate, Arc::clone(&tally), |_| {}), tally)
}

#[test]
fn a_file_is_set_aside_before_it_is_too_large() {
    let scratch = Scratch::new();
    let (mut log, tally) = log(&scratch, rotate(Some(10), 10));
    for line in ["one two\n", "three\n", "four\n", "a line of more than ten bytes\n", "five\n"] {
        log.append(line.as_bytes());
    }
    assert_eq!(scratch.contents(), ["one two\n", "three\n", "four\n", "a line of more than ten bytes\n", "five\n"]);
    assert_eq!((tally.rotated(), tally.lost()), (4, 0));
}

#[test]
fn lines_that_come_together_are_parted_between_files() {
    let scratch = Scratch::new();
    let (mut log, _) = log(&scratch, rotate(Some(8), 10));
    log.append(b"a\nb\nc\nd\ne\nf\nlong enough\ng\n");
    assert_eq!(scratch.contents(), ["a\nb\nc\nd\n", "e\nf\n", "long enough\n", "g\n"]);
}

#[test]
fn as_many_are_kept_as_said_and_others_left_alone() {
    let scratch = Scratch::new();
    let (mut log, tally) = log(&scratch, rotate(Some(2), 2));
    fs::create_dir_all(scratch.0.join("logs")).unwrap();
    let foreign = scratch.0.join("logs/a.log.20261122");
    fs::write(&foreign, "mine").unwrap();
    for line in ["1\n", "2\n", "3\n", "4\n", "5\n"] {
        log.append(line.as_bytes());
    }
    assert_eq!(read(&foreign), "mine");
    fs::remove_file(foreign).unwrap();
    assert_eq!(scratch.contents(), ["3\n", "4\n", "5\n"]);
    assert_eq!(tally.rotated(), 4);
}

#[test]
fn an_old_file_is_set_aside_and_an_empty_one_is_not() {
    let scratch = Scratch::new();
    let old = Some(Rotate { size: None, age: Some(Duration::from_millis(1)), keep: 5, compress: false });
    let (mut log, tally) = log(&scratch, old);
    log.open().unwrap();
    std::thread::sleep(Duration::from_millis(3));
    log.append(b"1\n");
    assert_eq!(tally.rotated(), 0);
    std::thread::sleep(Duration::from_millis(3));
    log.append(b"2\n");
    assert_eq!(scratch.contents(), ["1\n", "2\n"]);
}

#[test]
fn what_an_earlier_process_wrote_is_continued_and_counted() {
    let scratch = Scratch::new();
    for line in ["1234\n", "5678\n", "9\n"] {
        let (mut log, _) = log(&scratch, rotate(Some(10), 5));
        log.append(line.as_bytes());
    }
    assert_eq!(scratch.contents(), ["1234\n5678\n", "9\n"]);
}

#[test]
fn a_file_that_was_deleted_or_moved_is_made_again() {
    let scratch = Scratch::new();
    let (mut log, tally) = log(&scratch, None);
    log.append(b"1\n");
    let moved = scratch.0.join("moved.log");
    fs::rename(scratch.path(), &moved).unwrap();
    // As if a second had gone by.
    log.looked = Instant::now().checked_sub(LOOK_AGAIN).unwrap();
    log.append(b"2\n");
    assert_eq!((read(&moved), read(&scratch.path())), ("1\n".to_owned(), "2\n".to_owned()));

    fs::remove_dir_all(scratch.0.join("logs")).unwrap();
    log.looked = Instant::now().checked_sub(LOOK_AGAIN).unwrap();
    log.append(b"3\n");
    assert_eq!((read(&scratch.path()), tally.lost()), ("3\n".to_owned(), 0));
}

#[test]
fn lines_are_lost_and_counted_while_there_is_no_place_for_them() {
    let scratch = Scratch::new();
    // A file where the directory should be.
    fs::write(scratch.0.join("logs"), "in the way").unwrap();
    let (mut log, tally) = log(&scratch, None);
    log.append(b"1\n2\n");
    assert_eq!(tally.lost(), 2);
    fs::remove_file(scratch.0.join("logs")).unwrap();
    log.append(b"3\n");
    assert_eq!(tally.lost(), 3, "tried again too early");
    log.failing.as_mut().unwrap().retry = Instant::now();
    log.append(b"4\n");
    assert_eq!((scratch.contents(), tally.lost()), (vec!["4\n".to_owned()], 3));
}

#[test]
fn what_was_set_aside_is_compressed() {
    let scratch = Scratch::new();
    let (mut log, _) = log(&scratch, Some(Rotate { size: Some(4), age: None, keep: 5, compress: true }));
    log.append(b"123\n");
    log.append(b"456\n");
    let end = Instant::now() + Duration::from_secs(60);
    let compressed = loop {
        let names = fs::read_dir(scratch.0.join("logs")).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> = names.collect();
        paths.retain(|path| *path != scratch.path());
        if let [path] = paths.as_slice()
            && path.extension().is_some_and(|ending| ending == "gz")
        {
            break path.clone();
        }
        assert!(Instant::now() < end, "not compressed: {paths:?}");
        std::thread::yield_now();
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(File::open(compressed).unwrap()).read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), read(&scratch.path()).as_str()), ("123\n", "456\n"));
}
