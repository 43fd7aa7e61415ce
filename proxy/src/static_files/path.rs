//! From the path of a request to a file name below the root: string rules only, the same on every
//! system, so that what is safe on NTFS is also what is tested on Linux. Called by `mod.rs` before
//! anything touches the disk. Refuses rather than repairs; what it lets through is opened by
//! `tidegate_host::file::open_within`, which checks links, case and 8.3 names on the disk itself.

use percent_encoding::percent_decode_str;
use thiserror::Error;

/// Longest decoded path in bytes, and longest segment: what file systems take at the most.
const MAX_PATH: usize = 4096;
const MAX_SEGMENT: usize = 255;

/// A path that names no file, for the log. Clients see 404 for all, so that nothing can be
/// learnt from the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Refused {
    #[error("malformed percent-encoding")]
    Encoding,
    #[error("not UTF-8")]
    NotUtf8,
    #[error("control character")]
    Control,
    #[error("character that is special to a file system")]
    Special,
    #[error("dot segment or hidden file")]
    Dot,
    #[error("segment starts or ends with a space, or ends with a dot")]
    Edge,
    #[error("device name")]
    Device,
    #[error("path too long")]
    TooLong,
}

/// The path below the root that a raw path names, in its one form: decoded, without a slash at its
/// beginning, with one at its end if a directory is meant (`/` is the root as a directory, the
/// empty path the root without its slash). `hidden` lets names pass that begin with a dot. Takes the part after the route's prefix, empty or starting
/// with `/`. Repeated slashes count as one, as in every file system.
pub(super) fn named(rest: &str, hidden: bool) -> Result<String, Refused> {
    // Decoding never lengthens, except that what is refused anyway may be longer than it looks.
    if rest.len() > 3 * MAX_PATH {
        return Err(Refused::TooLong);
    }
    let mut relative = String::with_capacity(rest.len() + 1);
    let mut directory = false;
    for (index, raw) in rest.split('/').enumerate() {
        directory = raw.is_empty() && index > 0;
        if raw.is_empty() {
            continue;
        }
        let first = relative.is_empty();
        if !first {
            // Windows takes this separator as well.
            relative.push('/');
        }
        let start = relative.len();
        decode(raw, &mut relative)?;
        check(&relative[start..], first, hidden)?;
    }
    if relative.len() > MAX_PATH {
        return Err(Refused::TooLong);
    }
    if directory {
        relative.push('/');
    }
    Ok(relative)
}

/// Appends the decoded segment. Decodes once: `%252e` is the three characters `%2e`.
fn decode(raw: &str, out: &mut String) -> Result<(), Refused> {
    let Some(first) = memchr::memchr(b'%', raw.as_bytes()) else {
        out.push_str(raw);
        return Ok(());
    };
    let bytes = raw.as_bytes();
    let malformed = memchr::memchr_iter(b'%', &bytes[first..]).any(|at| {
        let digits = bytes.get(first + at + 1..first + at + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if malformed {
        return Err(Refused::Encoding);
    }
    out.push_str(&percent_decode_str(raw).decode_utf8().map_err(|_| Refused::NotUtf8)?);
    Ok(())
}

/// Whether the name of an entry of a directory is one that could be asked for.
pub(super) fn is_name(name: &str, hidden: bool) -> bool {
    check(name, false, hidden).is_ok()
}

impl Refused {
    /// Whether the path could mean something to an app or a page, though to no file system.
    pub(super) fn may_be_a_page(self) -> bool {
        matches!(self, Self::Special | Self::Edge | Self::Device | Self::TooLong)
    }
}

/// Whether a decoded segment is a plain name on every system.
fn check(segment: &str, first: bool, hidden: bool) -> Result<(), Refused> {
    if segment.len() > MAX_SEGMENT {
        return Err(Refused::TooLong);
    }
    for letter in segment.chars() {
        match letter {
            // Separators, drive letters and streams (`a.py::$DATA`), wildcards, and the rest of
            // what NTFS does not take in a name.
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => return Err(Refused::Special),
            letter if letter.is_control() => return Err(Refused::Control),
            _ => {}
        }
    }
    // `.git`, `.env`, `.htaccess` lie in many a static directory by mistake; RFC 8615 has the one
    // dotted name that is meant to be public.
    if segment.starts_with('.') && !(first && segment == ".well-known") {
        // A dot segment ends with a dot too.
        if !hidden || segment.ends_with('.') {
            return Err(Refused::Dot);
        }
    }
    // Windows drops dots and spaces at the end, which gives a file a second name.
    if segment.starts_with(' ') || segment.ends_with([' ', '.']) {
        return Err(Refused::Edge);
    }
    if is_device(segment) {
        return Err(Refused::Device);
    }
    Ok(())
}

/// Names that open a device in any directory, with any extension (`NUL`, `con.txt`, `com1 .x`).
fn is_device(segment: &str) -> bool {
    let stem = segment.split('.').next().unwrap_or(segment).trim_end_matches(' ');
    if ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"].iter().any(|name| stem.eq_ignore_ascii_case(name)) {
        return true;
    }
    let Some(digit) = stem.chars().next_back() else { return false };
    let name = &stem[..stem.len() - digit.len_utf8()];
    // Windows reads superscript digits as digits here.
    (digit.is_ascii_digit() || matches!(digit, '\u{b9}' | '\u{b2}' | '\u{b3}'))
        && (name.eq_ignore_ascii_case("com") || name.eq_ignore_ascii_case("lpt"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_name_files() {
        for (rest, relative) in [
            ("", ""),
            ("/", "/"),
            ("//", "/"),
            ("/a", "a"),
            ("/a/", "a/"),
            ("/a//", "a/"),
            ("/a/b.css", "a/b.css"),
            ("//a///b.css", "a/b.css"),
            ("//host/share/x", "host/share/x"),
            ("/a%20b.txt", "a b.txt"),
            ("/%61%2Ecss", "a.css"),
            ("/100%25.txt", "100%.txt"),
            ("/%252e%252e/x", "%2e%2e/x"),
            ("/gr%C3%BC%C3%9Fe.html", "gr\u{fc}\u{df}e.html"),
            ("/gr\u{fc}n", "gr\u{fc}n"),
            ("/a..b", "a..b"),
            ("/vendor~main.js", "vendor~main.js"),
            ("/jquery.min.js", "jquery.min.js"),
            ("/.well-known/security.txt", ".well-known/security.txt"),
            ("/console", "console"),
            ("/nullable.txt", "nullable.txt"),
            ("/com", "com"),
            ("/com10", "com10"),
            ("/xcom1", "xcom1"),
            ("/company.png", "company.png"),
            ("/a+b=c&d;e,f@g!h$i'(j)[k]{l}^m`n#o", "a+b=c&d;e,f@g!h$i'(j)[k]{l}^m`n#o"),
        ] {
            assert_eq!(named(rest, false).as_deref(), Ok(relative), "{rest:?}");
        }
    }

    #[test]
    fn hostile_paths_are_refused() {
        use Refused::{Control, Device, Dot, Edge, Encoding, NotUtf8, Special, TooLong};
        let corpus: &[(&str, Refused)] = &[
            // Dot segments, in every spelling.
            ("/..", Dot),
            ("/../", Dot),
            ("/.", Dot),
            ("/./a", Dot),
            ("/a/../b", Dot),
            ("/a/..", Dot),
            ("/../../../../etc/passwd", Dot),
            ("/%2e%2e/a", Dot),
            ("/%2E%2e/a", Dot),
            ("/.%2e/a", Dot),
            ("/%2e./a", Dot),
            ("/%2e/a", Dot),
            ("/a/%2e%2e/%2e%2e/b", Dot),
            ("/.../a", Dot),
            ("/....//a", Dot),
            ("/..;/a", Dot),
            ("/..\u{ff0f}..\u{ff0f}a", Dot),
            ("/..%ef%bc%8fa", Dot),
            ("/..%c2%a5a", Dot),
            // Hidden files.
            ("/.git/config", Dot),
            ("/.env", Dot),
            ("/a/.htaccess", Dot),
            ("/%2ehtpasswd", Dot),
            ("/a/.well-known/x", Dot),
            ("/.well-known/.x", Dot),
            ("/.WELL-KNOWN/x", Dot),
            // Separators hidden in a segment.
            ("/..%5c..%5cwin.ini", Special),
            ("/..\\..\\win.ini", Special),
            ("/a%5Cb", Special),
            ("/a\\b", Special),
            ("/..%2f..%2fetc/passwd", Special),
            ("/a%2Fb", Special),
            ("/%2fetc%2fpasswd", Special),
            ("/%5c%5chost%5cshare", Special),
            ("/\\\\host\\share", Special),
            ("/%5c%5c%3f%5cC:%5cwindows", Special),
            ("/%5c??%5cC:%5cx", Special),
            ("/\\\\.\\pipe\\x", Special),
            // Drives and streams.
            ("/c:/windows/win.ini", Special),
            ("/C:", Special),
            ("/c%3a/windows", Special),
            ("/c:windows", Special),
            ("/x/c:/windows/win.ini", Special),
            ("/app.py::$DATA", Special),
            ("/app.py%3a%3a$DATA", Special),
            ("/app.py:", Special),
            ("/app.py:stream", Special),
            ("/dir:$i30:$INDEX_ALLOCATION/a", Special),
            ("/a/file:///etc/passwd", Special),
            // Wildcards and the rest of NTFS's forbidden set.
            ("/*.sql", Special),
            ("/a%3f", Special),
            ("/a%3Cb", Special),
            ("/a%3Eb", Special),
            ("/a%22b", Special),
            ("/a|b", Special),
            // Spellings that Windows shortens to another name.
            ("/index.php.", Edge),
            ("/index.php%20", Edge),
            ("/index.php%2e", Edge),
            ("/index.php. .", Edge),
            ("/index.php%20.", Edge),
            ("/a./b", Edge),
            ("/a%20/b", Edge),
            ("/%20a", Edge),
            ("/%20", Edge),
            ("/..%20", Dot),
            ("/a...", Edge),
            // Devices.
            ("/NUL", Device),
            ("/nul", Device),
            ("/a/NUL/b", Device),
            ("/NUL.txt", Device),
            ("/nul.tar.gz", Device),
            ("/con", Device),
            ("/CON.txt", Device),
            ("/prn", Device),
            ("/AUX", Device),
            ("/aux.h", Device),
            ("/COM1", Device),
            ("/com9.css", Device),
            ("/com0", Device),
            ("/LPT1", Device),
            ("/lpt0.x", Device),
            ("/COM\u{b9}", Device),
            ("/COM%C2%B2.txt", Device),
            ("/lpt\u{b3}", Device),
            ("/CONIN$", Device),
            ("/conout$", Device),
            ("/CLOCK$", Device),
            ("/COM1%20.txt", Device),
            ("/NUL%20%20.x", Device),
            ("/%4eUL", Device),
            // Control characters.
            ("/a%00", Control),
            ("/a%00.html", Control),
            ("/%00", Control),
            ("/a%0d%0ab", Control),
            ("/a%09", Control),
            ("/a%1fb", Control),
            ("/a%7f", Control),
            ("/a%c2%85b", Control),
            ("/a\0b", Control),
            // Broken encodings.
            ("/%", Encoding),
            ("/%2", Encoding),
            ("/%zz", Encoding),
            ("/%%32%65", Encoding),
            ("/a%2", Encoding),
            ("/%u002e%u002e/a", Encoding),
            ("/%+2e", Encoding),
            // Overlong forms, lone surrogates, bytes that are not UTF-8.
            ("/%c0%ae%c0%ae/a", NotUtf8),
            ("/%c0%afetc", NotUtf8),
            ("/%e0%80%ae", NotUtf8),
            ("/%f0%80%80%ae", NotUtf8),
            ("/%ed%a0%80", NotUtf8),
            ("/%ff", NotUtf8),
            ("/%e4", NotUtf8),
            ("/%fe%ff", NotUtf8),
        ];
        assert!(corpus.len() >= 80, "{}", corpus.len());
        for (rest, reason) in corpus {
            assert_eq!(named(rest, false), Err(*reason), "{rest:?}");
        }
        let long = format!("/{}", "a".repeat(MAX_SEGMENT + 1));
        assert_eq!(named(&long, false), Err(TooLong));
        assert_eq!(named(&"/abcdefg".repeat(MAX_PATH / 8 + 1), false), Err(TooLong));
        assert_eq!(named(&"/%61".repeat(MAX_PATH + 1), false), Err(TooLong));
    }

    #[test]
    fn hidden_files_can_be_asked_for_where_that_is_wanted() {
        for rest in ["/.git/config", "/.env", "/a/.htaccess", "/.well-known/x"] {
            assert_eq!(named(rest, true).as_deref(), Ok(&rest[1..]), "{rest}");
        }
        for rest in ["/..", "/.", "/a/../b", "/%2e%2e/a", "/.../a", "/....//a", "/.a."] {
            assert_eq!(named(rest, true), Err(Refused::Dot), "{rest}");
        }
        assert_eq!(named("/.a%5c..", true), Err(Refused::Special));
    }

    #[test]
    fn whatever_passes_stays_below_the_root() {
        use std::path::Component;
        // Every pair of bytes that could matter, raw and encoded, around a name.
        for one in 0..=0x7f_u8 {
            for two in 0..=0x7f_u8 {
                let raw = format!("/a/%{one:02x}%{two:02x}/b%{two:02x}");
                for named in [false, true].into_iter().filter_map(|hidden| named(&raw, hidden).ok()) {
                    let parts: Vec<_> = std::path::Path::new(&named).components().collect();
                    assert_eq!(parts.len(), 3, "{raw}");
                    assert!(parts.iter().all(|part| matches!(part, Component::Normal(_))), "{raw}");
                }
            }
        }
    }
}
