//! What is wrong below `hosts`, but for their routes.

use crate::files::Directory;

#[test]
fn hosts_say_what_was_expected() {
    const NAME: &str = "a host name such as shop.example, \"*.shop.example\" or \"*\"";
    for (hosts, expected) in [
        ("{}", "hosts: a table: expected a list of { names: [shop.example], routes: [...] }".to_owned()),
        (
            "[{ names: [\"a:443\"], routes: [{ path: /, app: app }] }]",
            format!(
                "hosts[0].names[0]: \"a:443\": expected {NAME}, without scheme, port or path; a non-ASCII name in its xn-- form"
            ),
        ),
        (
            "[{ names: a.example, routes: [{ path: /, app: app }] }]",
            "hosts[0].names: \"a.example\": expected a list of host names such as [shop.example, \"*.shop.example\"]"
                .to_owned(),
        ),
        (
            "[{ names: [], routes: [{ path: /, app: app }] }]",
            format!("hosts[0].names: a list: is empty: expected {NAME}"),
        ),
        (
            "[{ names: [a], routes: [{ path: /, app: app }] }, { names: [A], routes: [{ path: /, app: app }] }]",
            "hosts[1].names[0]: \"a\": taken by hosts[0].names[0]: expected each name once".to_owned(),
        ),
        (
            "[{ routes: [{ path: /, app: app }] }, { routes: [{ path: /, app: app }] }]",
            "hosts[1]: \"*\": taken by hosts[0]: expected each name once".to_owned(),
        ),
    ] {
        let problems = Directory::new().problems(format!("app: a:b\nhosts: {hosts}"));
        assert_eq!(problems, [expected], "{hosts}");
    }
}
