//! The text of a systemd unit.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use crate::service::Service;

/// Beyond the time that the service needs to stop, before systemd kills what is left.
const MARGIN_SECONDS: u64 = 10;

/// The unit of a service.
pub(super) fn text(service: &Service, account: &str) -> String {
    let mut unit = String::new();
    let mut line = |line: &str| {
        unit.push_str(line);
        unit.push('\n');
    };
    line("# Written by `tidegate service install`; changes belong into a drop-in (`systemctl edit`).");
    line("[Unit]");
    line(&format!("Description={}", plain(&service.title)));
    line("After=network-online.target");
    line("Wants=network-online.target");
    // Tried for ever: a database may come up later.
    line("StartLimitIntervalSec=0");
    line("");
    line("[Service]");
    line("Type=notify");
    line(&format!("User={}", plain(account)));
    line(&format!("ExecStart={}", command(service.program.as_os_str(), &service.arguments)));
    if let Some((program, arguments)) = service.reload.split_first() {
        line(&format!("ExecReload={}", command(program, arguments)));
    }
    line("Restart=on-failure");
    line("RestartSec=5");
    // A wrong site file is not right the next time either.
    line("RestartPreventExitStatus=78");
    // The programs finish requests; what they leave behind is killed.
    line("KillMode=mixed");
    line(&format!("TimeoutStopSec={}", service.stop_timeout.as_secs() + MARGIN_SECONDS));
    line("LimitNOFILE=1048576");
    // Both services meet in /run/tidegate, and the one that stops must not take it away from the other.
    line("RuntimeDirectory=tidegate");
    line("RuntimeDirectoryMode=0700");
    line("RuntimeDirectoryPreserve=yes");
    line("Environment=XDG_RUNTIME_DIR=/run");
    line("NoNewPrivileges=yes");
    line("UMask=0027");
    if service.confined {
        line("AmbientCapabilities=CAP_NET_BIND_SERVICE");
        line("CapabilityBoundingSet=CAP_NET_BIND_SERVICE");
        line("ProtectSystem=strict");
        line("PrivateDevices=yes");
        line("ProtectKernelTunables=yes");
        line("ProtectControlGroups=yes");
        line("RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX");
        for directory in &service.writable {
            line(&format!("ReadWritePaths={}", argument(directory.as_os_str())));
        }
    } else {
        line("CapabilityBoundingSet=");
    }
    line("");
    line("[Install]");
    line("WantedBy=multi-user.target");
    unit
}

/// The path of a unit in a directory.
pub(super) fn path(directory: &Path, name: &str) -> std::path::PathBuf {
    directory.join(format!("{name}.service"))
}

fn command(program: &OsStr, arguments: &[std::ffi::OsString]) -> String {
    let words = std::iter::once(program).chain(arguments.iter().map(AsRef::as_ref));
    words.map(argument).collect::<Vec<_>>().join(" ")
}

/// One word of a command line, by the rules of systemd.service(5): `%` and `$` stand for something, quotes and
/// backslashes are escaped.
fn argument(word: &OsStr) -> String {
    let mut quoted = String::from("\"");
    for letter in word.to_string_lossy().chars() {
        match letter {
            '%' => quoted.push_str("%%"),
            '$' => quoted.push_str("$$"),
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
    }
}
