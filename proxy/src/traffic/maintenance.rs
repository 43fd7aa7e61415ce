//! Hosts that are closed for maintenance: by the site file, or at run time by the app server's word. Until
//! the app server has spoken, what it kept in the state directory counts, so that a proxy that starts
//! opens nothing by mistake.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tidegate_contract::MaintenanceState;
use tidegate_site::{Site, VirtualHost};

use crate::metrics::HostMaintenance;
use crate::request::error::Failure;

/// What is closed at run time.
#[derive(Debug)]
pub(crate) struct Maintenance {
    closed: ArcSwap<MaintenanceState>,
    /// Whether anything is, so that a request of an open site looks at nothing else.
    any: AtomicBool,
}

impl Maintenance {
    /// What was closed when the pair last ran.
    pub(crate) fn load(site: &Site) -> Self {
        let kept = std::fs::read(site.state_dir.join(MaintenanceState::FILE)).ok();
        // The app server reads it as well, and complains.
        let state = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self::of(state)
    }

    fn of(state: MaintenanceState) -> Self {
        Self { any: (!state.closures.is_empty()).into(), closed: ArcSwap::from_pointee(state) }
    }

    /// Takes over what the app server says.
    pub(crate) fn set(&self, state: MaintenanceState) {
        let any = !state.closures.is_empty();
        self.closed.store(state.into());
        self.any.store(any, Ordering::Relaxed);
    }

    /// Whether this client may come in.
    pub(crate) fn check(&self, host: &VirtualHost, client: IpAddr) -> Result<(), Failure> {
        if !host.maintenance.on && !self.any.load(Ordering::Relaxed) {
            return Ok(());
        }
        let closed = self.closed.load();
        let failure = match closed.of(&host.names) {
            Some(closure) => {
                let retry_after = Duration::from_secs(closure.retry_after_s.into());
                Failure::maintenance(closure.message.as_deref(), retry_after)
            }
            None if host.maintenance.on => Failure::maintenance(None, host.maintenance.retry_after),
            None => return Ok(()),
        };
        if host.maintenance.allow.iter().any(|network| network.contains(&client)) {
            return Ok(());
        }
        Err(failure)
    }

    /// Every host of the site and whether it is closed, for metrics and /readyz.
    pub(crate) fn report(&self, site: &Site) -> Vec<HostMaintenance> {
        let closed = self.closed.load();
        let report = |host: &VirtualHost| HostMaintenance {
            host: host.names.first().cloned().unwrap_or_default(),
            is_closed: host.maintenance.on || closed.of(&host.names).is_some(),
        };
        site.hosts.iter().map(report).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidegate_contract::Closure;

    use super::*;

    fn host(on: bool) -> VirtualHost {
        VirtualHost {
            names: vec!["shop".to_owned()],
            aliases: vec![],
            redirects: vec![],
            rewrites: vec![],
            maintenance: tidegate_site::Maintenance {
                on,
                allow: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::1/128".parse().unwrap()],
                retry_after: Duration::from_secs(600),
            },
            routes: Vec::new(),
            rules: Arc::default(),
        }
    }

    fn state(host: Option<&str>) -> MaintenanceState {
        let closure = Closure {
            host: host.map(str::to_owned),
            message: Some("Back at nine.".to_owned()),
            retry_after_s: 60,
            since: Some(0),
        };
        MaintenanceState { closures: vec![closure] }
    }

    #[test]
    fn the_file_and_the_command_close_and_some_clients_come_in() {
        for (on, state, client, expected) in [
            (false, MaintenanceState::default(), "192.0.2.1", None),
            (true, MaintenanceState::default(), "192.0.2.1", Some((None, Some(600)))),
            (true, MaintenanceState::default(), "10.1.1.1", None),
            (true, state(None), "192.0.2.1", Some((Some("Back at nine."), Some(60)))),
            (false, state(None), "192.0.2.1", Some((Some("Back at nine."), Some(60)))),
            (false, state(Some("shop")), "2001:db8::2", Some((Some("Back at nine."), Some(60)))),
            (false, state(Some("shop")), "2001:db8::1", None),
            (false, state(Some("blog")), "192.0.2.1", None),
        ] {
            let failure = Maintenance::of(state.clone()).check(&host(on), client.parse().unwrap()).err();
            let said = failure.as_ref().map(|failure| (failure.message.as_deref(), failure.retry_after));
            assert_eq!(said, expected, "{on} {state:?} {client}");
        }
    }
}
