//! Log files that were set aside: `access.log` becomes `access.log.20261122T170000.123Z`, named after the moment. So a
//! rotation renames one file, names stay as they are, and their order is that of time. Called by `file`, and by the command that shows logs, through [`set_aside`]; touches no file of another name.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tidegate_site::Rotate;
use time::{Date, Month, OffsetDateTime, Time};

/// `20261122T170000.123Z`
const STAMP: usize = 20;
const COMPRESSED: &str = ".gz";
const UNFINISHED: &str = ".gz.tmp";

/// A log file that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// When; it has no line of a later moment.
    pub moment: SystemTime,
    /// Where it is, until it is compressed or deleted.
    pub path: PathBuf,
}

/// What was set aside of the log file at this path, the oldest first.
pub fn set_aside(path: &Path) -> Vec<Aside> {
    let found = Archive::of(path).found().into_iter();
    let whole = found.filter(|(_, path)| !path.to_string_lossy().ends_with(UNFINISHED));
    let mut asides: Vec<Aside> =
        whole.filter_map(|(stamp, path)| Some(Aside { moment: moment(&stamp)?, path })).collect();
    // For a moment a file and its compressed form are both there; they sort in this order.
    asides.dedup_by(|later, earlier| later.moment == earlier.moment);
    asides
}

impl Aside {
    /// Whether it is compressed.
    pub fn is_compressed(&self) -> bool {
        self.path.to_string_lossy().ends_with(COMPRESSED)
    }

    /// Opens it for reading its lines; others may delete it meanwhile.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        match File::open(&self.path) {
            Ok(file) if self.is_compressed() => Ok(Box::new(GzDecoder::new(file))),
            Ok(file) => Ok(Box::new(file)),
            // Compressed since it was found.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.is_compressed() => {
                Ok(Box::new(GzDecoder::new(File::open(with_ending(&self.path, COMPRESSED))?)))
            }
            Err(error) => Err(error),
        }
    }
}

/// The files that were set aside of one path.
pub(crate) struct Archive<'a> {
    path: &'a Path,
}

impl<'a> Archive<'a> {
    pub(crate) fn of(path: &'a Path) -> Self {
        Self { path }
    }

    /// Renames the file; says what it is called now.
    pub(crate) fn set_aside(&self, since: SystemTime) -> io::Result<PathBuf> {
        // Later than the last, so that names stay in order when the clock is set back or two come in a millisecond.
        let after_last = self.last().map_or(UNIX_EPOCH, |last| last + Duration::from_millis(1));
        let aside = self.named(&stamp(SystemTime::now().max(since).max(after_last)));
        fs::rename(self.path, &aside)?;
        Ok(aside)
    }

    /// When the last one was set aside.
    pub(crate) fn last(&self) -> Option<SystemTime> {
        self.found().last().and_then(|(stamp, _)| moment(stamp))
    }

    /// Deletes what is more than is to be kept, and compresses what was set aside just now. What does not work is left
    /// to the next time.
    pub(crate) fn tidy(&self, rotate: &Rotate, aside: PathBuf) {
        let found = self.found();
        let mut stamps: Vec<&str> = found.iter().map(|(stamp, _)| stamp.as_str()).collect();
        stamps.dedup();
        let excess = stamps.len().saturating_sub(rotate.keep);
        for (stamp, path) in &found {
            if stamps[..excess].contains(&stamp.as_str()) {
                let _ = fs::remove_file(path);
            }
        }
        if rotate.compress {
            // A large file takes seconds. Nobody waits for it: what the program's end interrupts stays as it was.
            let _ = std::thread::Builder::new().name("log-compress".to_owned()).spawn(move || {
                if let Err(error) = compress(&aside) {
                    tracing::warn!(file = %aside.display(), %error, "cannot compress a log file");
                }
            });
        }
    }

    /// Stamps and files, the oldest first.
    fn found(&self) -> Vec<(String, PathBuf)> {
        let (Some(directory), Some(name)) = (self.path.parent(), self.path.file_name()) else { return Vec::new() };
        let prefix = format!("{}.", name.to_string_lossy());
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut found: Vec<(String, PathBuf)> = entries
            .filter_map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                let rest = name.strip_prefix(&prefix)?;
                let (stamp, ending) = rest.split_at_checked(STAMP)?;
                let known = matches!(ending, "" | COMPRESSED | UNFINISHED) && moment(stamp).is_some();
                known.then(|| (stamp.to_owned(), entry.path()))
            })
            .collect();
        found.sort();
        found
    }

    fn named(&self, ending: &str) -> PathBuf {
        with_ending(self.path, &format!(".{ending}"))
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// Replaces a file by its compressed form, in one step.
fn compress(path: &Path) -> io::Result<()> {
    let unfinished = with_ending(path, UNFINISHED);
    let mut from = File::open(path)?;
    let mut to = GzEncoder::new(File::create(&unfinished)?, Compression::default());
    let copied = io::copy(&mut from, &mut to).and_then(|_| to.finish()).and_then(|file| file.sync_all());
    drop(from);
    if let Err(error) = copied {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    fs::rename(&unfinished, with_ending(path, COMPRESSED))?;
    fs::remove_file(path)
}

/// UTC to the millisecond, without what a file name on Windows cannot hold.
fn stamp(moment: SystemTime) -> String {
    let moment = OffsetDateTime::from(moment);
    let (date, clock) = (moment.date(), moment.time());
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second(),
        clock.millisecond(),
    )
}

/// The moment of a stamp, if it is one.
fn moment(stamp: &str) -> Option<SystemTime> {
    let well_formed = stamp.len() == STAMP
        && stamp.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'.',
            19 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    if !well_formed {
        return None;
    }
    let number = |from: usize, to: usize| stamp[from..to].parse::<u16>().ok();
    let small = |from: usize| number(from, from + 2).and_then(|number| u8::try_from(number).ok());
    let month = Month::try_from(small(4)?).ok()?;
    let date = Date::from_calendar_date(i32::from(number(0, 4)?), month, small(6)?).ok()?;
    let clock = Time::from_hms_milli(small(9)?, small(11)?, small(13)?, number(16, 19)?).ok()?;
    let seconds = u64::try_from(date.with_time(clock).assume_utc().unix_timestamp_nanos() / 1_000_000).ok()?;
    Some(UNIX_EPOCH + Duration::from_millis(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_aside_is_found_in_order_and_read_whether_compressed_or_not() {
        let directory = std::env::temp_dir().join(format!("tidegate-aside-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("a.log");
        for (name, text) in [
            ("a.log", "now"),
            ("a.log.20261122T170002.000Z", "second"),
            ("a.log.20261122T170001.000Z", "first"),
            ("a.log.20261122T170003.000Z.gz.tmp", "unfinished"),
            ("a.log.1", "somebody else's"),
        ] {
            fs::write(directory.join(name), text).unwrap();
        }
        let found = set_aside(&path);
        compress(&found[0].path).unwrap();
        let read = |aside: &Aside| io::read_to_string(aside.open().unwrap()).unwrap();
        assert_eq!(found.iter().map(read).collect::<Vec<_>>(), ["first", "second"]);
        let again = set_aside(&path);
        assert_eq!(again.iter().map(Aside::is_compressed).collect::<Vec<_>>(), [true, false]);
        assert_eq!(again.iter().map(read).collect::<Vec<_>>(), ["first", "second"]);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_stamp_tells_its_moment() {
        for millis in [0, 951_782_400_000, 1_795_366_800_123] {
            let time = UNIX_EPOCH + Duration::from_millis(millis);
            assert_eq!(moment(&stamp(time)), Some(time));
        }
        assert_eq!(stamp(UNIX_EPOCH + Duration::from_millis(1_795_366_800_123)), "20261122T170000.123Z");
        for wrong in ["20261322T170000.123Z", "20261122T170000.123", "2026-1122T170000.12Z", "äöüäöüäöüäöüäöüäöüäö"]
        {
            assert_eq!(moment(wrong), None, "{wrong}");
        }
    }
}
