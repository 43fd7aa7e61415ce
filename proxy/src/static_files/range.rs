//! Which bytes of a file a Range field selects (RFC 9110 section 14), and the multipart form of
//! several. Pure functions, called by `mod.rs`.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};

use bytes::Bytes;
use http::HeaderValue;

use crate::reply::Piece;

/// Ranges served in one response. A request with more gets the whole file: many tiny ranges cost
/// more in parts than they save.
const MAX_RANGES: usize = 16;

/// Ranges nearer to each other than this are sent as one: about the size of a part's head.
const GAP: u64 = 128;

/// Bytes of a file; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) length: u64,
}

impl Span {
    fn end(self) -> u64 {
        self.start + self.length
    }

    /// The value of Content-Range for a file of `total` bytes.
    pub(super) fn content_range(self, total: u64) -> String {
        format!("bytes {}-{}/{total}", self.start, self.end() - 1)
    }
}

/// What a Range field asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Selected {
    /// Everything: the field is malformed, of another unit, or asks for too much.
    Whole,
    One(Span),
    /// At least two.
    Many(Vec<Span>),
    /// Well-formed, but nothing of it lies within the file.
    Nothing,
}

/// Applies a Range field to a file of `total` bytes.
pub(super) fn select(range: &[u8], total: u64) -> Selected {
    // An empty file has no range that could be named in Content-Range.
    if total == 0 {
        return Selected::Whole;
    }
    let Some((asked, mut spans)) = parse(range, total) else { return Selected::Whole };
    if asked > MAX_RANGES {
        return Selected::Whole;
    }
    coalesce(&mut spans);
    match spans[..] {
        [] => Selected::Nothing,
        [span] => Selected::One(span),
        // Overlaps are gone, so this is the whole file at the most, but not in more parts.
        _ => Selected::Many(spans),
    }
}

/// How many ranges there are, and those that can be satisfied; `None` if the field is malformed.
fn parse(range: &[u8], total: u64) -> Option<(usize, Vec<Span>)> {
    let text = std::str::from_utf8(range).ok()?;
    let (unit, list) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (mut asked, mut spans) = (0, Vec::new());
    // Empty elements are allowed in lists (RFC 9110 section 5.6.1.2).
    for spec in list.split(',').map(str::trim).filter(|spec| !spec.is_empty()) {
        asked += 1;
        if asked > MAX_RANGES {
            break;
        }
        let (first, last) = spec.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let (start, end) = match (first, last) {
            (None, None) => return None,
            (None, Some(suffix)) => (total.saturating_sub(suffix), total),
            (Some(first), None) => (first, total),
            (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(total)),
            _ => return None,
        };
        if start < end {
            spans.push(Span { start, length: end - start });
        }
    }
    (asked > 0).then_some((asked, spans))
}

/// A number, or `Some(None)` for nothing. What is too large for 64 bits lies beyond every file.
fn number(digits: &str) -> Option<Option<u64>> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX)))
}

/// Joins spans that overlap or nearly touch. Their order stays the client's unless there was
/// something to join (RFC 9110 section 15.3.7.2 leaves it open then).
fn coalesce(spans: &mut Vec<Span>) {
    let mut sorted = spans.clone();
    sorted.sort_unstable_by_key(|span| span.start);
    let mut joined: Vec<Span> = Vec::with_capacity(sorted.len());
    for span in sorted {
        match joined.last_mut() {
            Some(last) if span.start <= last.end().saturating_add(GAP) => {
                last.length = last.end().max(span.end()) - last.start;
            }
            _ => joined.push(span),
        }
    }
    if joined.len() < spans.len() {
        *spans = joined;
    }
}

/// A boundary that does not occur in the file but by a chance of 2^-128.
pub(super) fn boundary() -> String {
    let random = RandomState::new();
    format!("{:016x}{:016x}", random.hash_one(1_u8), random.hash_one(2_u8))
}

/// The body of a multipart/byteranges response.
pub(super) fn parts(spans: &[Span], total: u64, media: &HeaderValue, boundary: &str) -> Vec<Piece> {
    let media = media.to_str().unwrap_or("application/octet-stream");
    let mut pieces = Vec::with_capacity(spans.len() * 2 + 1);
    for (index, span) in spans.iter().enumerate() {
        let mut head = String::with_capacity(192);
        // Writing to a String cannot fail.
        let _ = write!(
            head,
            "{}--{boundary}\r\nContent-Type: {media}\r\nContent-Range: {}\r\n\r\n",
            if index == 0 { "" } else { "\r\n" },
            span.content_range(total),
        );
        pieces.push(Piece::Text(Bytes::from(head)));
        pieces.push(Piece::Range { start: span.start, length: span.length });
    }
    pieces.push(Piece::Text(Bytes::from(format!("\r\n--{boundary}--\r\n"))));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u64, end: u64) -> Span {
        Span { start, length: end - start }
    }

    #[test]
    fn ranges_select_bytes() {
        use Selected::{Many, Nothing, One, Whole};
        let twenty =
            format!("bytes={}", (0..20).map(|n| format!("{}-{}", n * 500, n * 500)).collect::<Vec<_>>().join(","));
        for (range, expected) in [
            ("bytes=0-0", One(span(0, 1))),
            ("bytes=0-499", One(span(0, 500))),
            ("bytes=9500-", One(span(9500, 10_000))),
            ("bytes=-500", One(span(9500, 10_000))),
            ("bytes=-20000", One(span(0, 10_000))),
            ("bytes=0-", One(span(0, 10_000))),
            ("bytes=9999-99999", One(span(9999, 10_000))),
            ("bytes=0-99999999999999999999999", One(span(0, 10_000))),
            ("BYTES=1-2", One(span(1, 3))),
            ("bytes= 1-2 ,", One(span(1, 3))),
            ("bytes=0-0,-1", Many(vec![span(0, 1), span(9999, 10_000)])),
            ("bytes=5000-5001,0-1", Many(vec![span(5000, 5002), span(0, 2)])),
            ("bytes=0-1,20000-,5000-5001", Many(vec![span(0, 2), span(5000, 5002)])),
            // Overlapping, touching and near ones become one.
            ("bytes=0-99,50-149", One(span(0, 150))),
            ("bytes=0-99,100-199", One(span(0, 200))),
            ("bytes=0-99,150-199", One(span(0, 200))),
            ("bytes=0-,0-,0-,0-", One(span(0, 10_000))),
            ("bytes=5000-5010,0-99,50-149", Many(vec![span(0, 150), span(5000, 5011)])),
            // Nothing within the file.
            ("bytes=10000-", Nothing),
            ("bytes=10000-10001,20000-", Nothing),
            ("bytes=99999999999999999999999-", Nothing),
            ("bytes=-0", Nothing),
            // Malformed, other units, too many.
            ("bytes=5-1", Whole),
            ("bytes=0-1,5-1", Whole),
            ("bytes=", Whole),
            ("bytes=,", Whole),
            ("bytes=-", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1", Whole),
            ("bytes=--5", Whole),
            ("bytes 0-1", Whole),
            ("pages=0-1", Whole),
            ("", Whole),
            (&twenty, Whole),
        ] {
            assert_eq!(select(range.as_bytes(), 10_000), expected, "{range:?}");
        }
        assert_eq!(select(b"bytes=\xff", 10), Whole);
        assert_eq!(select(b"bytes=0-", 0), Whole);
        assert_eq!(select(b"bytes=0-", u64::MAX), One(span(0, u64::MAX)));
    }

    #[test]
    fn parts_are_framed_by_the_boundary() {
        let media = HeaderValue::from_static("text/plain");
        let pieces = parts(&[span(0, 2), span(5, 6)], 10, &media, "B");
        let text: Vec<_> = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                Piece::Range { start, length } => format!("<{start}+{length}>"),
            })
            .collect();
        assert_eq!(
            text.concat(),
            "--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n<0+2>\
             \r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-5/10\r\n\r\n<5+1>\r\n--B--\r\n"
        );
        assert_ne!(boundary(), boundary());
    }
}
