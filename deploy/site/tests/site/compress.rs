//! What is compressed, and how, by which word of host or route.

use tidegate_site::*;

use crate::files::Directory;

fn hosts(host: &str, route: &str, files: &str) -> String {
    format!(
        "app: a:b\nhosts: [{{ {host} routes: [{{ path: /, app: app, {route} }}, {{ path: /s, files: static, {files} }}] }}]"
    )
}

/// How the app's responses and the files are compressed.
fn both(host: &str, route: &str, files: &str) -> (Option<Compress>, Option<Compress>) {
    let directory = Directory::new();
    let site = directory.load(hosts(host, route, files)).unwrap_or_else(|error| panic!("{error}"));
    let (mut of_app, mut of_files) = (None, None);
    for route in &site.hosts[0].routes {
        match &route.target {
            Target::Files(files) => of_files = files.compress.as_deref().cloned(),
            _ => of_app = route.rules.app_compression().cloned(),
        }
    }
    (of_app, of_files)
}

#[test]
fn files_are_compressed_and_apps_are_not_until_somebody_says_so() {
    let (app, files) = both("", "", "");
    assert_eq!(app, None);
    let usual = files.unwrap();
    assert_eq!(usual.codings, [ContentCoding::Zstd, ContentCoding::Brotli, ContentCoding::Gzip]);
    assert_eq!((usual.min_size, usual.level), (1024, CompressionLevel::Balanced));
    assert!(usual.takes("text/css") && usual.takes("image/svg+xml") && !usual.takes("image/png"));
    assert_eq!(both("compress: on,", "", ""), (Some(usual.clone()), Some(usual.clone())));
    assert_eq!(both("compress: off,", "compress: on", ""), (Some(usual), None));
}

#[test]
fn a_table_replaces_what_it_names() {
    let table =
        "compress: { codings: [gzip], min_size: 5KiB, types: [Application/JSON, \"*+xml\", text/*], level: small }";
    let compress = both("", table, "").0.unwrap();
    assert_eq!((compress.codings, compress.min_size), (vec![ContentCoding::Gzip], 5 << 10));
    assert_eq!(compress.level, CompressionLevel::Small);
    let types = [
        MediaPattern::Exact("application/json".to_owned()),
        MediaPattern::Ending("+xml".to_owned()),
        MediaPattern::Starting("text/".to_owned()),
    ];
    assert_eq!(compress.types, types);
}

#[test]
fn wrong_values_say_what_is_expected() {
    let directory = Directory::new();
    let key = "hosts[0].routes[0].compress";
    for (text, expected) in [
        (
            "compress: gzip",
            ": \"gzip\": expected on, off, or a table such as { codings: [zstd, br, gzip], min_size: 1KiB }",
        ),
        ("compress: { codings: [deflate] }", ".codings[0]: \"deflate\": expected zstd, br or gzip"),
        (
            "compress: { types: [html] }",
            ".types[0]: \"html\": expected a media type such as application/json, text/* or \"*+json\"",
        ),
        ("compress: { level: 9 }", ".level: 9: expected fast, balanced or small"),
    ] {
        assert_eq!(directory.problems(hosts("", text, "")), [format!("{key}{expected}")], "{text}");
    }
}

#[test]
fn an_internal_route_has_no_app() {
    let directory = Directory::new();
    let site = directory.load(hosts("", "", "internal: on")).unwrap();
    let is_internal = |route: &Route| matches!(&route.target, Target::Files(files) if files.internal);
    assert_eq!(site.hosts[0].routes.iter().filter(|route| is_internal(route)).count(), 1);
    assert_eq!(
        directory.problems(hosts("", "", "internal: on, app: app")),
        ["hosts[0].routes[1].internal: expected only without app: an app leads to it and cannot be behind it"]
    );
}
