//! Paths as settings of Windows name them: without case, with variables, and in exclusions with stars. Text alone, so that it is
//! tested on every system; used by what `tidegate doctor` says of firewall and antivirus.

use std::path::Path;

/// As it can be compared: `%ProgramFiles%` and the like stand for what they do in this process.
pub(super) fn plain(path: &str) -> String {
    let mut expanded = path.to_owned();
    if let Some((name, rest)) = path.strip_prefix('%').and_then(|text| text.split_once('%'))
        && let Ok(value) = std::env::var(name)
    {
        expanded = format!("{value}{rest}");
    }
    expanded.trim_start_matches(r"\\?\").trim_end_matches('\\').to_lowercase()
}

/// Whether a setting names this file or directory.
pub(super) fn is_same(setting: &str, path: &Path) -> bool {
    plain(setting) == plain(&path.to_string_lossy())
}

/// Whether a setting names this file or directory, or one above it.
pub(super) fn covers(setting: &str, path: &Path) -> bool {
    let (setting, path) = (plain(setting), plain(&path.to_string_lossy()));
    let (mut wanted, mut parts) = (setting.split('\\'), path.split('\\'));
    wanted.all(|wanted| parts.next().is_some_and(|part| fits(wanted.as_bytes(), part.as_bytes())))
}

/// Whether a part of a path fits: `*` is any number of letters, `?` one.
fn fits(wanted: &[u8], part: &[u8]) -> bool {
    match (wanted.split_first(), part.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if fits(rest, part) => true,
        (Some((b'*', _)), Some((_, part))) => fits(wanted, part),
        (Some((letter, rest)), Some((own, part))) if *letter == b'?' || letter == own => fits(rest, part),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusion_covers_what_is_below_it() {
        let path = Path::new(r"C:\ProgramData\Shop\.tidegate\buffers");
        for (setting, expected) in [
            (r"C:\ProgramData\shop\.tidegate\buffers", true),
            (r"c:\programdata\SHOP\", true),
            (r"\\?\C:\ProgramData", true),
            (r"C:\", true),
            (r"C:\ProgramData\Sho", false),
            (r"C:\ProgramData\*\.tidegate", true),
            (r"C:\ProgramData\S?op", true),
            (r"C:\*\buffers", false),
            (r"C:\ProgramData\Shop\.tidegate\buffers\deeper", false),
            (r"D:\ProgramData", false),
            ("*", true),
            ("", false),
        ] {
            assert_eq!(covers(setting, path), expected, "{setting}");
        }
        assert!(is_same(r"c:\A\B.exe", Path::new(r"C:\a\b.EXE")) && !is_same(r"C:\a", Path::new(r"C:\a\b.exe")));
    }
}
