//! What is wrong below `listeners`.

use crate::files::Directory;

#[test]
fn listeners_say_what_was_expected() {
    const ADDRESS: &str = "an address with a port such as \"[::]:443\" or 127.0.0.1:8080";
    for (listeners, expected) in [
        ("443", "listeners: 443: expected a list of { address: \"[::]:443\", protocol: https }"),
        ("[]", "listeners: a list: is empty: expected at least one listener"),
        ("[{ protocol: https }]", &format!("listeners[0].address: missing: expected {ADDRESS}")),
        ("[{ address: 127.0.0.1:1 }]", "listeners[0].protocol: missing: expected https, http or redirect"),
        ("[{ address: 127.0.0.1:1, protocol: h2 }]", "listeners[0].protocol: \"h2\": expected https, http or redirect"),
        (
            "[{ address: \":443\", protocol: https }]",
            &format!("listeners[0].address: \":443\": expected {ADDRESS}; every address is \"[::]:PORT\""),
        ),
        (
            "[{ address: localhost:443, protocol: https }]",
            &format!(
                "listeners[0].address: \"localhost:443\": expected {ADDRESS}; localhost is 127.0.0.1:PORT or \"[::1]:PORT\""
            ),
        ),
        ("[{ address: 443, protocol: https }]", &format!("listeners[0].address: 443: expected {ADDRESS}")),
        (
            "[{ address: 127.0.0.1:80, protocol: redirect }]",
            "listeners[0]: a table: redirects to https: expected an https listener beside it",
        ),
        (
            "[{ address: 127.0.0.1:80, protocol: http, https_port: 443 }]",
            "listeners[0].https_port: 443: expected only with protocol: redirect",
        ),
        (
            "[{ address: 127.0.0.1:1, protocol: https }, { address: 127.0.0.1:1, protocol: http }]",
            "listeners[1].address: 127.0.0.1:1: taken by the listener on 127.0.0.1:1: expected another address or port",
        ),
        (
            "[{ address: \"[::]:1\", protocol: https }, { address: 127.0.0.1:1, protocol: http }]",
            "listeners[1].address: 127.0.0.1:1: taken by the listener on [::]:1 ([::] takes every address, 0.0.0.0 every IPv4 address): expected another address or port",
        ),
        (
            "[{ address: 0.0.0.0:9145, protocol: http }]",
            "metrics: 127.0.0.1:9145: taken by the listener on 0.0.0.0:9145: expected another address or off",
        ),
    ] {
        let problems = Directory::new().problems(format!("app: a:b\nlisteners: {listeners}"));
        assert_eq!(problems, [expected], "{listeners}");
    }
}
