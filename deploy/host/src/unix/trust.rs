//! Who may be at the other end of our local sockets where proxy and app server have an account each. Sockets are then open to the
//! group of whoever listens, which may have other members, so both ends look at the user. With one account for
//! everything nobody is trusted, and the kernel's modes say it all.

use std::io;
use std::sync::OnceLock;

use super::{access, place};
use crate::Audience;

/// How an account is written where names may mean another one.
const USER: &str = "user:";

/// Users beside this process's own and root.
static TRUSTED: OnceLock<Vec<u32>> = OnceLock::new();

pub(crate) fn trust(accounts: &[String]) -> io::Result<()> {
    let known = [0, place::own_user()];
    let mut users = accounts.iter().map(|account| user(account)).collect::<io::Result<Vec<u32>>>()?;
    users.retain(|user| !known.contains(user));
    // It counts once.
    let _ = TRUSTED.set(users);
    Ok(())
}

pub(crate) fn trusted() -> Vec<String> {
    users().iter().map(|user| format!("{USER}{user}")).collect()
}

pub(super) fn users() -> &'static [u32] {
    TRUSTED.get().map_or(&[], Vec::as_slice)
}

fn user(account: &str) -> io::Result<u32> {
    match account.strip_prefix(USER).and_then(|number| number.parse().ok()) {
        Some(user) => Ok(user),
        None => Ok(access::owner(account)?.user),
    }
}

/// Whether a user may connect. Apps run as `own`: where the proxy has another account, that of apps gives no orders.
pub(super) fn may_connect(user: u32, own: u32, trusted: &[u32], audience: Audience) -> bool {
    let is_own = user == own && (trusted.is_empty() || audience != Audience::Commands);
    user == 0 || is_own || (audience != Audience::Workers && trusted.contains(&user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_s_account_gives_no_orders_where_the_proxy_has_another() {
        let (server, proxy, other) = (998, 997, 1000);
        for (user, trusted, audience, expected) in [
            (server, &[][..], Audience::Commands, true),
            (server, &[proxy], Audience::Commands, false),
            (proxy, &[proxy], Audience::Commands, true),
            (0, &[proxy], Audience::Commands, true),
            (other, &[proxy], Audience::Commands, false),
            // The app server warms workers up.
            (server, &[proxy], Audience::Proxy, true),
            (proxy, &[proxy], Audience::Proxy, true),
            (other, &[proxy], Audience::Proxy, false),
            (server, &[proxy], Audience::Workers, true),
            (proxy, &[proxy], Audience::Workers, false),
        ] {
            assert_eq!(may_connect(user, server, trusted, audience), expected, "{user} {trusted:?} {audience:?}");
        }
    }

    #[test]
    fn an_account_is_known_by_name_or_by_number() {
        assert_eq!(user("root").unwrap(), 0);
        assert_eq!(user("user:4711").unwrap(), 4711);
        for unknown in ["no-such-account", "user:x"] {
            assert_eq!(user(unknown).unwrap_err().kind(), io::ErrorKind::NotFound, "{unknown}");
        }
    }
}
