//! Whether the disks have room for what the site file lets grow: buffered bodies, log files, state.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tidegate_site::{Rotate, Site};

use super::services::Services;
use crate::finding::Report;

const TOPIC: &str = "disk";

/// Below this anything may fail next.
const FLOOR: u64 = 100 << 20;

/// What a directory may still take, and the key that says so.
#[derive(Debug, Default, PartialEq, Eq)]
struct Want {
    bytes: u64,
    keys: Vec<&'static str>,
}

/// Looks at every directory that is written to.
pub(super) fn look(site: &Site, services: &Services, report: &mut Report) {
    for (directory, want) in wants(site, services) {
        let existing = directory.ancestors().find(|path| path.exists()).unwrap_or(&directory);
        let free = match tidegate_host::machine::free_space(existing) {
            Ok(free) => free,
            Err(error) => {
                report.unknown(TOPIC, format_args!("{}: how much is free: {error}", directory.display()));
                continue;
            }
        };
        judge(&directory, &want, free, report);
    }
}

fn judge(directory: &Path, want: &Want, free: u64, report: &mut Report) {
    let shown = directory.display();
    let keys = want.keys.join(" and ");
    if free < FLOOR {
        report.problem(TOPIC, format_args!("{shown}: only {} free", size(free)), "make room on that disk");
    } else if free < want.bytes {
        report.warning(
            TOPIC,
            format_args!("{shown}: {} free, and {keys} may take {}", size(free), size(want.bytes)),
            format_args!("make room on that disk, or lower {keys}"),
        );
    } else {
        report.good(TOPIC, format_args!("{shown}: {} free", size(free)));
    }
}

fn wants(site: &Site, services: &Services) -> BTreeMap<PathBuf, Want> {
    let mut wants: BTreeMap<PathBuf, Want> = BTreeMap::new();
    let mut want = |directory: &Path, bytes: u64, key: &'static str| {
        let want = wants.entry(directory.to_owned()).or_default();
        want.bytes = want.bytes.saturating_add(bytes);
        if !key.is_empty() && !want.keys.contains(&key) {
            want.keys.push(key);
        }
    };
    want(&site.state_dir, FLOOR, "");
    let buffer = &site.limits.buffer;
    if buffer.disk > 0 {
        want(&buffer.directory, buffer.disk, "limits.buffer_disk");
    }
    // Where systemd keeps the lines of services, their room is systemd's affair.
    let by_itself = services.any() && tidegate_host::journal_command(&[]).is_none();
    let log = if by_itself { site.service_log() } else { site.log.clone() };
    let access = log.access.as_ref().and_then(|access| Some((access.file()?.to_owned(), access.rotate)));
    let of_programs = ["proxy", "appserver"].iter().filter_map(|process| Some((log.file_of(process)?, log.rotate)));
    for (path, rotate) in of_programs.chain(access) {
        if let Some(directory) = path.parent() {
            let present: u64 = present(&path);
            want(directory, most(rotate).saturating_sub(present), "log.rotate");
        }
    }
    wants
}

/// What a log file and what is kept of it take at most, if their size is bounded.
fn most(rotate: Option<Rotate>) -> u64 {
    let bounded = rotate.and_then(|rotate| Some((rotate.size?, rotate.keep)));
    bounded.map_or(0, |(size, keep)| size.saturating_mul(keep as u64 + 1))
}

/// What they take already.
fn present(path: &Path) -> u64 {
    let asides = tidegate_log::set_aside(path).into_iter().map(|aside| aside.path);
    std::iter::once(path.to_owned()).chain(asides).filter_map(|path| Some(std::fs::metadata(path).ok()?.len())).sum()
}

/// `4.0 GiB`, `120 MiB`.
fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    match bytes {
        ..GIB => format!("{} MiB", bytes / MIB),
        _ => format!("{:.1} GiB", bytes as f64 / GIB as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Form, Verdict};
    use crate::style::Style;

    #[test]
    fn too_little_room_is_a_warning_and_almost_none_a_problem() {
        let want = Want { bytes: 4 << 30, keys: vec!["limits.buffer_disk"] };
        for (free, warnings, problems) in [(5 << 30, 0, 0), (1 << 30, 1, 0), (1 << 20, 0, 1)] {
            let mut report = Report::new(Form::Json, Style::plain());
            judge(Path::new("/srv"), &want, free, &mut report);
            assert_eq!(
                (report.count(Verdict::Warning), report.count(Verdict::Problem)),
                (warnings, problems),
                "{free}"
            );
        }
    }

    #[test]
    fn sizes_are_as_people_read_them() {
        for (bytes, text) in [(0, "0 MiB"), (120 << 20, "120 MiB"), (4 << 30, "4.0 GiB")] {
            assert_eq!(size(bytes), text);
        }
    }
}
