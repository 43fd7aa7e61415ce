//! Keys that say who goes first, who is limited, who is turned away, and with which page.

use tidegate_site::*;

use crate::files::Directory;

/// A site of one app with these keys in its only route.
fn in_route(keys: &str) -> String {
    format!("apps: {{ shop: {{ wsgi: a:b }} }}\nhosts: [{{ routes: [{{ path: /, app: shop, {keys} }}] }}]")
}

fn route(site: &Site) -> &AppRoute {
    match &site.hosts[0].routes[0].target {
        Target::App(route) => route,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_host_may_be_closed_but_for_some() {
    let directory = Directory::new();
    let host = |keys: &str| format!("app: a:b\nhosts: [{{ {keys}, routes: [{{ path: /, app: app }}] }}]");
    let site = directory.load(host("maintenance: on, maintenance_allow: [10.1.2.3/8, \"::1\"]")).unwrap();
    let allow: Vec<String> = site.hosts[0].maintenance.allow.iter().map(ToString::to_string).collect();
    assert_eq!((site.hosts[0].maintenance.on, allow), (true, vec!["10.0.0.0/8".to_owned(), "::1/128".to_owned()]));
    assert_eq!(
        directory.problems(host("maintenance: closed, maintenance_allow: [here]")),
        [
            "hosts[0].maintenance: \"closed\": expected on or off",
            "hosts[0].maintenance_allow[0]: \"here\": expected an address or a network such as 10.0.0.0/8 or \"::1\"",
        ]
    );
}

#[test]
fn a_route_may_have_a_priority() {
    let directory = Directory::new();
    for (text, priority) in [("high", Priority::High), ("normal", Priority::Normal), ("low", Priority::Low)] {
        let site = directory.load(in_route(&format!("priority: {text}"))).unwrap();
        assert_eq!(route(&site).priority, priority);
    }
    assert_eq!(
        directory.problems(in_route("priority: 1")),
        ["hosts[0].routes[0].priority: 1: expected high, normal or low"]
    );
    assert_eq!(
        directory.problems("hosts: [{ routes: [{ path: /, files: static, priority: high }] }]"),
        ["hosts[0].routes[0].priority: expected only in a route with app"]
    );
}

#[test]
fn limits_of_a_host_are_its_routes_until_they_have_their_own() {
    let directory = Directory::new();
    let site = directory
        .load(
            "app: a:b\nhosts:\n- names: [shop.example]\n  rate_limits: [{ rate: 10/s }]\n  concurrency: { limit: 8 }\n  \
             routes:\n  - { path: /, app: app }\n  - { path: /off, app: app, rate_limits: off, concurrency: off }\n  \
             - path: /login\n    app: app\n    rate_limits:\n    - { key: header X-Api-Key, rate: 100/m, burst: 5, \
             keys: 1000, dry_run: on }\n    - { key: route, rate: 1000/h }\n    \
             concurrency: { limit: 2, per: address, wait: 5s }\n",
        )
        .unwrap();
    let limit = |key, count, seconds, burst, keys, dry_run| {
        let period = std::time::Duration::from_secs(seconds);
        RateLimit { key, count, period, burst, keys, dry_run }
    };
    let rules = |prefix: &str| &site.hosts[0].routes.iter().find(|route| route.prefix == prefix).unwrap().rules;
    let host = rules("").rate_limits.as_ref().unwrap();
    assert_eq!(&*host.place, "shop.example");
    assert_eq!(host.limits, [limit(LimitKey::Address, 10, 1, 10, 65_536, false)]);
    let host = rules("").concurrency.as_ref().unwrap();
    assert_eq!((&*host.place, host.limit, &host.per, host.wait.as_secs()), ("shop.example", 8, &LimitKey::Route, 0));
    assert_eq!((&rules("/off").rate_limits, &rules("/off").concurrency), (&None, &None));
    let login = rules("/login").rate_limits.as_ref().unwrap();
    assert_eq!(&*login.place, "shop.example/login");
    let field = LimitKey::Header(http::HeaderName::from_static("x-api-key"));
    assert_eq!(
        login.limits,
        [limit(field, 100, 60, 5, 1000, true), limit(LimitKey::Route, 1000, 3600, 1000, 65_536, false)]
    );
    let login = rules("/login").concurrency.as_ref().unwrap();
    assert_eq!((login.limit, &login.per, login.wait.as_secs()), (2, &LimitKey::Address, 5));
}

#[test]
fn limits_say_what_was_expected() {
    let directory = Directory::new();
    let rate = "requests in a second, minute or hour such as 10/s, 100/m or 1000/h";
    for (keys, expected) in [
        ("rate_limits: 10/s", "rate_limits: \"10/s\": expected a list of { key: address, rate: 10/s }".to_owned()),
        ("rate_limits: [{ key: address }]", format!("rate_limits[0].rate: missing: expected {rate}")),
        ("rate_limits: [{ rate: 10 }]", format!("rate_limits[0].rate: 10: expected {rate}")),
        ("rate_limits: [{ rate: 10/d }]", format!("rate_limits[0].rate: \"10/d\": expected {rate}")),
        (
            "rate_limits: [{ rate: 1/s, key: cookie }]",
            "rate_limits[0].key: \"cookie\": expected address, route or a field such as header X-Api-Key".to_owned(),
        ),
        (
            "rate_limits: [{ rate: 1/s, burst: 0 }]",
            "rate_limits[0].burst: 0: expected a whole number from 1 to 1000000".to_owned(),
        ),
        (
            "rate_limits: [{ rate: 1/s }, { rate: 1/s }]",
            "rate_limits[1]: the same as one above it: expected each limit once".to_owned(),
        ),
        ("concurrency: {}", "concurrency.limit: missing: expected how many requests at once".to_owned()),
        ("concurrency: { limit: 1, per: header }", "concurrency.per: \"header\": expected route or address".to_owned()),
    ] {
        assert_eq!(directory.problems(in_route(keys)), [format!("hosts[0].routes[0].{expected}")], "{keys}");
    }
}

#[test]
fn error_pages_are_read_with_the_file() {
    let directory = Directory::new();
    directory.write("404.html", b"<p>{status}</p>");
    directory.write("5xx.json", b"{}");
    directory.write("large.html", &[b'x'; (256 << 10) + 1]);
    directory.write("latin.txt", b"\xe9");
    directory.write("page.php", b"");
    let site =
        directory.load(in_route("error_pages: { 404: 404.html, 5xx: 5xx.json }, error_pages_for_app: on")).unwrap();
    let rules = &site.hosts[0].routes[0].rules;
    assert!(rules.error_pages_for_app);
    let pages = rules.error_pages.as_ref().unwrap();
    let text = |text: &str| PagePiece::Text(text.to_owned());
    assert_eq!(pages.of(404).unwrap().pieces, [text("<p>"), PagePiece::Status, text("</p>")]);
    assert_eq!((pages.of(502).unwrap().form, pages.of(502)), (PageForm::Json, pages.of(599)));
    assert_eq!((pages.of(400), pages.of(200)), (None, None));
    let status = "expected a status from 400 to 599, 4xx or 5xx";
    for (pages, expected) in [
        ("404.html", ": \"404.html\": expected a table of { 404: FILE, 5xx: FILE }".to_owned()),
        ("{ 302: 404.html }", format!(".302: {status}")),
        ("{ 404: 404.html, '404': 404.html }", ".404: given twice: expected each status once".to_owned()),
        ("{ 404: page.php }", ".404: \"page.php\": expected a .html, .txt or .json file".to_owned()),
        (
            "{ 404: large.html }",
            ".404: \"large.html\": HERE/large.html is too large: expected 256KiB at most".to_owned(),
        ),
    ] {
        let problems = directory.problems(in_route(&format!("error_pages: {pages}")));
        assert_eq!(problems, [format!("hosts[0].routes[0].error_pages{expected}")], "{pages}");
    }
    for name in ["none.html", "latin.txt"] {
        let problems = directory.problems(in_route(&format!("error_pages: {{ 404: {name} }}")));
        let expected = format!("hosts[0].routes[0].error_pages.404: \"{name}\": HERE/{name}");
        assert!(problems[0].starts_with(&expected), "{problems:?}");
    }
}
