//! Which services an upgrade has stopped, so that afterwards those are started again, and no other. Whoever starts or stops
//! a service by hand overrules what was remembered of it.

use tidegate_host::ServiceState;

use super::pair::Pair;
use super::{failed, state};
use crate::failure::Failure;

/// Remembers those of them that run, beside what is remembered already: an upgrade that failed has stopped them before.
pub(super) fn add(pairs: &[Pair]) -> Result<(), Failure> {
    let mut names = tidegate_host::remembered_services().map_err(failed)?;
    for name in pairs.iter().flat_map(Pair::names) {
        if is_wanted(state(&name)?) && !names.contains(&name) {
            println!("service {name} will be started by `tidegate service start --remembered`");
            names.push(name);
        }
    }
    tidegate_host::remember_services(&names).map_err(failed)
}

/// One that has failed waits to be started anew.
fn is_wanted(state: ServiceState) -> bool {
    matches!(state, ServiceState::Starting | ServiceState::Running { .. } | ServiceState::Failed { .. })
}

/// What is remembered of these, and no longer afterwards.
pub(super) fn take(pairs: &[Pair]) -> Result<Vec<String>, Failure> {
    let remembered = tidegate_host::remembered_services().map_err(failed)?;
    let (taken, kept) = parted(remembered, pairs);
    tidegate_host::remember_services(&kept).map_err(failed)?;
    Ok(taken)
}

/// Who may not write the list may not start or stop a service either, and is told so there.
pub(super) fn forget(pairs: &[Pair]) {
    if let Ok(remembered) = tidegate_host::remembered_services()
        && !remembered.is_empty()
    {
        let (_, kept) = parted(remembered, pairs);
        let _ = tidegate_host::remember_services(&kept);
    }
}

/// Those of these pairs, and the rest: another installation's.
fn parted(names: Vec<String>, pairs: &[Pair]) -> (Vec<String>, Vec<String>) {
    names.into_iter().partition(|name| pairs.iter().any(|pair| pair.names().contains(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_installations_are_left() {
        let pairs = [Pair { set: "Shop".to_owned() }];
        let [server, proxy] = pairs[0].names();
        let other = tidegate_host::service_name("Other", "proxy");
        let names = vec![proxy.clone(), other.clone(), server.clone()];
        assert_eq!(parted(names, &pairs), (vec![proxy, server], vec![other]));
        assert_eq!(parted(Vec::new(), &pairs), (Vec::new(), Vec::new()));
    }
}
