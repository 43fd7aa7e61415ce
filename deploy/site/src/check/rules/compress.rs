//! `compress`: a switch, or which responses and how.

use std::sync::Arc;

use crate::check::every;
use crate::checked::{Compress, Compression, CompressionLevel, ContentCoding, MediaPattern};
use crate::defaults;
use crate::raw::Node;

/// Keys of `compress`.
pub(crate) const COMPRESS: &[&str] = &["codings", "min_size", "types", "level"];

const LARGEST_MIN_SIZE: u64 = 1 << 30;
const TYPE: &str = "a media type such as application/json, text/* or \"*+json\"";

/// What `compress` says.
pub(super) fn read(node: &Node<'_>) -> Option<Option<Compression>> {
    if node.is_off() {
        return Some(Some(Compression::Off));
    }
    if node.is_on() {
        return Some(Some(Compression::On(usual())));
    }
    if !node.is_table() {
        return node.reject("expected on, off, or a table such as { codings: [zstd, br, gzip], min_size: 1KiB }");
    }
    let table = node.table(COMPRESS)?;
    let codings = table.read("codings", defaults::COMPRESS_CODINGS.to_vec(), |node| {
        let nodes = node.list("a list of zstd, br and gzip, the best first")?;
        let codings = every(&nodes, |node| {
            node.choice(&[("zstd", ContentCoding::Zstd), ("br", ContentCoding::Brotli), ("gzip", ContentCoding::Gzip)])
        })?;
        if codings.is_empty() {
            node.reject("is empty: expected at least one of zstd, br, gzip, or compress: off")
        } else {
            Some(codings)
        }
    });
    let min_size = table.read("min_size", defaults::COMPRESS_MIN_SIZE, |node| node.size(0..=LARGEST_MIN_SIZE));
    let types = table.read("types", usual_types(), |node| every(&node.list("a list of media types")?, media_pattern));
    let level = table.read("level", defaults::COMPRESS_LEVEL, |node| {
        node.choice(&[
            ("fast", CompressionLevel::Fast),
            ("balanced", CompressionLevel::Balanced),
            ("small", CompressionLevel::Small),
        ])
    });
    let compress = Compress { codings: codings?, min_size: min_size?, types: types?, level: level? };
    Some(Some(Compression::On(Arc::new(compress))))
}

/// How files are compressed by these rules.
pub(crate) fn of_files(said: Option<&Compression>) -> Option<Arc<Compress>> {
    match said {
        None => Some(usual()),
        Some(Compression::On(compress)) => Some(Arc::clone(compress)),
        Some(Compression::Off) => None,
    }
}

fn usual() -> Arc<Compress> {
    Arc::new(Compress {
        codings: defaults::COMPRESS_CODINGS.to_vec(),
        min_size: defaults::COMPRESS_MIN_SIZE,
        types: usual_types(),
        level: defaults::COMPRESS_LEVEL,
    })
}

fn usual_types() -> Vec<MediaPattern> {
    defaults::COMPRESS_TYPES.iter().filter_map(|text| pattern(text)).collect()
}

fn media_pattern(node: &Node<'_>) -> Option<MediaPattern> {
    match pattern(node.text(TYPE)?) {
        Some(pattern) => Some(pattern),
        None => node.reject(format_args!("expected {TYPE}")),
    }
}

fn pattern(text: &str) -> Option<MediaPattern> {
    let text = text.to_ascii_lowercase();
    let legal = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    if let Some(suffix) = text.strip_prefix("*+") {
        return legal(suffix).then(|| MediaPattern::Ending(format!("+{suffix}")));
    }
    match text.split_once('/')? {
        (kind, "*") => legal(kind).then(|| MediaPattern::Starting(format!("{kind}/"))),
        (kind, name) => (legal(kind) && legal(name)).then_some(MediaPattern::Exact(text)),
    }
}
