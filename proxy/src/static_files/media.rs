//! The content type of a file, by the extension of its name. Called by `mod.rs` only.

use std::path::Path;

use http::HeaderValue;

/// The Content-Type of the file at `path`. Text is taken for UTF-8: everything else would need a
/// key in the site file, and nobody has asked yet.
pub(super) fn of(path: &Path) -> HeaderValue {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    let media = match mime_guess::from_ext(extension).first_raw() {
        // Constants for what nearly every page consists of, so that they cost no allocation.
        Some("text/html") => "text/html; charset=utf-8",
        Some("text/css") => "text/css; charset=utf-8",
        Some("text/plain") if extension.eq_ignore_ascii_case("map") => "application/json; charset=utf-8",
        Some("text/plain") => "text/plain; charset=utf-8",
        // RFC 9239 makes this the one type of scripts.
        Some("text/javascript" | "application/javascript") => "text/javascript; charset=utf-8",
        Some("application/json") => "application/json; charset=utf-8",
        Some(text) if text.starts_with("text/") => {
            return HeaderValue::try_from(format!("{text}; charset=utf-8"))
                .unwrap_or(HeaderValue::from_static("text/plain"));
        }
        Some(other) => other,
        None => "application/octet-stream",
    };
    HeaderValue::from_static(media)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_have_their_types() {
        for (name, expected) in [
            ("a.html", "text/html; charset=utf-8"),
            ("a.HTM", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.min.js.map", "application/json; charset=utf-8"),
            ("a.json", "application/json; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.jpg", "image/jpeg"),
            ("a.webp", "image/webp"),
            ("a.avif", "image/avif"),
            ("a.ico", "image/x-icon"),
            ("a.woff2", "font/woff2"),
            ("a.wasm", "application/wasm"),
            ("a.webmanifest", "application/manifest+json"),
            ("a.pdf", "application/pdf"),
            ("a.mp4", "video/mp4"),
            ("a.zip", "application/zip"),
            ("a.unknown-extension", "application/octet-stream"),
            ("README", "application/octet-stream"),
        ] {
            assert_eq!(of(Path::new(name)), expected, "{name}");
        }
    }
}
