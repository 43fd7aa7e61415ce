//! What is wrong with routes.

use super::says;
use crate::files::Directory;

#[test]
fn routes_say_what_was_expected() {
    const PATH: &str = "a path such as / or /static";
    for (route, expected) in [
        ("{ app: app }", format!(".path: missing: expected {PATH}")),
        ("{ path: static, app: app }", format!(".path: \"static\": does not start with /: expected {PATH}")),
        (
            "{ path: /a/../b, app: app }",
            format!(".path: \"/a/../b\": holds an empty segment, . or ..: expected {PATH}"),
        ),
        ("{ path: /a//b, app: app }", format!(".path: \"/a//b\": holds an empty segment, . or ..: expected {PATH}")),
        (
            "{ path: /a b, app: app }",
            format!(".path: \"/a b\": holds a space or a non-ASCII character: expected {PATH}"),
        ),
        ("{ path: /ä, app: app }", format!(".path: \"/ä\": holds a space or a non-ASCII character: expected {PATH}")),
        ("{ path: /a%20b, app: app }", format!(".path: \"/a%20b\": holds %, ?, # or \\: expected {PATH}")),
        ("{ path: / }", ": has neither app nor files nor redirect: expected one of them, or files and app".to_owned()),
        (
            "{ path: /, app: app, redirect: { to: /b } }",
            ": has redirect beside files or app: expected one of them".to_owned(),
        ),
        (
            "{ path: /, app: app, files: static, fallback: index.html }",
            ".fallback: expected only without app: the app answers what is no file".to_owned(),
        ),
        (
            "{ path: /, files: static, fallback: ../index.html }",
            ".fallback: \"../index.html\": expected a file below the directory such as index.html".to_owned(),
        ),
        (
            "{ path: /, files: static, index: [index.html, b/c] }",
            ".index[1]: \"b/c\": expected a file name such as index.html".to_owned(),
        ),
        (
            "{ path: /, files: static, suffixes: html }",
            ".suffixes: \"html\": expected a suffix with its dot such as .html".to_owned(),
        ),
        ("{ path: /, files: static, listing: maybe }", ".listing: \"maybe\": expected on or off".to_owned()),
        (
            "{ path: /, files: static, cache_control: [{ value: no-cache }] }",
            ".cache_control[0].match: missing: expected a pattern such as \"*.css\" or \"assets/**\", or fingerprinted"
                .to_owned(),
        ),
        (
            "{ path: /, files: static, types: { .foo: foo } }",
            ".types.\".foo\": \"foo\": expected a media type such as application/x-foo".to_owned(),
        ),
        (
            "{ path: /, files: static, types: { a.b: text/x } }",
            ".types.\"a.b\": expected an extension such as .foo".to_owned(),
        ),
        (
            "{ path: /, files: static, charset: utf 8 }",
            ".charset: \"utf 8\": expected a charset such as utf-8, or off".to_owned(),
        ),
        ("{ path: /, app: ap }", ".app: \"ap\": there is no such app: did you mean app?".to_owned()),
        ("{ path: /, app: shop }", ".app: \"shop\": there is no such app: expected one of app".to_owned()),
        ("{ path: /, app: app, index: a.html }", ".index: expected only in a route with files".to_owned()),
        ("{ path: /, files: static, mount: on }", ".mount: expected only in a route with app".to_owned()),
        (
            "{ path: /, files: static, index: a/b }",
            ".index: \"a/b\": expected a file name such as index.html".to_owned(),
        ),
        (
            "{ path: /, files: static, cache_control: é }",
            ".cache_control: \"é\": expected a Cache-Control value such as max-age=3600".to_owned(),
        ),
        ("{ path: /, app: app, mount: maybe }", ".mount: \"maybe\": expected on, off or strip".to_owned()),
        (
            "{ path: /, app: app, max_body: 10 }",
            ".max_body: 10: has no unit: expected a size such as 64KiB, 100MiB or 1GB; bytes are 10B".to_owned(),
        ),
        (
            "{ path: /, app: app, request_timeout: 0 }",
            ".request_timeout: 0: expected a duration from 1ms to 24h".to_owned(),
        ),
    ] {
        // The second route keeps the app reached, so that the first one's mistake stands alone.
        let yaml = format!("app: a:b\nhosts: [{{ routes: [{route}, {{ path: /other, app: app }}] }}]");
        assert_eq!(Directory::new().problems(yaml), [format!("hosts[0].routes[0]{expected}")], "{route}");
    }
    says(&[
        (
            "app: a:b\nhosts: [{ routes: [{ path: /a, app: app }, { path: /a/, app: app }] }]",
            &["hosts[0].routes[1].path: \"/a/\": taken by hosts[0].routes[0].path: expected each path once in a host"],
        ),
        (
            "app: a:b\nhosts: [{ routes: [] }]",
            &[
                "hosts[0].routes: a list: is empty: expected at least one route",
                "app: is not reached by any route: expected a route with app: app",
            ],
        ),
        (
            "apps: { shop: { wsgi: a:b }, admin: { wsgi: a:b } }\nhosts: [{ routes: [{ path: /, app: shop }] }]",
            &["apps.admin: is not reached by any route: expected a route with app: admin"],
        ),
        (
            "hosts: [{ routes: [{ path: /, app: shop }] }]",
            &["hosts[0].routes[0].app: \"shop\": there is no such app: the file has none"],
        ),
        (
            "apps: { shop: { wsgi: a:b } }\nhosts: [{ routes: [{ path: /, app: shpo }] }]",
            &["hosts[0].routes[0].app: \"shpo\": there is no such app: did you mean shop?"],
        ),
        (
            "apps: [shop]\nhosts: [{ routes: [{ path: /, app: shop }] }]",
            &["apps: a list: expected a table such as { shop: { wsgi: shop.wsgi:application } }"],
        ),
    ]);
}
