//! Whether files have changed: by size and time of change, and where these say so by content. Used for certificates;
//! works the same on every file system, with links that are replaced, and on network drives.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

/// Of the content of files.
pub(crate) type Digest = [u8; 32];

/// What is read of a file at the most: no certificate is larger, and a revocation list hardly.
const MOST: u64 = 64 << 20;

/// A file that changed so lately may change again without its time showing it: file systems count in steps of up to
/// two seconds.
const UNSETTLED: Duration = Duration::from_secs(3);

/// Files as they were at the last look.
#[derive(Debug, Default)]
pub(crate) struct Files {
    stamps: Vec<(PathBuf, Option<Stamp>)>,
    digest: Option<Digest>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
}

impl Files {
    /// The digest of these files now. Reads them only if something about them has changed, or lately did.
    pub(crate) fn look(&mut self, paths: &[PathBuf]) -> Digest {
        let stamps: Vec<_> = paths.iter().map(|path| (path.clone(), stamp(path))).collect();
        let now = SystemTime::now();
        let settled = |stamp: &Stamp| now.duration_since(stamp.modified).is_ok_and(|age| age > UNSETTLED);
        let all_settled = stamps.iter().all(|(_, stamp)| stamp.as_ref().is_none_or(settled));
        if let Some(digest) = self.digest
            && all_settled
            && stamps == self.stamps
        {
            return digest;
        }
        let (digest, all_read) = read(paths);
        // That somebody may read a file now shows neither in its time nor in its length.
        *self = Self { stamps, digest: all_read.then_some(digest) };
        digest
    }
}

fn stamp(path: &PathBuf) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok()?, length: metadata.len() })
}

/// The digest of what is in these files. One that cannot be read counts as different from an empty one.
pub(crate) fn digest(paths: &[PathBuf]) -> Digest {
    read(paths).0
}

/// And whether each could be read.
fn read(paths: &[PathBuf]) -> (Digest, bool) {
    let mut all = Sha256::new();
    let mut all_read = true;
    for path in paths {
        let mut bytes = Vec::new();
        match File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes)) {
            Ok(_) => all.update(Sha256::digest(&bytes)),
            Err(_) => {
                all.update([0]);
                all_read = false;
            }
        }
    }
    (all.finalize().into(), all_read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_counts_not_time_and_a_missing_file_is_a_change() {
        let directory = std::env::temp_dir().join(format!("tg-files-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (one, two) = (directory.join("one"), directory.join("two"));
        let paths = [one.clone(), two.clone()];
        fs::write(&one, "a").unwrap();
        fs::write(&two, "b").unwrap();
        let mut files = Files::default();
        let first = files.look(&paths);
        fs::write(&one, "a").unwrap();
        assert_eq!(files.look(&paths), first, "written anew with the same content");
        // The same length, and within one step of the file system's clock.
        fs::write(&one, "c").unwrap();
        assert_ne!(files.look(&paths), first);
        fs::write(&one, "a").unwrap();
        assert_eq!(files.look(&paths), first);
        fs::write(&one, "").unwrap();
        let empty = files.look(&paths);
        fs::remove_file(&one).unwrap();
        let missing = files.look(&paths);
        assert!(missing != empty && missing != first);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_file_that_could_not_be_read_is_tried_again() {
        // A directory cannot be read as a file, whoever asks.
        let directory = std::env::temp_dir();
        let mut files = Files::default();
        files.look(&[directory]);
        assert_eq!(files.digest, None);
    }
}
