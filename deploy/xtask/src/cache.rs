//! The cache directory: build output, test interpreters, the Windows tool chain and Wine.
//!
//! Every part is made under a lock, in a temporary directory that is renamed at the end, and carries a stamp with the
//! version it was made for: two runs never collide and an interrupted one leaves nothing that looks finished.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

const STAMP: &str = ".tidegate-stamp";

/// Where the cache is. Created on first use.
pub(crate) fn directory() -> Result<PathBuf> {
    let chosen = match std::env::var_os("TIDEGATE_CACHE").filter(|value| !value.is_empty()) {
        Some(value) => PathBuf::from(value),
        None if cfg!(windows) => {
            PathBuf::from(std::env::var_os("LOCALAPPDATA").context("LOCALAPPDATA is not set; set TIDEGATE_CACHE")?)
                .join("tidegate")
        }
        None => std::env::home_dir().context("there is no home directory; set TIDEGATE_CACHE")?.join(".cache/tidegate"),
    };
    let absolute = std::path::absolute(&chosen)?;
    fs::create_dir_all(&absolute).with_context(|| format!("failed to create the cache {}", absolute.display()))?;
    Ok(absolute)
}

/// Where cargo builds: what the caller has set, else a directory in the cache.
pub(crate) fn target_directory() -> Result<PathBuf> {
    match std::env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty()) {
        Some(value) => Ok(std::path::absolute(PathBuf::from(value))?),
        None => Ok(directory()?.join("target")),
    }
}

/// Takes the named lock, waiting (and saying so) while another run holds it. Dropping the file releases it.
pub(crate) fn lock(name: &str) -> Result<File> {
    let file = lock_file(name)?;
    if file.try_lock().is_err() {
        println!("      waiting for another run that is preparing {name}");
        file.lock().with_context(|| format!("failed to lock {name}"))?;
    }
    Ok(file)
}

/// The file behind a lock, not locked yet.
pub(crate) fn lock_file(name: &str) -> Result<File> {
    let path = directory()?.join(format!("{name}.lock"));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("failed to open {}", path.display()))
}

/// Provides the part `name`, made for `version`: at once when its stamp matches, else by calling `make` with an empty
/// temporary directory that then takes the part's place.
pub(crate) fn provide(name: &str, version: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    stamped(name, version, |place| {
        let unfinished = place.with_file_name(format!(".{}.unfinished", file_name(place)));
        remove(&unfinished)?;
        fs::create_dir_all(&unfinished)?;
        make(&unfinished)?;
        fs::write(unfinished.join(STAMP), version)?;
        remove(place)?;
        fs::rename(&unfinished, place).with_context(|| format!("failed to put {} in place", place.display()))
    })
}

/// Like [`provide`] for things that know their own path and cannot be renamed (virtual environments): made in place,
/// stamped last, and thrown away first when the stamp is missing.
pub(crate) fn provide_in_place(name: &str, version: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    stamped(name, version, |place| {
        remove(place)?;
        make(place)?;
        Ok(fs::write(place.join(STAMP), version)?)
    })
}

/// The place of this part, after `put` has put it there if its stamp is another. One process at a time puts it.
fn stamped(name: &str, version: &str, put: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let place = directory()?.join(name);
    if is_current(&place, version) {
        return Ok(place);
    }
    let _lock = lock(name)?;
    if !is_current(&place, version) {
        put(&place)?;
    }
    Ok(place)
}

/// Whether `place` carries the stamp of `version`.
pub(crate) fn is_current(place: &Path, version: &str) -> bool {
    fs::read_to_string(place.join(STAMP)).is_ok_and(|stamp| stamp == version)
}

/// Removes a directory tree if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// A short digest of what a part is made from, for its stamp.
pub(crate) fn digest(parts: &[&str]) -> String {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.replace("\r\n", "\n").as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_ignores_line_endings_and_keeps_parts_apart() {
        assert_eq!(digest(&["a\r\nb"]), digest(&["a\nb"]));
        assert_ne!(digest(&["ab", ""]), digest(&["a", "b"]));
    }
}
