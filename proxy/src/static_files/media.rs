//! The content type of a file, by the extension of its name. Called by `route.rs` only.

use std::borrow::Cow;

use http::HeaderValue;

/// What a site says of types.
#[derive(Debug, Default)]
pub(super) struct Types {
    /// By extension, in lower case and without its dot.
    pub(super) own: Vec<(String, String)>,
    /// The charset of texts, if they shall have one.
    pub(super) charset: Option<String>,
}

impl Types {
    /// The Content-Type of a file of this name.
    pub(super) fn of(&self, name: &str) -> HeaderValue {
        let last = name.rsplit('/').next().unwrap_or(name);
        let extension = last.rsplit_once('.').map_or("", |(_, extension)| extension);
        let own = self.own.iter().find(|(known, _)| extension.to_lowercase() == *known);
        let media: &str = match own {
            Some((_, media)) => media,
            None => known(extension),
        };
        let media = match &self.charset {
            Some(charset) if is_text(media) => Cow::Owned(format!("{media}; charset={charset}")),
            _ => Cow::Borrowed(media),
        };
        HeaderValue::from_str(&media).unwrap_or(HeaderValue::from_static("application/octet-stream"))
    }
}

fn known(extension: &str) -> &'static str {
    match mime_guess::from_ext(extension).first_raw() {
        Some("text/plain") if extension.eq_ignore_ascii_case("map") => "application/json",
        // RFC 9239 makes this the one type of scripts.
        Some("application/javascript") => "text/javascript",
        Some(media) => media,
        None => "application/octet-stream",
    }
}

/// Whether a charset makes sense, and is not said yet.
fn is_text(media: &str) -> bool {
    (media.starts_with("text/") || media == "application/json") && !media.contains(';')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_have_their_types() {
        let types = Types { own: Vec::new(), charset: Some("utf-8".to_owned()) };
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
            ("v1.css/README", "application/octet-stream"),
        ] {
            assert_eq!(types.of(name), expected, "{name}");
        }
    }

    #[test]
    fn a_site_has_types_and_a_charset_of_its_own() {
        let own = [("foo", "application/x-foo"), ("css", "text/x-css"), ("old", "text/plain; charset=iso-8859-1")];
        let own = own.map(|(extension, media)| (extension.to_owned(), media.to_owned())).to_vec();
        let types = Types { own, charset: Some("windows-1252".to_owned()) };
        for (name, expected) in [
            ("a.foo", "application/x-foo"),
            ("b/a.FOO", "application/x-foo"),
            ("a.css", "text/x-css; charset=windows-1252"),
            ("a.old", "text/plain; charset=iso-8859-1"),
            ("a.txt", "text/plain; charset=windows-1252"),
        ] {
            assert_eq!(types.of(name), expected, "{name}");
        }
        let silent = Types::default();
        assert_eq!(silent.of("a.txt"), "text/plain");
    }
}
