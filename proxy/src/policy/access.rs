//! `allow` and `deny`: whether a client's address is let in. Pure, called by `policy`.

use std::net::IpAddr;

use ipnet::IpNet;
use tidegate_contract::Cause;
use tidegate_site::Rules;

use crate::request::error::Failure;

/// Lets a client in or not. What is denied is denied; where there is a list of those allowed, nobody
/// else is.
pub(super) fn check(rules: &Rules, client: IpAddr) -> Result<(), Failure> {
    let is_in = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&client));
    if is_in(&rules.deny) {
        return Err(Failure::new(Cause::Forbidden, "the client's address is in deny"));
    }
    if !rules.allow.is_empty() && !is_in(&rules.allow) {
        return Err(Failure::new(Cause::Forbidden, "the client's address is not in allow"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_wins_and_allow_keeps_the_rest_out() {
        let networks = |all: &[&str]| all.iter().map(|network| network.parse().unwrap()).collect::<Vec<IpNet>>();
        for (allow, deny, client, is_in) in [
            (&[][..], &[][..], "203.0.113.9", true),
            (&[], &["203.0.113.0/24"], "203.0.113.9", false),
            (&[], &["203.0.113.0/24"], "203.0.114.9", true),
            (&["10.0.0.0/8"], &[], "10.1.2.3", true),
            (&["10.0.0.0/8"], &[], "203.0.113.9", false),
            (&["10.0.0.0/8"], &[], "::1", false),
            (&["10.0.0.0/8", "::1/128"], &[], "::1", true),
            (&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.2.3", false),
            (&["0.0.0.0/0", "::/0"], &["2001:db8::/32"], "2001:db8::1", false),
        ] {
            let rules = Rules { allow: networks(allow), deny: networks(deny), ..Rules::default() };
            assert_eq!(check(&rules, client.parse().unwrap()).is_ok(), is_in, "{allow:?} {deny:?} {client}");
        }
    }
}
