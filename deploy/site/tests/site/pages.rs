//! The site files in the pages on migration: each is accepted as it stands, so that no page promises a key that is not there.

use crate::files::Directory;

/// What a page leaves out.
const APPS: &str = "apps: { shop: { wsgi: shop.wsgi:application } }\n";

/// The YAML blocks of a page, with the lines on which they begin.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(page.lines()) {
        match (&mut open, line) {
            (None, "```yaml") => open = Some((number, String::new())),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some((_, text)), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

#[test]
fn every_block_of_the_pages_on_migration_is_accepted() {
    let directory = Directory::new();
    for (name, text) in [
        ("certs/shop.pfx", ""),
        ("certs/shop.password", ""),
        ("static/404.html", "gone"),
        ("static/sorry.html", "sorry"),
        ("static/index.html", "home"),
        ("users", "joe:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"),
    ] {
        directory.write(name, text.as_bytes());
    }
    let mut wrong = Vec::new();
    for (page, text) in [
        ("migrating-from-nginx.md", include_str!("../../../../docs/migrating-from-nginx.md")),
        ("migrating-from-iis.md", include_str!("../../../../docs/migrating-from-iis.md")),
    ] {
        let blocks = blocks(text);
        assert!(blocks.len() >= 5, "{page} has lost its examples");
        for (line, block) in blocks {
            let has_apps = block.lines().any(|line| line.starts_with("apps:") || line.starts_with("app:"));
            let whole = if has_apps { block } else { format!("{APPS}{block}") };
            if let Err(error) = directory.load(&whole) {
                wrong.push(format!("{page}:{line}: {error}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
