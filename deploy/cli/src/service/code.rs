//! What services run is not installed where anybody may write: such directories of a site are closed where the system lets everybody in
//! by default, and refused elsewhere. What one account or a chosen group may write is left alone: that is who deploys.

use std::path::Path;

use tidegate_host::By;
use tidegate_host::access::{self, Rule};
use tidegate_site::Site;

use super::places::{self, Accounts};
use crate::code::{Open, open_places};
use crate::failure::Failure;
use crate::style::Style;

/// Fails if anybody may write to what the services would run and it is not ours to close; `keep` makes it a warning.
pub(super) fn refuse_open(site: &Site, accounts: &Accounts, keep: bool, style: Style) -> Result<(), Failure> {
    let all = places::both(accounts);
    let open = open_to_anybody(site, accounts);
    let ours = |open: &&Open| !keep && is_ours(site, &open.writer.place);
    let refused: Vec<&Open> = open.iter().filter(|open| !ours(open)).collect();
    let line = |open: &Open| format!("{}, and would run code as the services do", open.sentence());
    if keep {
        for open in refused {
            eprintln!("{} {}: {}", style.warning("warning:"), line(open), open.command(&all));
        }
        return Ok(());
    }
    let Some(first) = refused.first() else { return Ok(()) };
    let lines: Vec<String> = refused.iter().map(|open| line(open)).collect();
    Err(Failure::new(lines.join("\n")).next(format!(
        "{} and install again, or move it where only administrators write; --keep-permissions installs all the same",
        first.command(&all)
    )))
}

/// Closes what is left open and is ours.
pub(super) fn close(site: &Site, accounts: &Accounts, style: Style) {
    let rule = Rule { readers: places::both(accounts), ..Rule::default() };
    // What is below inherits, so look again after each.
    for _ in 0..=2 * (site.apps.len() + 1) {
        let open = open_to_anybody(site, accounts);
        let Some(open) = open.iter().find(|open| is_ours(site, &open.writer.place)) else { return };
        let place = &open.writer.place;
        match access::protect(place, &rule) {
            Ok(Some(changed)) => println!("{} {}: {}", open.what, place.display(), places::sentence(&changed)),
            Ok(None) => return,
            Err(error) => {
                eprintln!("{} {}: {error}", style.warning("warning:"), open.sentence());
                return;
            }
        }
    }
}

fn open_to_anybody(site: &Site, accounts: &Accounts) -> Vec<Open> {
    let mut open = open_places(site, &places::both(accounts));
    open.retain(|open| open.writer.by == By::BeingAnybody);
    open
}

/// A directory of the site where the system lets everybody make files unless it is told otherwise.
fn is_ours(site: &Site, place: &Path) -> bool {
    let directories = site.file.parent().into_iter().chain(site.apps.iter().map(|app| app.directory.as_path()));
    tidegate_host::is_below_shared_data(place) && directories.into_iter().any(|directory| place.starts_with(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sites_directories_are_ours_to_close_where_everybody_is_let_in_by_default() {
        let data = std::env::var_os("ProgramData").map_or_else(std::env::temp_dir, Into::into);
        let here = data.join(format!("tg-code-{}", std::process::id()));
        std::fs::create_dir_all(here.join("app")).unwrap();
        let file = here.join("tidegate.yaml");
        std::fs::write(&file, "apps: { shop: { wsgi: \"a:b\", directory: app } }\n").unwrap();
        let site = tidegate_site::load(&file).unwrap();
        let here = site.file.parent().unwrap();
        // There is no such place on Linux.
        let closed = tidegate_host::is_below_shared_data(here);
        for (place, ours) in [
            (here.to_owned(), closed),
            (here.join("app"), closed),
            (site.file.clone(), closed),
            (data.clone(), false),
            (data.join("other"), false),
        ] {
            assert_eq!(is_ours(&site, &place), ours, "{}", place.display());
        }
        std::fs::remove_dir_all(here).unwrap();
    }
}
