//! Redirects, rewrites and aliases: what they become and what wrong ones say.

use tidegate_site::{Destination, Mount, Part, Pattern, Redirection, Target};

use crate::files::Directory;

/// A host with these keys.
fn host(keys: &str) -> String {
    format!("app: a:b\nhosts:\n  - {{ names: [shop.example], {keys}, routes: [{{ path: /, app: app }}] }}")
}

/// Loads a host with each of these keys and compares its only message.
#[track_caller]
fn says(cases: &[(&str, &str)]) {
    let directory = Directory::new();
    for (keys, expected) in cases {
        assert_eq!(directory.problems(host(keys)), [format!("hosts[0].{expected}")], "{keys}");
    }
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

#[test]
fn destinations_are_taken_apart() {
    for (redirect, parts) in [
        ("from: /a, to: /b", vec![text("/b")]),
        ("from: /a, to: \"/{b}$\"", vec![text("/{b}$")]),
        ("from: /a/*, to: \"/b/{rest}\"", vec![text("/b/"), Part::Rest]),
        (
            "from: /a/*, to: \"https://b.example:8443/{rest}?x\"",
            vec![text("https://b.example:8443/"), Part::Rest, text("?x")],
        ),
        (
            "match: '^/(\\d+)/(?P<name>x)$', to: '/$2-${name}/${1}0$$'",
            vec![text("/"), Part::Group(2), text("-"), Part::Group(2), text("/"), Part::Group(1), text("0$")],
        ),
        ("match: x, to: /y", vec![text("/y")]),
    ] {
        let site = Directory::new().load(host(&format!("redirects: [{{ {redirect} }}]")));
        let site = site.unwrap_or_else(|error| panic!("{error}"));
        let answer = &site.hosts[0].redirects[0].answer;
        assert_eq!(*answer, Redirection { to: Destination(parts), status: 308, keep_query: true }, "{redirect}");
    }
}

#[test]
fn every_setting_of_redirects_is_taken() {
    let directory = Directory::new();
    let site = directory
        .load(
            "app: a:b\nhosts:\n  - names: [Shop.example, '*.shop.example']\n    aliases: [WWW.shop.test, '*.old.example']\n    \
             redirects: [{ from: /a/*, to: /b, status: 301, query: drop }]\n    rewrites: [{ match: ^/c, to: /d }]\n    \
             routes: [{ path: /, app: app, mount: strip }, { path: /e, redirect: /f }, { path: /g, redirect: { to: /h, status: 302 } }]",
        )
        .unwrap_or_else(|error| panic!("{error}"));
    let host = &site.hosts[0];
    assert_eq!(host.aliases, ["www.shop.test", "*.old.example"]);
    assert_eq!(host.redirects[0].pattern, Pattern::Below("/a".to_owned()));
    assert_eq!((host.redirects[0].answer.status, host.redirects[0].answer.keep_query), (301, false));
    assert_eq!(host.rewrites[0].to, Destination(vec![text("/d")]));
    let redirection = |path, status| Redirection { to: Destination(vec![text(path)]), status, keep_query: true };
    assert_eq!(host.routes[0].target, Target::Redirect(redirection("/f", 308)));
    assert_eq!(host.routes[1].target, Target::Redirect(redirection("/h", 302)));
    assert!(matches!(&host.routes[2].target, Target::App(route) if route.mount == Mount::Strip));
}

#[test]
fn redirects_say_what_was_expected() {
    const TO: &str = "expected a path such as /new or an address such as https://shop.example/new";
    const FROM: &str = "expected a path such as /old, or /old/* for it and all below it";
    const MATCH: &str = "expected a regular expression such as '^/item/(\\d+)$'";
    let to = |value: &str, wrong: &str| {
        (format!("redirects: [{{ from: /x/*, to: '{value}' }}]"), format!("redirects[0].to: {value:?}: {wrong}: {TO}"))
    };
    let from = |value: &str, wrong: &str| {
        (
            format!("redirects: [{{ from: '{value}', to: /y }}]"),
            format!("redirects[0].from: {value:?}: {wrong}: {FROM}"),
        )
    };
    let expression = |value: &str, to: &str, message: &str| {
        (format!("redirects: [{{ match: '{value}', to: '{to}' }}]"), format!("redirects[0].{message}"))
    };
    for (keys, message) in [
        to("new", "does not start with /, https:// or http://"),
        to("//evil.example/", "starts with //, which leads to another site"),
        to("javascript:alert(1)", "does not start with /, https:// or http://"),
        to("https://new.example", "ends with its host; a / after it says which page"),
        to("https://{rest}/", "\"{rest}\" is not a host (no place of a path can be in it)"),
        to("https://new.example{rest}", "\"new.example{rest}\" is not a host (no place of a path can be in it)"),
        to("https://user@new.example/", "\"user@new.example\" is not a host (no place of a path can be in it)"),
        to("/a b", "holds a space, a non-ASCII character, \\ or #"),
        to("/\\evil.example", "holds a space, a non-ASCII character, \\ or #"),
        from("old", "does not start with /"),
        from("/a*", "holds a * that is not its last segment"),
        from("/*/b", "holds a * that is not its last segment"),
        from(
            "/a?b=c",
            "holds a space, a non-ASCII character, ?, # or \\ (paths are compared as clients send them, with %C3%A9 for \u{e9})",
        ),
        expression("(", "/y", &format!("match: \"(\": unclosed group: {MATCH}")),
        expression(
            "(?=a)",
            "/y",
            &format!("match: \"(?=a)\": look-around, including look-ahead and look-behind, is not supported: {MATCH}"),
        ),
        expression(
            "((a{100}){100}){100}",
            "/y",
            &format!("match: \"((a{{100}}){{100}}){{100}}\": needs too much memory: {MATCH}"),
        ),
        expression(
            "^/(a)$",
            "/$2",
            &format!("to: \"/$2\": has $2, and the expression no such group ($$ is a dollar): {TO}"),
        ),
        expression("^/(a)$", "/${b", &format!("to: \"/${{b\": has a ${{ without its }}: {TO}")),
        expression("^(a)$", "$1", &format!("to: \"$1\": does not start with /, https:// or http://: {TO}")),
    ] {
        says(&[(&keys, &message)]);
    }
    says(&[
        ("redirects: [{ to: /y }]", "redirects[0]: has neither from nor match: expected one of them"),
        ("redirects: [{ from: /x, match: y, to: /y }]", "redirects[0]: has both from and match: expected one of them"),
        (
            "redirects: [{ from: /x, to: \"/{rest}\" }]",
            &format!("redirects[0].to: \"/{{rest}}\": {{rest}} needs a from that ends with /*: {TO}"),
        ),
        (
            "redirects: [{ from: /x, to: /y, status: 200 }]",
            "redirects[0].status: 200: expected 301, 302, 303, 307 or 308",
        ),
        ("redirects: [{ from: /x, to: /y, query: on }]", "redirects[0].query: \"on\": expected keep or drop"),
        (
            "redirects: [{ from: /x, to: /x }]",
            "redirects[0]: leads back to itself: expected a destination that it does not redirect again",
        ),
        (
            "redirects: [{ from: /x/*, to: \"/x/new/{rest}\" }]",
            "redirects[0]: leads back to itself: expected a destination that it does not redirect again",
        ),
        (
            "rewrites: [{ from: /x, to: https://a.example/ }]",
            "rewrites[0].to: \"https://a.example/\": does not start with /: expected a path such as /new",
        ),
        (
            "aliases: [shop.example]",
            "aliases[0]: \"shop.example\": taken by hosts[0].names[0]: expected each name once",
        ),
    ]);
    let directory = Directory::new();
    assert_eq!(
        directory
            .problems("app: a:b\nhosts: [{ aliases: [a.example], names: ['*'], routes: [{ path: /, app: app }] }]"),
        ["hosts[0].aliases: redirects to \"*\": expected an exact name as the first of names"]
    );
}
