//! Checked: compression of responses on the way.

use std::sync::Arc;

/// Whether responses are compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compression {
    /// They stay as they are.
    Off,
    /// Those that fit are, for clients that take it.
    On(Arc<Compress>),
}

/// Which responses are compressed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compress {
    /// Codings, the best first for what a client weighs the same.
    pub codings: Vec<ContentCoding>,
    /// Bodies of less than this stay as they are.
    pub min_size: u64,
    /// Media types.
    pub types: Vec<MediaPattern>,
    /// Time against size.
    pub level: CompressionLevel,
}

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentCoding {
    /// zstd (RFC 8878).
    Zstd,
    /// Brotli (RFC 7932).
    Brotli,
    /// gzip (RFC 1952).
    Gzip,
}

/// How much time a byte is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompressionLevel {
    /// Least time.
    Fast,
    /// In between.
    Balanced,
    /// Least bytes, as far as a response can wait for it.
    Small,
}

/// One or many media types, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaPattern {
    /// `application/json`
    Exact(String),
    /// `text/*`, kept as `text/`.
    Starting(String),
    /// `*+json`, kept as `+json`.
    Ending(String),
}

impl Compress {
    /// Whether a Content-Type is one of those.
    pub fn takes(&self, content_type: &str) -> bool {
        let essence = content_type.as_bytes();
        let end = essence.iter().position(|&byte| byte == b';').unwrap_or(essence.len());
        let essence = essence[..end].trim_ascii();
        self.types.iter().any(|pattern| match pattern {
            MediaPattern::Exact(name) => essence.eq_ignore_ascii_case(name.as_bytes()),
            MediaPattern::Starting(start) => {
                essence.get(..start.len()).is_some_and(|part| part.eq_ignore_ascii_case(start.as_bytes()))
            }
            MediaPattern::Ending(end) => {
                let from = essence.len().checked_sub(end.len());
                from.is_some_and(|from| essence[from..].eq_ignore_ascii_case(end.as_bytes()))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_compared_without_their_parameters() {
        let compress = Compress {
            codings: vec![],
            min_size: 0,
            types: vec![
                MediaPattern::Starting("text/".to_owned()),
                MediaPattern::Exact("application/json".to_owned()),
                MediaPattern::Ending("+xml".to_owned()),
            ],
            level: CompressionLevel::Fast,
        };
        for (content_type, taken) in [
            ("text/html; charset=utf-8", true),
            ("Text/CSS", true),
            ("application/json", true),
            ("application/json;x=y", true),
            ("image/svg+xml", true),
            ("application/jsonx", false),
            ("image/png", false),
            ("xtext/html", false),
            ("tex", false),
            ("", false),
            ("\u{e4}", false),
        ] {
            assert_eq!(compress.takes(content_type), taken, "{content_type}");
        }
    }
}
