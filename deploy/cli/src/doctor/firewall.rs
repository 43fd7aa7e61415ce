//! Whether the firewall of Windows lets clients in, by its rules in the registry. Where they cannot be read it says so.

use std::net::SocketAddr;
use std::path::Path;

use tidegate_host::machine::Firewall;
use tidegate_site::Site;

use crate::failure::Failure;
use crate::finding::Report;
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
            report.good(TOPIC, format_args!("unknown: its rules cannot be read: {error}"));
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
        let port = address.port();
        match judge(&firewall, &program, port) {
            Judgement::Off => report.good(TOPIC, format_args!("off: everybody reaches port {port}")),
            Judgement::Allowed => report.good(TOPIC, format_args!("lets clients in to port {port}")),
            Judgement::Blocked(rule) => report.problem(
                TOPIC,
                format_args!("the rule {rule:?} keeps clients from port {port}"),
                "remove or disable that rule (wf.msc): it goes before any that allows",
            ),
            Judgement::NotAllowed => report.warning(
                TOPIC,
                format_args!("no rule lets clients of other machines in to port {port}"),
                format_args!(
                    "as administrator: New-NetFirewallRule -DisplayName 'Tidegate {port}' -Direction Inbound -Action Allow \
                     -Protocol TCP -LocalPort {port} -Program '{}' (docs/firewall.md)",
                    program.display()
                ),
            ),
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    Off,
    Allowed,
    NotAllowed,
    Blocked(String),
}

/// The rules' verdict about one port; a rule that blocks goes before those that allow.
fn judge(firewall: &Firewall, program: &Path, port: u16) -> Judgement {
    if firewall.on.is_empty() {
        return Judgement::Off;
    }
    let rules = firewall.rules.iter().map(|rule| Rule(rule)).filter(|rule| rule.concerns(program, port));
    let mut judgement = Judgement::NotAllowed;
    for rule in rules {
        match rule.value("Action") {
            Some("Block") => return Judgement::Blocked(rule.value("Name").unwrap_or_default().to_owned()),
            Some("Allow") => judgement = Judgement::Allowed,
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

/// Windows' paths know no case; `%ProgramFiles%` and the like stand for what they do in this process.
fn is_same(app: &str, program: &Path) -> bool {
    let mut expanded = app.to_owned();
    if let Some((name, rest)) = app.strip_prefix('%').and_then(|text| text.split_once('%'))
        && let Ok(value) = std::env::var(name)
    {
        expanded = format!("{value}{rest}");
    }
    let plain = |path: &str| path.trim_start_matches(r"\\?\").to_lowercase();
    plain(&expanded) == plain(&program.to_string_lossy())
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
        let off = Firewall::default();
        let on = |rules: &[&str]| Firewall {
            on: vec!["public".to_owned()],
            rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
        };
        for (firewall, expected) in [
            (off, Judgement::Off),
            (on(&[]), Judgement::NotAllowed),
            (on(&[ours]), Judgement::Allowed),
            (on(&[range]), Judgement::Allowed),
            (on(&[ours, blocking]), Judgement::Blocked("No".to_owned())),
            (on(&[&ours.replace("TRUE", "FALSE")]), Judgement::NotAllowed),
            (on(&[&ours.replace("Dir=In", "Dir=Out")]), Judgement::NotAllowed),
            (on(&[&ours.replace("Protocol=6", "Protocol=17")]), Judgement::NotAllowed),
            (on(&[&ours.replace("LPort=443", "LPort=444")]), Judgement::NotAllowed),
            (on(&[&ours.replace("PROXY", "OTHER")]), Judgement::NotAllowed),
            (on(&[&format!("{range}Svc=W3SVC|")]), Judgement::NotAllowed),
        ] {
            assert_eq!(judge(&firewall, program, 443), expected, "{firewall:?}");
        }
    }
}
