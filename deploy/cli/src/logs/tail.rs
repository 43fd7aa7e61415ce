//! The lines of one log file, from what was set aside of it to what is being written, over rotations. `logs` asks for
//! line after line. Files are opened so that others can write, move and delete them meanwhile.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tidegate_host::file::{is_at, is_same};
use tidegate_log::{Aside, set_aside};

const CHUNK: usize = 64 << 10;

/// A line of a log is never as long; what is, is no line of a log.
const LONGEST_LINE: usize = 4 << 20;

/// A log file as it is read.
pub(super) struct Tail {
    path: PathBuf,
    /// What was set aside and is still to be read, the oldest first.
    waiting: VecDeque<Aside>,
    /// The one of them that is read now.
    aside: Option<Box<dyn Read + Send>>,
    /// The file that is written.
    current: Option<File>,
    /// Where in it the next byte is.
    at: u64,
    /// What was read and not given yet.
    bytes: Vec<u8>,
    /// How much of that has been looked through for the end of a line.
    searched: usize,
    /// The beginning of the first line may be missing: it is left out.
    within_line: bool,
    is_cut: bool,
    /// What had been set aside when `current` was opened.
    known: Vec<SystemTime>,
}

impl Tail {
    /// The file at a path, which need not be there yet. What was set aside before `since` is left out, and what lies more
    /// than `window` bytes before the end.
    pub(super) fn open(path: &Path, since: Option<SystemTime>, window: Option<u64>) -> io::Result<Self> {
        let (current, asides) = state(path)?;
        let known = asides.iter().map(|aside| aside.moment).collect();
        let mut tail = Self {
            path: path.to_owned(),
            waiting: VecDeque::new(),
            aside: None,
            current,
            at: 0,
            bytes: Vec::new(),
            searched: 0,
            within_line: false,
            is_cut: false,
            known,
        };
        let mut left = window.unwrap_or(u64::MAX);
        if let Some(current) = &mut tail.current {
            let length = current.metadata()?.len();
            if length > left {
                tail.at = current.seek(SeekFrom::Start(length - left))?;
                tail.within_line = true;
                tail.is_cut = true;
            }
            left = left.saturating_sub(length);
        }
        for aside in asides.into_iter().rev().filter(|aside| since.is_none_or(|since| aside.moment >= since)) {
            if left == 0 {
                tail.is_cut = true;
                break;
            }
            // As a whole: few are larger than a window, and compressed ones have no end that could be found.
            left = left.saturating_sub(std::fs::metadata(&aside.path).map_or(0, |metadata| metadata.len()));
            tail.waiting.push_front(aside);
        }
        Ok(tail)
    }

    /// Whether there are older lines than those that it gives.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The next whole line that is there, without its end.
    pub(super) fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.bytes[self.searched..].iter().position(|&byte| byte == b'\n') {
                let rest = self.bytes.split_off(self.searched + end + 1);
                let line = std::mem::replace(&mut self.bytes, rest);
                self.searched = 0;
                if std::mem::take(&mut self.within_line) {
                    continue;
                }
                let line = String::from_utf8_lossy(&line);
                return Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()));
            }
            self.searched = self.bytes.len();
            if self.bytes.len() > LONGEST_LINE {
                self.bytes.clear();
                self.searched = 0;
                self.within_line = true;
            }
            if self.read()? == 0 {
                return Ok(None);
            }
        }
    }

    /// More bytes, wherever the next ones are; 0 when there are none now.
    fn read(&mut self) -> io::Result<usize> {
        let start = self.bytes.len();
        self.bytes.resize(start + CHUNK, 0);
        let read = self.read_into(start);
        self.bytes.truncate(start + read.as_ref().copied().unwrap_or_default());
        read
    }

    fn read_into(&mut self, start: usize) -> io::Result<usize> {
        loop {
            if let Some(aside) = &mut self.aside {
                match aside.read(&mut self.bytes[start..]) {
                    // One that was cut off while it was compressed has no more to give either.
                    Ok(0) | Err(_) => self.aside = None,
                    Ok(length) => return Ok(length),
                }
            }
            match self.waiting.pop_front() {
                // It may have been deleted by now, because there are enough later ones.
                Some(aside) => self.aside = aside.open().ok(),
                None => break,
            }
        }
        let Some(current) = &mut self.current else { return Ok(0) };
        let read = current.read(&mut self.bytes[start..])?;
        self.at += read as u64;
        Ok(read)
    }

    /// Goes on to the file that is written now, if another one is; to be called when there are no more lines. What cannot
    /// be opened now is tried again the next time.
    pub(super) fn follow(&mut self) {
        let Some(current) = &mut self.current else {
            self.reopen(None);
            return;
        };
        if is_at(current, &self.path) {
            // Somebody has emptied it.
            if current.metadata().is_ok_and(|metadata| metadata.len() < self.at) && current.rewind().is_ok() {
                self.at = 0;
                self.bytes.clear();
                self.searched = 0;
            }
            return;
        }
        // Whoever writes has gone on when there is another file, and not before: what was written to this one until
        // then is read first.
        if self.path.exists() {
            let current = self.current.take();
            self.reopen(current);
        }
    }

    fn reopen(&mut self, old: Option<File>) {
        let Ok((Some(new), asides)) = state(&self.path) else {
            self.current = old;
            return;
        };
        // It could not be opened a moment ago, by which it seemed to be another: on Windows somebody may have held it.
        if old.as_ref().is_some_and(|old| is_same(old, &new)) {
            self.current = old;
            return;
        }
        let is_new = |aside: &&Aside| !self.known.contains(&aside.moment);
        let mut missed: VecDeque<Aside> = asides.iter().filter(is_new).cloned().collect();
        if let Some(old) = old {
            // The first is the one that was read until now, unless somebody has moved that away; the others came and went
            // between two looks.
            let is_old = |aside: &Aside| File::open(&aside.path).map_or(true, |file| is_same(&old, &file));
            let was_read = |aside: &Aside| aside.is_compressed() || is_old(aside);
            if missed.front().is_some_and(was_read) {
                missed.pop_front();
            }
            self.aside = Some(Box::new(old));
        }
        self.waiting = missed;
        self.known = asides.iter().map(|aside| aside.moment).collect();
        self.current = Some(new);
        self.at = 0;
    }
}

/// The file that is written, and what was set aside before it.
fn state(path: &Path) -> io::Result<(Option<File>, Vec<Aside>)> {
    loop {
        let current = match File::open(path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let asides = set_aside(path);
        // Rotated in between it would be in both.
        if current.as_ref().is_none_or(|file| is_at(file, path)) {
            return Ok((current, asides));
        }
        if !path.exists() {
            return Ok((None, asides));
        }
    }
}
