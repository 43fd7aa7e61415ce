//! Where a path leads: patterns are tried on it, and destinations filled in from it. Pure functions for
//! redirects and rewrites.

use std::borrow::Cow;

use tidegate_site::{Destination, Part, Pattern, VirtualHost};

use crate::request::split_target;

/// The target under which a route is looked for, and which apps are asked for: the client's, or what a
/// rewrite of the host makes of it.
pub(crate) fn rewritten<'t>(host: &VirtualHost, target: &'t str) -> Cow<'t, str> {
    if host.rewrites.is_empty() {
        return Cow::Borrowed(target);
    }
    let (path, query) = split_target(target);
    let found = host.rewrites.iter().find_map(|rewrite| expand(&rewrite.pattern, &rewrite.to, path));
    found.map_or(Cow::Borrowed(target), |to| Cow::Owned(with_query(to, query)))
}

/// What is left of a target behind a route's path.
pub(super) fn stripped(rest: &str, target: &str) -> String {
    let (_, query) = split_target(target);
    with_query(if rest.is_empty() { "/".to_owned() } else { rest.to_owned() }, query)
}

/// The destination for a path that the pattern fits.
pub(super) fn expand(pattern: &Pattern, to: &Destination, path: &str) -> Option<String> {
    match pattern {
        Pattern::Path(known) => (path == known).then(|| fill(to, "")),
        Pattern::Below(known) => {
            let rest = path.strip_prefix(known.as_str())?;
            match rest.strip_prefix('/') {
                Some(below) => Some(fill(to, below)),
                None => rest.is_empty().then(|| fill(to, "")),
            }
        }
        Pattern::Expression(expression) => {
            let groups = expression.0.captures(path)?;
            let group = |part: &Part| match part {
                Part::Group(number) => groups.get(*number).map_or("", |group| group.as_str()).to_owned(),
                Part::Text(_) | Part::Rest => String::new(),
            };
            Some(join(to, group))
        }
    }
}

/// The destination with `rest` in its places.
pub(super) fn fill(to: &Destination, rest: &str) -> String {
    join(to, |_| rest.to_owned())
}

fn join(to: &Destination, place: impl Fn(&Part) -> String) -> String {
    let mut out = String::new();
    for part in &to.0 {
        match part {
            Part::Text(text) => out.push_str(text),
            // Browsers take a backslash for a slash.
            Part::Rest | Part::Group(_) => out.push_str(&place(part).replace('\\', "%5C")),
        }
    }
    // A path that begins with two slashes names a host.
    if out.starts_with("//") {
        let path = out.trim_start_matches('/');
        out = format!("/{path}");
    }
    out
}

/// A location with a request's query behind its own.
pub(super) fn with_query(mut to: String, query: &str) -> String {
    if !query.is_empty() {
        to.push(if to.contains('?') { '&' } else { '?' });
        to.push_str(query);
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    fn below(path: &str) -> Pattern {
        Pattern::Below(path.to_owned())
    }

    #[test]
    fn a_path_takes_its_rest_along() {
        let to = Destination(vec![text("/new/"), Part::Rest]);
        for (path, expected) in [
            ("/old", Some("/new/")),
            ("/old/", Some("/new/")),
            ("/old/a/b", Some("/new/a/b")),
            ("/old/%2e%2e/a", Some("/new/%2e%2e/a")),
            ("/older", None),
            ("/ol", None),
            ("/x/old/a", None),
        ] {
            assert_eq!(expand(&below("/old"), &to, path).as_deref(), expected, "{path}");
        }
        let exact = Pattern::Path("/old".to_owned());
        assert_eq!(expand(&exact, &Destination(vec![text("/new")]), "/old").as_deref(), Some("/new"));
        assert_eq!(expand(&exact, &Destination(vec![text("/new")]), "/old/"), None);
    }

    #[test]
    fn no_path_leads_to_another_host() {
        let root = Destination(vec![text("/"), Part::Rest]);
        for (path, expected) in [
            ("/old//evil.example", "/evil.example"),
            ("/old///evil.example", "/evil.example"),
            ("/old/\\evil.example", "/%5Cevil.example"),
            ("/old/\\\\evil.example", "/%5C%5Cevil.example"),
            ("/old//\\evil.example", "/%5Cevil.example"),
            ("/old/https://evil.example", "/https://evil.example"),
            ("/old/@evil.example", "/@evil.example"),
        ] {
            assert_eq!(expand(&below("/old"), &root, path).as_deref(), Some(expected), "{path}");
        }
        let other = Destination(vec![text("https://new.example/"), Part::Rest]);
        for (path, expected) in [
            ("/old/@evil.example", "https://new.example/@evil.example"),
            ("/old//evil.example", "https://new.example//evil.example"),
            ("/old/\\evil.example", "https://new.example/%5Cevil.example"),
        ] {
            assert_eq!(expand(&below("/old"), &other, path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn a_stripped_target_is_still_a_target() {
        for (rest, target, expected) in
            [("", "/api", "/"), ("", "/api?a=1", "/?a=1"), ("/x", "/api/x?a=1", "/x?a=1"), ("/", "/api/", "/")]
        {
            assert_eq!(stripped(rest, target), expected);
        }
    }

    #[test]
    fn queries_are_joined() {
        for (to, query, expected) in [("/a", "", "/a"), ("/a", "b=1", "/a?b=1"), ("/a?c=2", "b=1", "/a?c=2&b=1")] {
            assert_eq!(with_query(to.to_owned(), query), expected);
        }
    }
}
