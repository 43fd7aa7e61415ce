//! Which names a rule of the site file is for. Pure; called by `route.rs` when a file is looked at, never
//! for a file that is known.

use tidegate_site::Names;

/// The fewest digits of a hash in a file's name: what build tools and Django write is as long or longer.
const HASH: usize = 8;

/// Whether the rule is for the file of this name below the root.
pub(super) fn holds(rule: &Names, name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    match rule {
        Names::All => true,
        Names::Fingerprinted => is_fingerprinted(last),
        Names::Pattern(pattern) => match pattern.strip_prefix("./") {
            Some(rooted) => matches(rooted.as_bytes(), name.as_bytes()),
            None if pattern.contains('/') => matches(pattern.as_bytes(), name.as_bytes()),
            None => matches(pattern.as_bytes(), last.as_bytes()),
        },
    }
}

/// Whether the name holds a hash of the content: `app.3f2a9c1b.js`, `main-3f2a9c1b77d0.css`. Hexadecimal with a digit
/// and a letter, so that neither a date nor a word is taken for one.
fn is_fingerprinted(last: &str) -> bool {
    let Some((stem, _)) = last.rsplit_once('.') else { return false };
    stem.split(['.', '-', '_']).skip(1).any(|part| {
        let hexadecimal = part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        part.len() >= HASH
            && hexadecimal
            && part.bytes().any(|byte| byte.is_ascii_digit())
            && part.bytes().any(|byte| byte.is_ascii_lowercase())
    })
}

/// `*` is anything without a slash, `**` anything, `?` one letter that is no slash. Goes back to the last star only,
/// of each kind, so the time is bounded by the product of the lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go on if what follows a star does not match: behind the star, at the next letter.
    let mut star: Option<(usize, usize)> = None;
    let mut stars: Option<(usize, usize)> = None;
    loop {
        if pattern[p..].starts_with(b"**") {
            p += 2;
            // `a/**/b` is for `a/b` too.
            if pattern[p..].starts_with(b"/") && (n == 0 || name[n - 1] == b'/') {
                p += 1;
            }
            (stars, star) = (Some((p, n)), None);
            continue;
        }
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, n));
            continue;
        }
        if n == name.len() && p == pattern.len() {
            return true;
        }
        if n < name.len()
            && let Some(&wanted) = pattern.get(p)
            && (wanted == name[n] || wanted == b'?' && name[n] != b'/')
        {
            // A question mark stands for a letter, which may have more bytes.
            n += 1;
            while wanted == b'?' && n < name.len() && name[n] & 0xc0 == 0x80 {
                n += 1;
            }
            p += 1;
            continue;
        }
        match (star, stars) {
            (Some((behind, at)), _) if at < name.len() && name[at] != b'/' => {
                (p, n) = (behind, at + 1);
                star = Some((p, n));
            }
            (_, Some((behind, at))) if at < name.len() => {
                (p, n) = (behind, at + 1);
                (stars, star) = (Some((p, n)), None);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_for_names_or_for_paths() {
        for (pattern, name, expected) in [
            ("*.css", "a.css", true),
            ("*.css", "b/c/a.css", true),
            ("*.css", "a.css.map", false),
            ("a?.css", "ab.css", true),
            ("a?.css", "a\u{fc}.css", true),
            ("a?.css", "a.css", false),
            ("robots.txt", "robots.txt", true),
            ("robots.txt", "b/robots.txt", true),
            ("./robots.txt", "robots.txt", true),
            ("./robots.txt", "b/robots.txt", false),
            ("./*.txt", "robots.txt", true),
            ("./*.txt", "b/robots.txt", false),
            ("assets/*", "assets/a.js", true),
            ("assets/*", "assets/b/a.js", false),
            ("assets/*", "x/assets/a.js", false),
            ("assets/**", "assets/b/a.js", true),
            ("assets/**/*.js", "assets/a.js", true),
            ("assets/**/*.js", "assets/b/c/a.js", true),
            ("assets/**/*.js", "assets/b/c/a.css", false),
            ("**/*.js", "a.js", true),
            ("**/*.js", "b/c/a.js", true),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxbxx", false),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(holds(&Names::Pattern(pattern.to_owned()), name), expected, "{pattern} {name}");
        }
        assert!(holds(&Names::All, "a"));
        let (pattern, name) = ("*a".repeat(200), "a".repeat(199) + &"b".repeat(4000));
        assert!(!holds(&Names::Pattern(pattern), &name));
    }

    #[test]
    fn hashes_are_told_from_words_and_dates() {
        for (name, expected) in [
            ("app.3f2a9c1b.js", true),
            ("css/main-3f2a9c1b77d0.css", true),
            ("base.55e7cbb9ba48.css", true),
            ("vendor_3f2a9c1b77d03f2a9c1b.min.js", true),
            ("app.js", false),
            ("3f2a9c1b.js", false),
            ("app.deadbeef.js", false),
            ("report-20240131.pdf", false),
            ("app.3f2a.js", false),
            ("app.3F2A9C1B.js", false),
            ("app-index9x.js", false),
            ("3f2a9c1b/app.js", false),
            ("README-3f2a9c1b", false),
        ] {
            assert_eq!(holds(&Names::Fingerprinted, name), expected, "{name}");
        }
    }
}
