//! What the fuzz targets of `tests/fuzz` run of static files. Only built for fuzzing.

use std::time::{Duration, UNIX_EPOCH};

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};

use super::path;
use super::range::{Selected, Span, select};
use super::validator::{Conditions, Validator};
use crate::request::fuzz::fields;

/// No path names anything but plain names below the root, on any system.
pub fn static_path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for hidden in [false, true] {
        let Ok(named) = path::named(text, hidden) else { continue };
        assert!(!named.starts_with('/') || named == "/", "{named:?}");
        for segment in named.split('/').filter(|segment| !segment.is_empty()) {
            assert!(segment != "." && segment != "..", "{named:?}");
            assert!(!segment.ends_with(['.', ' ']), "{named:?}");
            assert!(!segment.contains(['\\', ':', '*', '?', '"', '<', '>', '|']), "{named:?}");
            assert!(!segment.chars().any(char::is_control), "{named:?}");
            let stem = segment.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
            let (letters, number) = stem.split_at(stem.len().min(3));
            let is_port = matches!(letters, "COM" | "LPT") && matches!(number, "\u{b9}" | "\u{b2}" | "\u{b3}");
            let is_port = is_port
                || (matches!(letters, "COM" | "LPT") && number.len() == 1 && number.as_bytes()[0].is_ascii_digit());
            assert!(!is_port && !matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$"), "{named:?}");
        }
    }
}

/// Every selected range lies within the file.
pub fn range(data: &[u8]) {
    let Some((total, field)) = data.split_at_checked(8) else { return };
    let mut bytes = [0; 8];
    bytes.copy_from_slice(total);
    let total = u64::from_be_bytes(bytes);
    let check =
        |span: &Span| assert!(span.length > 0 && span.start.checked_add(span.length).is_some_and(|end| end <= total));
    match select(field, total) {
        Selected::Whole | Selected::Nothing => {}
        Selected::One(span) => check(&span),
        Selected::Many(spans) => {
            assert!(spans.len() > 1);
            spans.iter().for_each(check);
        }
    }
}

/// Any conditions have a verdict.
pub fn conditional(data: &[u8]) {
    let names = [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE, RANGE];
    let headers = fields(data, &names);
    for modified in [None, Some(UNIX_EPOCH + Duration::from_secs(784_111_777))] {
        let validator = Validator::of(12, modified, None);
        let conditions = Conditions(&headers);
        conditions.verdict(&validator);
        assert!(conditions.range(&validator, true).is_none() || headers.contains_key(RANGE));
    }
}
