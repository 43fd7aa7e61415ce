//! The services of a site: whether they are installed for this very file, their accounts, how they start, what they do.

use tidegate_host::{ServiceSettings, ServiceState, StartType};
use tidegate_site::Site;

use crate::args::ServiceSet;
use crate::finding::Report;
use crate::service::{PARTS, site_file};

const TOPIC: &str = "services";

/// Exit code of a program whose site file is wrong.
const BAD_CONFIGURATION: u32 = 78;

/// Accounts that may do everything.
const ALMIGHTY: [&str; 4] = ["root", "LocalSystem", r"NT AUTHORITY\SYSTEM", r".\LocalSystem"];

/// Whether an account may do everything on this machine.
pub(super) fn is_almighty(account: &str) -> bool {
    ALMIGHTY.iter().any(|almighty| almighty.eq_ignore_ascii_case(account))
}

/// The services of this site, as far as they are installed.
#[derive(Debug, Default)]
pub(super) struct Services {
    pub(super) server: Option<ServiceSettings>,
    pub(super) proxy: Option<ServiceSettings>,
}

impl Services {
    /// Looks at them. Without a site any is taken for its own.
    pub(super) fn look(site: Option<&Site>, set: &ServiceSet, report: &mut Report) -> Self {
        let names = PARTS.map(|part| tidegate_host::service_name(&set.name, part));
        let found = names.each_ref().map(|name| tidegate_host::service_settings(name));
        let [server, proxy] = match found {
            [Ok(server), Ok(proxy)] => [server, proxy],
            [Err(error), _] | [_, Err(error)] => {
                let error = error.to_string();
                report.unknown(TOPIC, error.lines().next().unwrap_or_default());
                return Self::default();
            }
        };
        let is_other = |settings: &Option<ServiceSettings>| {
            site.zip(settings.as_ref()).is_some_and(|(site, settings)| !settings.is_for(site))
        };
        if is_other(&server) || is_other(&proxy) {
            let text = format_args!("{} and {} serve another site file, not this one", names[0], names[1]);
            report.warning(
                TOPIC,
                text,
                "name this site's services with --name, or install them with `tidegate service install --name NAME`",
            );
            return Self::default();
        }
        match (&server, &proxy) {
            (None, None) => {
                let text = "none is installed: the site runs while `tidegate up` does; `tidegate service install --start` \
                            lets it start with the system";
                report.good(TOPIC, text);
            }
            _ => {
                for (name, settings) in names.iter().zip([&server, &proxy]) {
                    match settings {
                        Some(settings) => installed(name, settings, report),
                        None => report.problem(
                            TOPIC,
                            format_args!("{name} is not installed, and the other one of the pair is"),
                            "`tidegate service install` as administrator (root)",
                        ),
                    }
                }
            }
        }
        if let (Some(server), Some(proxy)) = (&server, &proxy)
            && server.account == proxy.account
        {
            report.warning(
                TOPIC,
                format_args!("both run as {}, so apps can read the proxy's keys and stop it", server.account),
                "nothing, if you chose that; else `tidegate service install --account default`, or --proxy-account for the \
                 proxy's alone",
            );
        }
        Self { server, proxy }
    }

    /// Whether any is installed.
    pub(super) fn any(&self) -> bool {
        self.server.is_some() || self.proxy.is_some()
    }
}

trait ForSite {
    /// Whether a service was installed for this site file.
    fn is_for(&self, site: &Site) -> bool;
}

impl ForSite for ServiceSettings {
    fn is_for(&self, site: &Site) -> bool {
        site_file(self).is_some_and(|file| tidegate_host::is_same_path(&file, &site.file))
    }
}

fn installed(name: &str, settings: &ServiceSettings, report: &mut Report) {
    let ServiceSettings { account, start, command, .. } = settings;
    if is_almighty(account) {
        report.warning(
            TOPIC,
            format_args!("{name} runs as {account}, which may do everything on this machine"),
            "`tidegate service install --account default` gives it an account of its own",
        );
    }
    if is_unquoted(command) {
        report.problem(
            TOPIC,
            format_args!(
                "{name}: the path of its program has spaces and no quotes, so another program may be started: {command}"
            ),
            "`tidegate service install` writes it anew",
        );
    }
    match start {
        StartType::Automatic => {}
        StartType::Manual | StartType::Disabled => {
            let how = if *start == StartType::Manual { "only when it is asked to" } else { "never: it is disabled" };
            report.warning(
                TOPIC,
                format_args!("{name} starts {how}, not with the system"),
                "`tidegate service install --automatic` lets it start with the system",
            );
        }
    }
    match tidegate_host::service_state(name) {
        Ok(ServiceState::Running { pid }) => {
            report.good(TOPIC, format_args!("{name} runs as {account}, process {pid}"))
        }
        Ok(ServiceState::Starting) => report.good(TOPIC, format_args!("{name} starts, as {account}")),
        Ok(ServiceState::Failed { code: BAD_CONFIGURATION }) => report.problem(
            TOPIC,
            format_args!("{name} ended because the site file was wrong (code 78)"),
            "`tidegate check`, then `tidegate service start`",
        ),
        Ok(ServiceState::Failed { code }) => report.problem(
            TOPIC,
            format_args!("{name} ended with code {code}, and was not asked to"),
            "`tidegate logs --level warn` says why; then `tidegate service start`",
        ),
        Ok(ServiceState::Stopped | ServiceState::Stopping) => {
            report.warning(
                TOPIC,
                format_args!("{name} is stopped (its account: {account})"),
                "`tidegate service start`",
            );
        }
        Ok(ServiceState::Missing) => {}
        Err(error) => report.unknown(TOPIC, format_args!("what {name} does: {error}")),
    }
}

/// Windows tries `C:\Program.exe` first for `C:\Program Files\x.exe` without quotes.
fn is_unquoted(command: &str) -> bool {
    let program = command.to_lowercase().find(".exe").map_or("", |end| &command[..end]);
    !command.starts_with('"') && program.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_spaces_needs_quotes() {
        for (command, unquoted) in [
            (r#""C:\Program Files\Tidegate\tidegate-proxy.exe" --config C:\a"#, false),
            (r"C:\Program Files\Tidegate\tidegate-proxy.exe --config C:\a", true),
            (r"C:\tidegate\tidegate-proxy.exe --config C:\a b", false),
            ("/opt/my tidegate/tidegate-proxy --config /a", false),
        ] {
            assert_eq!(is_unquoted(command), unquoted, "{command}");
        }
    }
}
