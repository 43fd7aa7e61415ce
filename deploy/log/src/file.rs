//! A log file that sets itself aside when it is large or old enough, and begins anew when somebody has moved or
//! deleted it. Called by `output`. Never gives an error to who logs: lines that cannot be written are counted,
//! the first of them is reported, and once a second it is tried again.

use std::fmt::Arguments;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tidegate_site::Rotate;

use crate::archive::Archive;
use crate::tally::Tally;

/// How often the path is looked at, and a file that cannot be opened or written is tried again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// After a rotation that failed: on Windows another program has the file open and lets nobody rename it.
const ROTATE_AGAIN: Duration = Duration::from_secs(60);

/// A log file.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    rotate: Option<Rotate>,
    tally: Arc<Tally>,
    report: fn(Arguments<'_>),
    open: Option<Open>,
    looked: Instant,
    /// What is wrong, while something is.
    failing: Option<Failing>,
    rotate_from: Option<Instant>,
    /// A line was written in part.
    torn: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
    /// When its first line was written.
    since: SystemTime,
}

#[derive(Debug)]
struct Failing {
    retry: Instant,
    lost: u64,
}

impl LogFile {
    /// The log file at an absolute path; nothing is opened yet. `report` is told when it cannot be written, and when it
    /// can again.
    pub fn new(path: PathBuf, rotate: Option<Rotate>, tally: Arc<Tally>, report: fn(Arguments<'_>)) -> Self {
        let looked = Instant::now();
        Self { path, rotate, tally, report, open: None, looked, failing: None, rotate_from: None, torn: false }
    }

    /// Opens the file, so that a program can refuse to start without it.
    pub fn open(&mut self) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(self.open_anew()?);
        }
        Ok(())
    }

    /// Appends whole lines.
    pub fn append(&mut self, lines: &[u8]) {
        let now = Instant::now();
        if self.failing.as_ref().is_some_and(|failing| now < failing.retry) {
            self.lose(lines);
            return;
        }
        let mut rest = lines;
        match self.try_append(&mut rest, now) {
            Ok(()) => {
                if let Some(Failing { lost, .. }) = self.failing.take() {
                    (self.report)(format_args!(
                        "the log file {} is written again; {lost} lines were lost",
                        self.path.display()
                    ));
                }
            }
            Err(error) => {
                // Whatever is wrong with the file, another handle may be better.
                self.open = None;
                if self.failing.is_none() {
                    (self.report)(format_args!(
                        "cannot write the log file {}: {error}; lines are lost until it can be written",
                        self.path.display()
                    ));
                }
                let failing = self.failing.get_or_insert(Failing { retry: now, lost: 0 });
                failing.retry = now + LOOK_AGAIN;
                self.lose(rest);
            }
        }
    }

    fn lose(&mut self, lines: &[u8]) {
        let count = lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.tally.lose(count);
        if let Some(failing) = &mut self.failing {
            failing.lost += count;
        }
    }

    /// Takes off the front of `rest` what was written.
    fn try_append(&mut self, rest: &mut &[u8], now: Instant) -> io::Result<()> {
        if let Some(open) = &self.open
            && now.duration_since(self.looked) >= LOOK_AGAIN
        {
            self.looked = now;
            if !tidegate_host::file::is_at(&open.file, &self.path) {
                // Closed before another is made: until then Windows keeps the name of a deleted file.
                self.open = None;
            }
        }
        while !rest.is_empty() {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.open_anew()?,
            };
            if self.torn {
                open.file.write_all(b"\n")?;
                self.torn = false;
            }
            let part = self.fitting(&open, rest);
            if part == 0 && self.may_rotate(now) {
                match Archive::of(&self.path).set_aside(open.since) {
                    Ok(aside) => {
                        drop(open);
                        self.tally.rotate();
                        self.rotate_from = None;
                        if let Some(rotate) = &self.rotate {
                            Archive::of(&self.path).tidy(rotate, aside);
                        }
                        self.open = Some(self.open_anew()?);
                        continue;
                    }
                    // Somebody has moved it meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => {
                        (self.report)(format_args!("cannot rotate the log file {}: {error}", self.path.display()));
                        self.rotate_from = Some(now + ROTATE_AGAIN);
                    }
                }
            }
            let part = if part == 0 { rest.len() } else { part };
            let (now_written, later) = rest.split_at(part);
            let written = open.file.write_all(now_written);
            if let Err(error) = written {
                self.torn = true;
                return Err(error);
            }
            open.size += part as u64;
            *rest = later;
            self.open = Some(open);
        }
        Ok(())
    }

    /// How much of `lines`, in whole lines, goes into the file before it has to be rotated; at least one line into an
    /// empty one.
    fn fitting(&self, open: &Open, lines: &[u8]) -> usize {
        let Some(rotate) = &self.rotate else { return lines.len() };
        let is_old =
            rotate.age.is_some_and(|age| SystemTime::now().duration_since(open.since).unwrap_or_default() >= age);
        if is_old && open.size > 0 {
            return 0;
        }
        let room = rotate.size.map_or(u64::MAX, |size| size.saturating_sub(open.size));
        if lines.len() as u64 <= room {
            return lines.len();
        }
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        match lines[..room.min(lines.len())].iter().rposition(|&byte| byte == b'\n') {
            Some(end) => end + 1,
            None if open.size == 0 => lines.iter().position(|&byte| byte == b'\n').map_or(lines.len(), |end| end + 1),
            None => 0,
        }
    }

    fn may_rotate(&self, now: Instant) -> bool {
        self.rotate_from.is_none_or(|from| now >= from)
    }

    fn open_anew(&mut self) -> io::Result<Open> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        // A name that is free until now may be taken by an account that logs here too.
        tidegate_host::file::expel(&self.path)?;
        // On Windows the standard library shares reading, writing and deleting, so that others may read, move and
        // delete the file meanwhile.
        let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        if tidegate_host::file::expel(&self.path)? {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "another account made it meanwhile"));
        }
        let metadata = file.metadata()?;
        self.looked = Instant::now();
        let size = metadata.len();
        let since = match metadata.created() {
            // Windows gives a file the birthday of one of the same name that has just gone; this one began when the
            // last was set aside, at the earliest.
            Ok(created) if size > 0 => Archive::of(&self.path).last().map_or(created, |last| created.max(last)),
            _ => SystemTime::now(),
        };
        Ok(Open { file, size, since })
    }
}

#[cfg(test)]
mod tests;
