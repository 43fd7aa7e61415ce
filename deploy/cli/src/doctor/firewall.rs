//! Whether the firewall of Windows lets clients in, by its rules in the registry and the profiles that are active. What cannot be
//! read is said to be unknown.

use std::net::SocketAddr;
use std::path::Path;

use tidegate_host::machine::Firewall;
use tidegate_site::Site;

use super::windows_path::is_same;
use crate::failure::Failure;
use crate::finding::{Finding, Report, Verdict};
use crate::up::program;

const TOPIC: &str = "firewall";

/// TCP, as the rules name it.
const TCP: &str = "6";

/// Looks at the ports of all listeners that other machines can reach.
pub(super) fn look(site: &Site, report: &mut Report) -> Result<(), Failure> {
    let firewall = match tidegate_host::machine::firewall() {
        Ok(Some(firewall)) => firewall,
        Ok(None) => return Ok(()),
        Err(error) => {
            report.unknown(TOPIC, format_args!("its rules cannot be read: {error}"));
            return Ok(());
        }
    };
    let listeners = site.listeners.iter().map(|listener| listener.address);
    let outside: Vec<SocketAddr> = listeners.filter(|address| !address.ip().is_loopback()).collect();
    let program = program("tidegate-proxy")?;
    if outside.is_empty() {
        report.good(TOPIC, "no listener can be reached from other machines");
    }
    for address in outside {
        for (judgement, scope) in judge_all(&firewall, &program, address.port()) {
            report.add(finding(&judgement, &scope, &program, address.port()));
        }
    }
    Ok(())
}

/// What the firewall tells apart.
const PROFILES: [&str; 3] = ["domain", "private", "public"];

#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    Off,
    Allowed,
    NotAllowed,
    /// A rule would allow it in other profiles: its name, and which they are.
    Elsewhere(String, String),
    Blocked(String),
}

/// The profiles that a judgement is about.
#[derive(Debug, PartialEq, Eq)]
struct Scope {
    text: String,
    /// Whether clients meet it now.
    is_active: bool,
}

/// The verdicts about one port: of the profiles that are active, and where the system does not tell these, of all.
fn judge_all(firewall: &Firewall, program: &Path, port: u16) -> Vec<(Judgement, Scope)> {
    let active = firewall.active.as_ref().filter(|active| !active.is_empty());
    let profiles: Vec<&str> =
        active.map_or_else(|| PROFILES.to_vec(), |active| active.iter().map(String::as_str).collect());
    let mut groups: Vec<(Judgement, Vec<&str>)> = Vec::new();
    for profile in profiles {
        let judgement = judge(firewall, program, port, profile);
        match groups.iter_mut().find(|(known, _)| *known == judgement) {
            Some((_, of)) => of.push(profile),
            None => groups.push((judgement, vec![profile])),
        }
    }
    let is_one = groups.len() == 1;
    let scope = |of: Vec<&str>| match (active.is_some(), is_one) {
        (true, _) => Scope { text: format!("in the active profile ({})", of.join(", ")), is_active: true },
        (false, true) => Scope { text: "in every profile".to_owned(), is_active: true },
        (false, false) => {
            let text = format!("in the profile {}; which is active is unknown", of.join(", "));
            Scope { text, is_active: false }
        }
    };
    groups.into_iter().map(|(judgement, of)| (judgement, scope(of))).collect()
}

fn finding(judgement: &Judgement, scope: &Scope, program: &Path, port: u16) -> Finding {
    let Scope { text: scope, is_active } = scope;
    let (verdict, text, next) = match judgement {
        Judgement::Off => (Verdict::Good, format!("off {scope}: everybody reaches port {port}"), String::new()),
        Judgement::Allowed => (Verdict::Good, format!("lets clients in to port {port} {scope}"), String::new()),
        Judgement::Blocked(rule) => (
            Verdict::Problem,
            format!("the rule {rule:?} keeps clients from port {port} {scope}"),
            "remove or disable that rule (wf.msc): it goes before any that allows".to_owned(),
        ),
        Judgement::NotAllowed => (
            Verdict::Warning,
            format!("no rule lets clients of other machines in to port {port} {scope}"),
            format!(
                "as administrator: New-NetFirewallRule -DisplayName 'Tidegate {port}' -Direction Inbound -Action Allow -Protocol \
                 TCP -LocalPort {port} -Program '{}' (docs/firewall.md)",
                program.display()
            ),
        ),
        Judgement::Elsewhere(rule, profiles) => (
            Verdict::Warning,
            format!("no rule lets clients in to port {port} {scope}: {rule:?} is for {profiles} alone"),
            format!(
                "`Set-NetConnectionProfile -NetworkCategory Private` if the network was taken for another kind, or as \
                 administrator: Set-NetFirewallRule -DisplayName '{rule}' -Profile Any (docs/firewall.md)"
            ),
        ),
    };
    let (verdict, next) = match verdict {
        Verdict::Good if *is_active => (verdict, None),
        // In that profile it is good; whether that is the one is what nobody knows.
        Verdict::Good | Verdict::Unknown => (Verdict::Unknown, None),
        _ if *is_active => (verdict, Some(next)),
        _ => (Verdict::Warning, Some(format!("see which is (`Get-NetConnectionProfile`); if it is this one: {next}"))),
    };
    Finding { verdict, topic: TOPIC.to_owned(), text, next }
}

/// The rules' verdict about one port in one profile; a rule that blocks goes before those that allow.
fn judge(firewall: &Firewall, program: &Path, port: u16, profile: &str) -> Judgement {
    if !firewall.on.iter().any(|on| on == profile) {
        return Judgement::Off;
    }
    let mut judgement = Judgement::NotAllowed;
    for rule in firewall.rules.iter().map(|rule| Rule(rule)).filter(|rule| rule.concerns(program, port)) {
        let name = || rule.value("Name").unwrap_or_default().to_owned();
        match (rule.value("Action"), rule.is_for(profile)) {
            (Some("Block"), true) => return Judgement::Blocked(name()),
            (Some("Allow"), true) => judgement = Judgement::Allowed,
            (Some("Allow"), false) if judgement == Judgement::NotAllowed => {
                let others: Vec<String> = rule.values("Profile").map(str::to_lowercase).collect();
                judgement = Judgement::Elsewhere(name(), others.join(", "));
            }
            _ => {}
        }
    }
    judgement
}

/// `v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=443|App=C:\a.exe|Name=A|`; a key may come more than once.
struct Rule<'a>(&'a str);

impl<'a> Rule<'a> {
    fn values(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.0.split('|').filter_map(move |pair| pair.split_once('=').filter(|(name, _)| *name == key).map(|(_, v)| v))
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        self.values(key).next()
    }

    /// Whether it applies in a profile: in those that it names, or in all.
    fn is_for(&self, profile: &str) -> bool {
        self.value("Profile").is_none() || self.values("Profile").any(|of| of.eq_ignore_ascii_case(profile))
    }

    /// Whether it is an active one for connections to this port of this program.
    fn concerns(&self, program: &Path, port: u16) -> bool {
        let is_in = self.value("Dir") == Some("In") && self.value("Active") == Some("TRUE");
        let is_tcp = self.value("Protocol").is_none_or(|protocol| protocol == TCP);
        // One of a packaged app or a certain service is not ours.
        let is_other = ["Svc", "AppPkgId", "Platform2"].iter().any(|key| self.value(key).is_some_and(|v| v != "*"));
        let ports: Vec<&str> =
            self.values("LPort").chain(self.values("LPort2_10")).flat_map(|list| list.split(',')).collect();
        let has_port = ports.is_empty() || ports.iter().any(|text| covers(text, port));
        let is_program = self.value("App").is_none_or(|app| is_same(app, program));
        is_in && is_tcp && !is_other && has_port && is_program
    }
}

/// `443`, or `8000-8100`.
fn covers(text: &str, port: u16) -> bool {
    match text.split_once('-') {
        Some((first, last)) => match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&port),
            _ => false,
        },
        None => text.parse() == Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_windows_applies_them() {
        let program = Path::new(r"C:\Program Files\Tidegate\tidegate-proxy.exe");
        let ours = r"v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=443|App=C:\program files\tidegate\TIDEGATE-PROXY.exe|Name=T|";
        let range = "v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=80|LPort=440-450|Name=Web|";
        let blocking = "v2.31|Action=Block|Active=TRUE|Dir=In|Name=No|";
        let block_public = "v2.31|Action=Block|Active=TRUE|Dir=In|Profile=Public|Name=Not here|";
        let private = range.replace("Dir=In", "Dir=In|Profile=Domain|Profile=Private");
        let elsewhere = || Judgement::Elsewhere("Web".to_owned(), "domain, private".to_owned());
        for (rules, profile, expected) in [
            (&[][..], "domain", Judgement::Off),
            (&[], "public", Judgement::NotAllowed),
            (&[ours], "public", Judgement::Allowed),
            (&[range], "private", Judgement::Allowed),
            (&[ours, blocking], "public", Judgement::Blocked("No".to_owned())),
            (&[ours, block_public], "public", Judgement::Blocked("Not here".to_owned())),
            (&[ours, block_public], "private", Judgement::Allowed),
            (&[&private], "private", Judgement::Allowed),
            (&[&private], "public", elsewhere()),
            (&[&private, ours], "public", Judgement::Allowed),
            (&[ours, &private], "public", Judgement::Allowed),
            (&[&ours.replace("TRUE", "FALSE")], "public", Judgement::NotAllowed),
            (&[&ours.replace("Dir=In", "Dir=Out")], "public", Judgement::NotAllowed),
            (&[&ours.replace("Protocol=6", "Protocol=17")], "public", Judgement::NotAllowed),
            (&[&ours.replace("LPort=443", "LPort=444")], "public", Judgement::NotAllowed),
            (&[&ours.replace("PROXY", "OTHER")], "public", Judgement::NotAllowed),
            (&[&format!("{range}Svc=W3SVC|")], "public", Judgement::NotAllowed),
        ] {
            assert_eq!(judge(&firewall(None, rules), program, 443, profile), expected, "{rules:?} {profile}");
        }
    }

    /// On but for domains.
    fn firewall(active: Option<&[&str]>, rules: &[&str]) -> Firewall {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Firewall { on: owned(&["private", "public"]), active: active.map(owned), rules: owned(rules) }
    }

    #[test]
    fn only_the_active_profile_counts_where_it_is_known() {
        let program = Path::new(r"C:\Tidegate\tidegate-proxy.exe");
        let private = "v2.31|Action=Allow|Active=TRUE|Dir=In|Profile=Private|LPort=443|Name=Web|";
        let blocking = "v2.31|Action=Block|Active=TRUE|Dir=In|Profile=Public|Name=No|";
        for (active, rules, expected) in [
            (
                Some(&["private"][..]),
                &[private][..],
                vec![(Verdict::Good, "lets clients in to port 443 in the active profile (private)")],
            ),
            (
                Some(&["public"]),
                &[private],
                vec![(Verdict::Warning, "in the active profile (public): \"Web\" is for private alone")],
            ),
            (
                Some(&["public"]),
                &[blocking],
                vec![(Verdict::Problem, "\"No\" keeps clients from port 443 in the active")],
            ),
            (
                Some(&["domain", "public"]),
                &[],
                vec![
                    (Verdict::Good, "off in the active profile (domain)"),
                    (
                        Verdict::Warning,
                        "no rule lets clients of other machines in to port 443 in the active profile (public)",
                    ),
                ],
            ),
            (
                None,
                &[private, blocking],
                vec![
                    (Verdict::Unknown, "off in the profile domain; which is active is unknown"),
                    (
                        Verdict::Unknown,
                        "lets clients in to port 443 in the profile private; which is active is unknown",
                    ),
                    (Verdict::Warning, "keeps clients from port 443 in the profile public; which is active is unknown"),
                ],
            ),
            (
                Some(&[]),
                &[],
                vec![(Verdict::Unknown, "off"), (Verdict::Warning, "private, public; which is active is unknown")],
            ),
        ] {
            let found = judge_all(&firewall(active, rules), program, 443);
            let found: Vec<_> =
                found.iter().map(|(judgement, scope)| finding(judgement, scope, program, 443)).collect();
            assert_eq!(found.len(), expected.len(), "{found:#?}");
            for (finding, (verdict, text)) in found.iter().zip(expected) {
                assert_eq!(finding.verdict, verdict, "{finding:?}");
                assert!(finding.text.contains(text), "{finding:?}");
                assert_eq!(finding.next.is_some(), verdict.is_bad(), "{finding:?}");
            }
        }
        let all = Firewall { on: PROFILES.map(str::to_owned).to_vec(), ..firewall(None, &[]) };
        let (_, scope) = &judge_all(&all, program, 443)[0];
        assert_eq!((scope.text.as_str(), scope.is_active), ("in every profile", true));
    }
}
