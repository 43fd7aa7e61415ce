//! What a site's services leave behind, deleted where a removal is asked to: `state_dir` and nothing else, of which
//! `tidegate check` knows that it is nobody else's.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::pair::Pair;
use crate::failure::Failure;

/// The `state_dir` of the site that a pair serves.
pub(super) fn of(pair: &Pair) -> Result<PathBuf, Failure> {
    let unknown = |why: &str| {
        let [server, proxy] = pair.names();
        Failure::new(format!("no data of {server} and {proxy} was deleted: {why}"))
            .next("delete `state_dir` of their site by hand (by default `.tidegate` beside the site file)")
    };
    let file = pair.site_file().ok_or_else(|| unknown("it is not known which site file they serve"))?;
    let site = tidegate_site::load(&file).map_err(|_| unknown(&format!("{} cannot be used", file.display())))?;
    Ok(site.state_dir.clone())
}

/// Deletes it.
pub(super) fn remove(place: &Path) -> Result<(), Failure> {
    match fs::symlink_metadata(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Ok(metadata) if !metadata.is_dir() => {
            return Err(Failure::new(format!("{} is no directory, so it was not deleted", place.display())));
        }
        _ => {}
    }
    fs::remove_dir_all(place).map_err(|error| Failure::new(format!("cannot delete {}: {error}", place.display())))?;
    println!("deleted {}", place.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_goes_and_what_is_none_stays() {
        let place = std::env::temp_dir().join(format!("tidegate-data-{}", std::process::id()));
        fs::create_dir_all(place.join("state/logs")).unwrap();
        fs::write(place.join("state/logs/a"), "").unwrap();
        fs::write(place.join("file"), "").unwrap();
        remove(&place.join("state")).unwrap();
        assert!(!place.join("state").exists());
        remove(&place.join("state")).unwrap();
        assert!(remove(&place.join("file")).is_err());
        assert!(place.join("file").exists());
        fs::remove_dir_all(place).unwrap();
    }
}
