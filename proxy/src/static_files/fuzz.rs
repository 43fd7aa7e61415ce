//! What the fuzz targets of `tests/fuzz` run of static files. Built for fuzzing and for tests alone.

use std::path::{Component, Path};
use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};

use super::path;
use super::range::{Selected, Span, select};
use super::validator::{Conditions, Validator, Verdict};
use crate::request::fuzz::fields;

/// No path names anything but plain names below the root, on any system, and each has one form.
pub fn static_path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for hidden in [false, true] {
        let Ok(named) = path::named(text, hidden) else { continue };
        assert!(!named.starts_with('/') || named == "/", "{named:?}");
        let parts = Path::new(named.trim_matches('/')).components();
        assert!(parts.into_iter().all(|part| matches!(part, Component::Normal(_))), "{named:?}");
        if !named.is_empty() {
            let written: String = named.bytes().map(encoded).collect();
            assert_eq!(path::named(&format!("/{written}"), hidden), Ok(named.clone()));
        }
        for segment in named.split('/').filter(|segment| !segment.is_empty()) {
            assert!(segment != "." && segment != "..", "{named:?}");
            assert!(!segment.ends_with(['.', ' ']), "{named:?}");
            assert!(!segment.contains(['\\', ':', '*', '?', '"', '<', '>', '|']), "{named:?}");
            assert!(!segment.chars().any(char::is_control), "{named:?}");
            let stem = segment.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_uppercase();
            let mut name = stem.chars();
            let number = name.next_back();
            let is_number = number.is_some_and(|digit| digit.is_ascii_digit() || "\u{b9}\u{b2}\u{b3}".contains(digit));
            let is_port = is_number && matches!(name.as_str(), "COM" | "LPT");
            assert!(
                !is_port && !matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$"),
                "{named:?}"
            );
        }
    }
}

fn encoded(byte: u8) -> String {
    if byte == b'/' { "/".to_owned() } else { format!("%{byte:02x}") }
}

/// Every selected range lies within the file, several neither touch nor come to more than the file, and every byte that was
/// asked for is among them.
pub fn range(data: &[u8]) {
    let Some((total, field)) = data.split_at_checked(8) else { return };
    let mut bytes = [0; 8];
    bytes.copy_from_slice(total);
    let total = u64::from_be_bytes(bytes);
    let mut spans = match select(field, total) {
        Selected::Whole => return,
        Selected::Nothing => Vec::new(),
        Selected::One(span) => vec![span],
        Selected::Many(spans) => {
            assert!(spans.len() > 1);
            spans
        }
    };
    let end = |span: &Span| u128::from(span.start) + u128::from(span.length);
    assert!(spans.iter().all(|span| span.length > 0 && end(span) <= total.into()), "{spans:?} of {total}");
    spans.sort_unstable_by_key(|span| span.start);
    assert!(spans.windows(2).all(|pair| end(&pair[0]) < pair[1].start.into()), "{spans:?}");
    for (first, last) in asked(field, total) {
        let holds = |span: &Span| u128::from(span.start) <= first && last < end(span);
        assert!(spans.iter().any(holds), "{first}-{last} of {total}: {spans:?}");
    }
}

/// The first and the last byte of what each range asks for that the file has; without an upper bound.
fn asked(field: &[u8], total: u64) -> Vec<(u128, u128)> {
    let total = u128::from(total);
    let text = String::from_utf8_lossy(field);
    let list = text.split_once('=').map_or("", |(_, list)| list);
    let number = |digits: &str| digits.parse::<u128>().unwrap_or(u128::MAX);
    let ranges = list.split(',').filter_map(|spec| match spec.trim().split_once('-')? {
        ("", "0") => None,
        ("", suffix) => Some((total.saturating_sub(number(suffix)), total - 1)),
        (first, "") => Some((number(first), total - 1)),
        (first, last) => Some((number(first), number(last).min(total - 1))),
    });
    ranges.filter(|(first, last)| first <= last && *first < total).collect()
}

/// Any conditions have a verdict, and only for a reason; the file's own tag always counts.
pub fn conditional(data: &[u8]) {
    let names = [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE, RANGE];
    let headers = fields(data, &names);
    for modified in [None, Some(UNIX_EPOCH + Duration::from_secs(784_111_777))] {
        let validator = Validator::of(12, modified, None);
        let conditions = Conditions(&headers);
        let has = |names: [_; 2]| names.iter().any(|name| headers.contains_key(name));
        match conditions.verdict(&validator) {
            Verdict::Send => {}
            Verdict::NotModified => assert!(has([IF_NONE_MATCH, IF_MODIFIED_SINCE])),
            Verdict::Failed => assert!(has([IF_MATCH, IF_UNMODIFIED_SINCE])),
        }
        let range = conditions.range(&validator, true);
        assert!(range.is_none() || range == headers.get(RANGE));
        let Some(own) = validator.tag() else { continue };
        // Only a tag that is exactly the file's, or a date, lets a range count.
        let tag = headers.get(IF_RANGE).filter(|value| value.as_bytes().trim_ascii().starts_with(b"\""));
        assert!(range.is_none() || tag.is_none_or(|tag| tag.as_bytes().trim_ascii() == own.as_bytes()));
        let with = |name: http::HeaderName, value: &HeaderValue| {
            let mut headers = headers.clone();
            headers.append(name, value.clone());
            Conditions(&headers).verdict(&validator)
        };
        assert_ne!(with(IF_NONE_MATCH, own), Verdict::Send);
        let matched = with(IF_MATCH, own);
        assert!(matched != Verdict::Failed, "{headers:?}");
    }
}
