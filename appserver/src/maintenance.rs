//! Which hosts are closed for maintenance: changed by `tidegate maintenance`, told to the proxy, and kept in
//! a file of the state directory, so that a restart opens nothing. Called by `control`. Turns nobody away
//! itself: that is the proxy's.

use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_contract::{Closure, MaintenanceOrder, MaintenanceState};
use tidegate_site::{Site, VirtualHost};
use tokio::sync::watch;

/// What is closed at run time.
#[derive(Debug)]
pub(crate) struct Maintenance {
    state: watch::Sender<MaintenanceState>,
    /// One order at a time: each begins with what the one before has kept.
    ordering: tokio::sync::Mutex<()>,
}

impl Maintenance {
    /// What was closed when the app server ended.
    pub(crate) fn load(site: &Site) -> Self {
        let file = site.state_dir.join(MaintenanceState::FILE);
        let state = match std::fs::read(&file).map(|bytes| serde_json::from_slice(&bytes)) {
            Ok(Ok(state)) => state,
            Ok(Err(error)) => {
                tracing::error!(file = %file.display(), %error, "not readable: nothing is closed for maintenance");
                MaintenanceState::default()
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::error!(file = %file.display(), %error, "not readable: nothing is closed for maintenance");
                }
                MaintenanceState::default()
            }
        };
        for closure in &state.closures {
            tracing::warn!(host = name(closure), "still closed for maintenance");
        }
        Self { state: watch::Sender::new(state), ordering: tokio::sync::Mutex::default() }
    }

    /// Follows what is closed.
    pub(crate) fn watch(&self) -> watch::Receiver<MaintenanceState> {
        self.state.subscribe()
    }

    /// What is closed, by the command and by the site file.
    pub(crate) fn report(&self, site: &Site) -> MaintenanceState {
        let mut report = self.state.borrow().clone();
        let closed = site.hosts.iter().filter(|host| host.maintenance.on && report.of(&host.names).is_none());
        let by_file = |host: &VirtualHost| Closure {
            host: host.names.first().cloned(),
            message: None,
            retry_after_s: host.maintenance.retry_after.as_secs().try_into().unwrap_or(u32::MAX),
            since: None,
        };
        let by_file: Vec<Closure> = closed.map(by_file).collect();
        report.closures.extend(by_file);
        report
    }

    /// Closes or opens. The error is for the operator; then nothing has changed.
    pub(crate) async fn order(&self, order: MaintenanceOrder, site: &Site) -> Result<(), String> {
        let _one_at_a_time = self.ordering.lock().await;
        let mut next = self.state.borrow().clone();
        apply(&mut next, order, &site.hosts)?;
        let directory = site.state_dir.clone();
        let kept = next.clone();
        let written = tokio::task::spawn_blocking(move || write(&directory, &kept)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(format!("failed to write to {}: {error}", site.state_dir.display())),
            Err(error) => return Err(error.to_string()),
        }
        for closure in &next.closures {
            tracing::warn!(host = name(closure), "closed for maintenance");
        }
        if next.closures.is_empty() {
            tracing::info!("nothing is closed for maintenance any more");
        }
        self.state.send_replace(next);
        Ok(())
    }
}

fn name(closure: &Closure) -> &str {
    closure.host.as_deref().unwrap_or("every host")
}

/// What an order makes of the state.
fn apply(state: &mut MaintenanceState, order: MaintenanceOrder, hosts: &[VirtualHost]) -> Result<(), String> {
    match order {
        MaintenanceOrder::On(closure) => {
            let names = names_of(closure.host.as_deref(), hosts)?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            state.closures.retain(|other| !is_of(other, &names));
            state.closures.push(Closure { since: Some(now), ..closure });
            Ok(())
        }
        MaintenanceOrder::Off { host: None } => {
            if state.closures.is_empty() {
                by_file(hosts.iter())?;
            }
            state.closures.clear();
            Ok(())
        }
        MaintenanceOrder::Off { host: Some(host) } => {
            // A host that the site no longer has can still be opened.
            let given = [host.clone()];
            let names = names_of(Some(&host), hosts).map_or(Vec::from(given), Option::unwrap_or_default);
            let before = state.closures.len();
            state.closures.retain(|other| !other.host.as_ref().is_some_and(|name| names.contains(name)));
            if state.closures.len() < before {
                return Ok(());
            }
            if state.closures.iter().any(|other| other.host.is_none()) {
                return Err("every host is closed: `tidegate maintenance off` without --host opens them".to_owned());
            }
            names_of(Some(&host), hosts)?;
            by_file(hosts.iter().filter(|other| other.names.contains(&host)))?;
            Err(format!("{host} is not closed"))
        }
    }
}

/// The order cannot open what the site file closes.
fn by_file<'h>(mut hosts: impl Iterator<Item = &'h VirtualHost>) -> Result<(), String> {
    match hosts.find(|host| host.maintenance.on) {
        None => Ok(()),
        Some(host) => Err(format!(
            "the site file closes {} (maintenance: on): change it and run `tidegate reload`",
            host.names.first().map_or("a host", String::as_str)
        )),
    }
}

/// Every name of the host that has this one; nothing for all hosts.
fn names_of(host: Option<&str>, hosts: &[VirtualHost]) -> Result<Option<Vec<String>>, String> {
    let Some(wanted) = host else { return Ok(None) };
    if let Some(found) = hosts.iter().find(|host| host.names.iter().any(|name| name == wanted)) {
        return Ok(Some(found.names.clone()));
    }
    let known: Vec<&str> = hosts.iter().flat_map(|host| host.names.iter().map(String::as_str)).collect();
    Err(format!("no host has the name {wanted:?}: expected one of {}", known.join(", ")))
}

fn is_of(closure: &Closure, names: &Option<Vec<String>>) -> bool {
    match (&closure.host, names) {
        (None, None) => true,
        (Some(host), Some(names)) => names.contains(host),
        _ => false,
    }
}

/// In one step: a proxy that starts may read it at any moment.
fn write(directory: &Path, state: &MaintenanceState) -> io::Result<()> {
    let file = directory.join(MaintenanceState::FILE);
    if state.closures.is_empty() {
        return match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    std::fs::create_dir_all(directory)?;
    let new = directory.join(format!("{}.new", MaintenanceState::FILE));
    std::fs::write(&new, serde_json::to_vec_pretty(state)?)?;
    std::fs::rename(new, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_contract::MaintenanceOrder::{Off, On};

    fn hosts() -> Vec<VirtualHost> {
        let directory = std::env::temp_dir().join(format!("tidegate-maintenance-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("tidegate.yaml");
        let yaml = "app: a:b\nhosts:\n- { names: [shop, www], routes: [{ path: /, app: app }] }\n\
                    - { names: [blog], routes: [{ path: /, app: app }], maintenance: on }\n";
        std::fs::write(&file, yaml).unwrap();
        let site = tidegate_site::load(&file).unwrap();
        std::fs::remove_dir_all(directory).unwrap();
        site.hosts
    }

    fn on(host: Option<&str>) -> MaintenanceOrder {
        On(Closure { host: host.map(str::to_owned), message: None, retry_after_s: 1, since: None })
    }

    fn off(host: Option<&str>) -> MaintenanceOrder {
        Off { host: host.map(str::to_owned) }
    }

    #[test]
    fn orders_close_and_open_and_say_what_cannot_be() {
        let hosts = hosts();
        let mut state = MaintenanceState::default();
        let file_closes = "the site file closes blog (maintenance: on): change it and run `tidegate reload`";
        for (order, expected, says) in [
            (on(Some("wiki")), "", "no host has the name \"wiki\": expected one of shop, www, blog"),
            (on(Some("shop")), "shop", ""),
            (on(Some("www")), "www", ""),
            (off(Some("shop")), "", ""),
            (off(Some("shop")), "", "shop is not closed"),
            (off(Some("blog")), "", file_closes),
            (on(None), "*", ""),
            (on(None), "*", ""),
            (off(Some("shop")), "*", "every host is closed: `tidegate maintenance off` without --host opens them"),
            (on(Some("shop")), "* shop", ""),
            (off(Some("www")), "*", ""),
            (off(None), "", ""),
            (off(None), "", file_closes),
        ] {
            let said = apply(&mut state, order.clone(), &hosts).err().unwrap_or_default();
            let closed: Vec<&str> =
                state.closures.iter().map(|closure| closure.host.as_deref().unwrap_or("*")).collect();
            assert_eq!((closed.join(" ").as_str(), said.as_str()), (expected, says), "{order:?}");
        }
    }
}
