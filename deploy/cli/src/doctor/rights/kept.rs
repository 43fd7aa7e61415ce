//! Whether the places that `service install` keeps for the services are still theirs alone: nobody else has been let in since, owns one, or
//! lets it inherit from the directory above. It asks what the installation asks, and changes nothing.

use tidegate_host::access::{self, Access, Rule};
use tidegate_host::machine;
use tidegate_site::Site;

use super::TOPIC;
use crate::finding::Report;
use crate::service::places::{Accounts, Place, places};

/// What brings it back in order.
const INSTALL: &str = "`tidegate service install`, which keeps it for the services again";

/// Looks at all of them.
pub(super) fn look(site: &Site, accounts: &Accounts, report: &mut Report) {
    let places = places(site, accounts);
    let mut kept = 0;
    for Place { what, path, rule } in &places {
        let name = format!("{what} {}", path.display());
        let next = format!("{INSTALL}; for this one alone {}", machine::protect_command(path, rule));
        match access::describe(path).and_then(|access| judge(&name, &access, rule, &next, report)) {
            Ok(true) => kept += 1,
            Ok(false) => {}
            Err(error) => report.unknown(TOPIC, error),
        }
    }
    if kept == places.len() {
        report.good(TOPIC, format_args!("what is the services' alone ({kept}) is kept from others"));
    }
}

/// Whether a place is as it should be; else it says what is not.
fn judge(name: &str, access: &Access, rule: &Rule, next: &str, report: &mut Report) -> std::io::Result<bool> {
    let others = access.of_others(rule)?;
    let mut good = others.is_empty();
    for other in &others {
        report.problem(TOPIC, format_args!("{name} is not kept from {other}, the other service's"), next);
    }
    for stranger in access.strangers(rule)?.into_iter().filter(|stranger| !others.contains(&stranger.account)) {
        good = false;
        let text = format!("{name}: {stranger}");
        if stranger.is_ordinary() {
            report.problem(TOPIC, text, next);
        } else {
            report.warning(TOPIC, text, format_args!("nothing, if you let it in; else {next}"));
        }
    }
    if let Some(owner) = access.foreign_owner(rule)?.filter(|owner| !others.contains(&owner.account)) {
        good = false;
        let text = format!("{name} belongs to {}, who can let anybody in", owner.account);
        report.warning(TOPIC, text, format_args!("nothing, if that is who keeps it; else {INSTALL}"));
    }
    if !access.is_protected {
        good = false;
        report.warning(TOPIC, format_args!("{name} has its list from the directory above again"), next);
    }
    Ok(good)
}

#[cfg(test)]
mod tests {
    use tidegate_host::access::{Entry, Owner, Rights};

    use super::*;
    use crate::finding::{Form, Verdict};
    use crate::style::Style;

    #[test]
    fn whoever_was_let_in_since_is_named() {
        let system = tidegate_host::access::describe(std::path::Path::new(".")).unwrap().owner.unwrap().id;
        let is_unix = system.starts_with("user:");
        let (anybody, somebody) =
            if is_unix { ("others", "group:4711") } else { ("S-1-5-32-545", "S-1-5-21-1-2-3-1001") };
        let entry = |id: &str| Entry {
            account: id.to_owned(),
            id: id.to_owned(),
            rights: Rights { read: true, write: false },
            inherited: false,
        };
        let owner = |id: &str| Some(Owner { account: id.to_owned(), id: id.to_owned() });
        let root = if is_unix { "user:0" } else { "S-1-5-18" };
        let whole = Access {
            text: String::new(),
            is_protected: true,
            owner: owner(root),
            entries: vec![entry(root)],
            denials: Vec::new(),
        };
        for (access, problems, warnings) in [
            (whole.clone(), 0, 0),
            (Access { entries: vec![entry(root), entry(anybody)], ..whole.clone() }, 1, 0),
            (Access { entries: vec![entry(somebody)], ..whole.clone() }, 0, 1),
            (Access { owner: owner(if is_unix { "user:4711" } else { somebody }), ..whole.clone() }, 0, 1),
            (Access { is_protected: false, ..whole.clone() }, 0, 1),
        ] {
            let mut report = Report::new(Form::Json, Style::plain());
            let good = judge("private key", &access, &Rule::default(), "install", &mut report).unwrap();
            assert_eq!(
                (report.count(Verdict::Problem), report.count(Verdict::Warning)),
                (problems, warnings),
                "{access:?}"
            );
            assert_eq!(good, problems + warnings == 0);
        }
    }
}
