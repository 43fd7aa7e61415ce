//! Hosts that are closed for maintenance at run time: what the command asks for, what the app server
//! keeps and tells the proxy, and what both find in a file after a restart.

use serde::{Deserialize, Serialize};

/// What is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceState {
    /// At most one for each host, and one for all hosts.
    pub closures: Vec<Closure>,
}

/// A host, or the whole site, that is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closure {
    /// One of the host's names; nothing for every host.
    pub host: Option<String>,
    /// What visitors are told instead of the usual sentence.
    pub message: Option<String>,
    /// Seconds for Retry-After.
    pub retry_after_s: u32,
    /// When the command closed it, in seconds since 1970; nothing if the site file did.
    pub since: Option<u64>,
}

/// What `tidegate maintenance` asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaintenanceOrder {
    /// Close.
    On(Closure),
    /// Open again.
    Off {
        /// One of the host's names; nothing for everything that is closed.
        host: Option<String>,
    },
}

impl MaintenanceState {
    /// The file in the site's `state_dir` that keeps it over a restart: this, as JSON.
    pub const FILE: &'static str = "maintenance.json";

    /// What closes the host that has these names; its own closure before that of all hosts.
    pub fn of(&self, names: &[String]) -> Option<&Closure> {
        let own = |closure: &&Closure| closure.host.as_ref().is_some_and(|host| names.contains(host));
        let all = |closure: &&Closure| closure.host.is_none();
        self.closures.iter().find(own).or_else(|| self.closures.iter().find(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closure(host: Option<&str>) -> Closure {
        Closure { host: host.map(str::to_owned), message: None, retry_after_s: 1, since: Some(1) }
    }

    #[test]
    fn a_hosts_own_closure_comes_before_that_of_all() {
        let names = ["shop.example".to_owned(), "www.shop.example".to_owned()];
        for (closed, expected) in [
            (&[][..], None),
            (&[Some("blog.example")], None),
            (&[Some("www.shop.example")], Some(Some("www.shop.example"))),
            (&[None], Some(None)),
            (&[None, Some("shop.example")], Some(Some("shop.example"))),
            (&[None, Some("blog.example")], Some(None)),
        ] {
            let state = MaintenanceState { closures: closed.iter().map(|host| closure(*host)).collect() };
            assert_eq!(state.of(&names).map(|closure| closure.host.as_deref()), expected);
        }
    }
}
