//! A directory without an index, shown to those that the operator allows to see it: a page for browsers,
//! JSON or plain lines for programs. Called by `look.rs` to read the directory and by `mod.rs` to show it.
//! Shows nothing that could not be asked for: no hidden names, nothing outside the root, no name that the
//! rules of paths refuse.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tidegate_host::file::list_within;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{StaticRequest, path};
use crate::negotiate::vary_on;
use crate::reply::{Body, Reply};
use crate::request::pages::{Form, escape, form};

/// The most entries that are shown.
const MOST: usize = 10_000;

/// What stays as it is in a link.
const LINK: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is in a directory, in the order in which it is shown.
#[derive(Debug)]
pub(super) struct Listing {
    entries: Vec<Entry>,
    is_complete: bool,
}

#[derive(Debug)]
struct Entry {
    name: String,
    is_directory: bool,
    length: u64,
    modified: Option<SystemTime>,
}

impl Listing {
    /// What is in the directory of this name below the root. Blocking.
    pub(super) fn read(root: &Path, name: &str, hidden: bool) -> io::Result<Self> {
        let listed = list_within(root, Path::new(name), MOST)?;
        let is_complete = listed.len() < MOST;
        let entries = listed.into_iter().filter_map(|entry| {
            let name = entry.name.into_string().ok()?;
            path::is_name(&name, hidden).then_some(Entry {
                name,
                is_directory: entry.is_directory,
                length: entry.length,
                modified: entry.modified,
            })
        });
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by_cached_key(|entry| (!entry.is_directory, entry.name.to_lowercase(), entry.name.clone()));
        Ok(Self { entries, is_complete })
    }

    /// Bytes in memory.
    pub(super) fn weight(&self) -> u64 {
        self.entries.iter().map(|entry| (size_of::<Entry>() + entry.name.len()) as u64).sum()
    }

    /// The reply that shows it.
    pub(super) fn reply(&self, request: &StaticRequest<'_>) -> Reply {
        let raw = request.target.split('?').next().unwrap_or_default();
        let place = percent_decode_str(raw).decode_utf8_lossy();
        let (media, text) = match form(request.headers) {
            Form::Html => ("text/html; charset=utf-8", self.html(&place, request.rest)),
            Form::Json => ("application/json; charset=utf-8", self.json(&place)),
            Form::Text => ("text/plain; charset=utf-8", self.text()),
        };
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
        headers.insert(
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        );
        vary_on(&mut headers, "Accept");
        Reply { status: StatusCode::OK, headers, body: Body::Full(Bytes::from(text)) }
    }

    fn html(&self, place: &str, rest: &str) -> String {
        let title = escape(place);
        let mut page = String::with_capacity(STYLE.len() + 512 + self.entries.len() * 160);
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
             <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
             <body>\n<main>\n<h1>{title}</h1>\n<table>\n\
             <thead><tr><th>Name</th><th class=\"n\">Size</th><th class=\"d\">Changed (UTC)</th></tr></thead>\n<tbody>\n",
        );
        // Above the route's own directory is something else.
        if rest.bytes().any(|byte| byte != b'/') {
            page.push_str("<tr><td><a class=\"up\" href=\"../\">..</a></td><td></td><td></td></tr>\n");
        }
        for entry in &self.entries {
            let slash = if entry.is_directory { "/" } else { "" };
            let link = utf8_percent_encode(&entry.name, LINK);
            let size = if entry.is_directory { String::new() } else { size(entry.length) };
            let _ = writeln!(
                page,
                "<tr><td><a href=\"./{link}{slash}\">{}{slash}</a></td><td class=\"n\">{size}</td><td class=\"d\">{}</td></tr>",
                escape(&entry.name),
                entry.modified.map(minute).unwrap_or_default(),
            );
        }
        page.push_str("</tbody>\n</table>\n");
        let _ = match (self.entries.len(), self.is_complete) {
            (0, _) => writeln!(page, "<p>Nothing here.</p>"),
            (1, true) => writeln!(page, "<p>1 entry</p>"),
            (count, true) => writeln!(page, "<p>{count} entries</p>"),
            (count, false) => writeln!(page, "<p>{count} entries, and more that are not shown</p>"),
        };
        page.push_str("</main>\n</body>\n</html>\n");
        page
    }

    fn json(&self, place: &str) -> String {
        let entries = self.entries.iter().map(|entry| {
            let modified = entry.modified.and_then(|time| whole_seconds(time)?.format(&Rfc3339).ok());
            serde_json::json!({
                "name": entry.name,
                "type": if entry.is_directory { "directory" } else { "file" },
                "size": (!entry.is_directory).then_some(entry.length),
                "modified": modified,
            })
        });
        let entries: Vec<_> = entries.collect();
        let mut text =
            serde_json::json!({ "path": place, "entries": entries, "complete": self.is_complete }).to_string();
        text.push('\n');
        text
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for entry in &self.entries {
            text.push_str(&entry.name);
            text.push_str(if entry.is_directory { "/\n" } else { "\n" });
        }
        text
    }
}

/// A size as people read it.
fn size(bytes: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >= 1 << shift {
            // Tenths, without the rounding errors of floating point.
            let tenths = (u128::from(bytes) * 10) >> shift;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

/// A time to the minute.
fn minute(time: SystemTime) -> String {
    let Some(time) = whole_seconds(time) else { return String::new() };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute()
    )
}

fn whole_seconds(time: SystemTime) -> Option<OffsetDateTime> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    OffsetDateTime::from_unix_timestamp(i64::try_from(since.as_secs()).ok()?).ok()
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2630;--soft:#5c6b7a;--line:#d9e0e6;--sea:#0b6e86;--paper:#f6f8f9}\
@media(prefers-color-scheme:dark){:root{--ink:#e6ebef;--soft:#93a1ae;--line:#2c3843;--sea:#5cc3d9;--paper:#12181d}}\
*{box-sizing:border-box}body{margin:0;padding:2rem 1.25rem;background:var(--paper);color:var(--ink);\
font:1rem/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\
main{max-width:60rem;margin:0 auto;border-top:4px solid var(--sea);padding-top:1.25rem}\
h1{margin:0 0 1rem;font-size:1.35rem;overflow-wrap:anywhere}\
table{width:100%;border-collapse:collapse}th{font-size:.85rem;font-weight:600;color:var(--soft);text-align:left}\
th,td{padding:.35rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}\
td:first-child{overflow-wrap:anywhere}tbody tr:hover{background:color-mix(in srgb,var(--sea) 8%,transparent)}\
a{color:var(--sea);text-decoration:none}a:hover,a:focus{text-decoration:underline}\
.n,.d{color:var(--soft);white-space:nowrap;font-variant-numeric:tabular-nums}.n{text-align:right}\
p{color:var(--soft);font-size:.85rem}@media(max-width:32rem){.d{display:none}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_in_text_and_links() {
        let name = "<script>\"'&?#%:.txt".to_owned();
        let entry = Entry { name, is_directory: false, length: 1536, modified: Some(UNIX_EPOCH) };
        let listing = Listing { entries: vec![entry], is_complete: true };
        let page = listing.html("/a<b>/", "/a<b>/");
        assert!(page.contains("href=\"./%3Cscript%3E%22%27%26%3F%23%25%3A.txt\""), "{page}");
        assert!(page.contains(">&lt;script&gt;&quot;&#39;&amp;?#%:.txt</a>"), "{page}");
        assert!(page.contains("<title>/a&lt;b&gt;/</title>") && page.contains("1.5 KiB"), "{page}");
        assert!(page.contains("1970-01-01 00:00") && page.contains("href=\"../\""), "{page}");
        assert!(!listing.html("/static/", "/").contains("href=\"../\""));
        assert!(!page.contains("<script"));
    }

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_572_864, "1.5 MiB"), (u64::MAX, "17179869183.9 GiB")]
        {
            assert_eq!(size(bytes), text);
        }
    }
}
