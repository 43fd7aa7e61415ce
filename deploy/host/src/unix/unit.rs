//! The text of systemd units: a service, the sockets that outlive it, and the target by which a set is restarted.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::service::Service;

const MEETING: &str = "RuntimeDirectory=";
const WRITTEN: &str = "# Written by `tidegate service install`; changes belong into a drop-in (`systemctl edit`).";
/// Beyond the time that the service needs to stop, before systemd kills what is left.
const MARGIN_SECONDS: u64 = 10;

/// The kinds of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Service,
    Socket,
    Target,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Socket => "socket",
            Self::Target => "target",
        }
    }
}

/// The name of a unit.
pub(super) fn unit(name: &str, kind: Kind) -> String {
    format!("{name}.{}", kind.suffix())
}

/// The target of a set.
pub(super) fn target(set: &str) -> String {
    unit(&set.to_lowercase(), Kind::Target)
}

/// The unit of a service. `group`: that of the account that it is a guest of.
pub(super) fn service(service: &Service, account: &str, group: Option<&str>) -> String {
    let mut unit = String::new();
    let mut line = |line: &str| {
        unit.push_str(line);
        unit.push('\n');
    };
    line(WRITTEN);
    line("[Unit]");
    line(&format!("Description={}", plain(&service.title)));
    line("After=network-online.target");
    line("Wants=network-online.target");
    line(&format!("PartOf={}", target(&service.set)));
    if let Some(after) = &service.after {
        // In a restart of both this one stops first and starts last.
        line(&format!("After={}", self::unit(after, Kind::Service)));
    }
    if has_socket(service) {
        line(&format!("Requires={}", self::unit(&service.name, Kind::Socket)));
    }
    // Tried for ever: a database may come up later.
    line("StartLimitIntervalSec=0");
    line("");
    line("[Service]");
    line("Type=notify");
    line(&format!("User={}", plain(account)));
    if let Some(group) = group {
        // By it the sockets of the other service are reached, and no more of it is had there than the group has.
        line(&format!("SupplementaryGroups={}", plain(group)));
    }
    line(&format!("ExecStart={}", command(service.program.as_os_str(), &service.arguments)));
    if let Some((program, arguments)) = service.reload.split_first() {
        // Where the proxy has an account of its own, that of the apps gives no orders: root does.
        let by_root = if service.other_account.is_some() { "+" } else { "" };
        line(&format!("ExecReload={by_root}{}", command(program, arguments)));
    }
    line("Restart=on-failure");
    line("RestartSec=5");
    // A wrong site file is not right the next time either.
    line("RestartPreventExitStatus=78");
    // The programs finish requests; what they leave behind is killed.
    line("KillMode=mixed");
    line(&format!("TimeoutStopSec={}", service.stop_timeout.as_secs() + MARGIN_SECONDS));
    line("LimitNOFILE=1048576");
    if service.after.is_none() {
        // The services meet there. Made by one unit: two with accounts of their own would take it from each other.
        line(&format!("{MEETING}{}", runtime_directory(&service.instance)));
        line(if service.other_account.is_some() { "RuntimeDirectoryMode=0750" } else { "RuntimeDirectoryMode=0700" });
        // The one that stops must not take it away from the other.
        line("RuntimeDirectoryPreserve=yes");
    }
    line(&format!("Environment=XDG_RUNTIME_DIR={RUN}"));
    line("NoNewPrivileges=yes");
    line("UMask=0027");
    // The socket unit has the listeners, low ports too.
    line("CapabilityBoundingSet=");
    if service.confined {
        line("ProtectSystem=strict");
        line("PrivateDevices=yes");
        line("ProtectKernelTunables=yes");
        line("ProtectControlGroups=yes");
        line("RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX");
        for directory in service.writable.iter().chain(&service.writable_by_others) {
            line(&format!("ReadWritePaths={}", path_in_list(directory)));
        }
    }
    line("");
    line("[Install]");
    line("WantedBy=multi-user.target");
    unit
}

/// The unit of its listeners, if it has any that systemd can hold: not one on a port that is chosen when it is bound.
pub(super) fn socket(service: &Service) -> Option<String> {
    if !has_socket(service) {
        return None;
    }
    let mut unit = format!("{WRITTEN}\n[Unit]\nDescription={}: listeners\n\n[Socket]\n", plain(&service.title));
    for address in service.listeners.iter().filter(|address| is_fixed(address)) {
        unit.push_str(&format!("ListenStream={}\n", stream(*address)));
    }
    unit.push_str("BindIPv6Only=both\n");
    // An address that the network brings up later can be bound before.
    unit.push_str("FreeBind=yes\n");
    unit.push_str(&format!("Backlog={}\n", super::TCP_BACKLOG));
    unit.push_str("\n[Install]\nWantedBy=sockets.target\n");
    Some(unit)
}

/// The unit by which the services of a set are restarted in one transaction: one after the other, both would be
/// restarted while the other still, or not yet, runs.
pub(super) fn set(services: &[&Service]) -> String {
    let names: Vec<String> = services.iter().map(|service| unit(&service.name, Kind::Service)).collect();
    let title = "Tidegate: `systemctl restart` of this unit restarts the whole set, and clients wait";
    format!("{WRITTEN}\n[Unit]\nDescription={title}\nWants={}\n", names.join(" "))
}

/// Where the system's runtime directories are.
pub(super) const RUN: &str = "/run";

/// That of a site's services. Short: it is the beginning of each socket's path, which has 107 bytes.
pub(super) fn runtime_directory(instance: &str) -> String {
    const DIGITS: usize = 8;
    format!("tidegate-{}", instance.get(..DIGITS).unwrap_or(instance))
}

/// Whether a unit makes the directory in which services meet. Until both had an account of their own, each did.
pub(super) fn makes_directory(unit: &str) -> bool {
    unit.lines().any(|line| line.starts_with(MEETING))
}

/// The path of a unit in a directory.
pub(super) fn path(directory: &Path, unit: &str) -> PathBuf {
    directory.join(unit)
}

/// Whether a unit starts a program whose name begins so.
pub(super) fn runs(unit: &str, program: &str) -> bool {
    let mut starts = unit.lines().filter_map(|line| line.strip_prefix("ExecStart="));
    starts.any(|command| {
        let command = command.trim_start_matches('"');
        let path = command.split(['"', ' ']).next().unwrap_or_default();
        path.rsplit('/').next().is_some_and(|name| name.starts_with(program))
    })
}

fn has_socket(service: &Service) -> bool {
    service.listeners.iter().any(is_fixed)
}

fn is_fixed(address: &SocketAddr) -> bool {
    address.port() != 0
}

/// The port alone is `[::]`, or `0.0.0.0` on a system without IPv6, as where Tidegate binds it.
fn stream(address: SocketAddr) -> String {
    if address.is_ipv6() && address.ip().is_unspecified() { address.port().to_string() } else { address.to_string() }
}

fn command(program: &OsStr, arguments: &[std::ffi::OsString]) -> String {
    let words = std::iter::once(program).chain(arguments.iter().map(AsRef::as_ref));
    words.map(argument).collect::<Vec<_>>().join(" ")
}

/// One word of a command line, by the rules of systemd.service(5): `$` stands for a variable.
fn argument(word: &OsStr) -> String {
    quoted(&word.to_string_lossy()).replace('$', "$$")
}

/// One of a list of paths, by the rules of systemd.exec(5): no variables, but `+`, `-` and `!` before a path mean something.
fn path_in_list(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// In quotes, with `%` and what ends or escapes them doubled or escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '%' => quoted.push_str("%%"),
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            // Writing to a String cannot fail.
            letter if letter.is_control() => drop(write!(quoted, "\\x{:02x}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A value on a line of its own.
fn plain(value: &str) -> String {
    value.replace('%', "%%").chars().filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_start_our_programs_are_known() {
        for (unit, expected) in [
            ("[Service]\nExecStart=\"/usr/lib/tidegate/tidegate-proxy\" \"--config\" \"/a\"\n", true),
            ("ExecStart=/usr/bin/tidegate-appserver --config /a", true),
            ("ExecStart=/usr/bin/vim /etc/tidegate-proxy", false),
            ("# ExecStart=/usr/bin/tidegate-proxy", false),
        ] {
            assert_eq!(runs(unit, "tidegate-"), expected, "{unit}");
        }
    }

    #[test]
    fn listeners_are_named_as_systemd_reads_them() {
        for (address, expected) in [
            ("[::]:443", "443"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:8080", "[::1]:8080"),
            ("192.0.2.1:443", "192.0.2.1:443"),
        ] {
            assert_eq!(stream(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn words_are_quoted_as_systemd_reads_them() {
        for (word, expected) in [
            ("/usr/bin/x", "\"/usr/bin/x\""),
            ("a b", "\"a b\""),
            ("50%", "\"50%%\""),
            ("$HOME", "\"$$HOME\""),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("a\nb", "\"a\\x0ab\""),
        ] {
            assert_eq!(argument(OsStr::new(word)), expected, "{word}");
        }
        // Only command lines have variables.
        assert_eq!(path_in_list(Path::new("/srv/50% of $x")), "\"/srv/50%% of $x\"");
    }

    fn of(other: Option<&str>, after: Option<&str>) -> String {
        let made = Service {
            name: "tidegate-x".to_owned(),
            set: "Tidegate".to_owned(),
            after: after.map(str::to_owned),
            title: "x".to_owned(),
            description: String::new(),
            program: "/usr/bin/x".into(),
            arguments: Vec::new(),
            account: None,
            password: None,
            start: None,
            stop_timeout: std::time::Duration::from_secs(5),
            reload: vec!["/usr/bin/tidegate".into(), "reload".into()],
            writable: Vec::new(),
            below: Vec::new(),
            files: Vec::new(),
            writable_by_others: Vec::new(),
            instance: "0123456789abcdef".to_owned(),
            other_account: other.map(str::to_owned),
            confined: false,
            listeners: Vec::new(),
        };
        service(&made, "web", other.filter(|_| after.is_some()))
    }

    #[test]
    fn the_first_service_alone_makes_the_directory_and_opens_it_to_guests() {
        let [server, proxy] = [of(Some("proxy"), None), of(Some("apps"), Some("tidegate-appserver"))];
        let has = |unit: &str, line: &str| unit.lines().any(|own| own == line);
        for line in ["User=web", "RuntimeDirectory=tidegate-01234567", "RuntimeDirectoryMode=0750"] {
            assert!(has(&server, line), "{line}: {server}");
        }
        assert!(makes_directory(&server) && !makes_directory(&proxy), "{proxy}");
        assert!(has(&proxy, "SupplementaryGroups=apps") && !server.contains("SupplementaryGroups"), "{proxy}");
        for unit in [&server, &proxy] {
            assert!(has(unit, "ExecReload=+\"/usr/bin/tidegate\" \"reload\""), "{unit}");
        }
        let one = [of(None, None), of(None, Some("tidegate-appserver"))];
        assert!(has(&one[0], "RuntimeDirectoryMode=0700") && !makes_directory(&one[1]), "{one:?}");
        for unit in &one {
            assert!(has(unit, "ExecReload=\"/usr/bin/tidegate\" \"reload\""), "{unit}");
            assert!(!unit.contains("SupplementaryGroups"), "{unit}");
        }
    }

    #[test]
    fn each_site_has_a_runtime_directory_of_its_own() {
        assert_eq!(runtime_directory("0123456789abcdef"), "tidegate-01234567");
        assert_ne!(runtime_directory("1123456789abcdef"), runtime_directory("0123456789abcdef"));
    }
}
