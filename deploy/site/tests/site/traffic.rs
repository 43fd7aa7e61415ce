//! Keys that say who goes first, who is limited and who is turned away.

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
