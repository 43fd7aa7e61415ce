//! The command line. `main` parses it; docs/commands.md describes it at more length.

mod certificate;
mod logs;
mod maintenance;
mod service;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::certificate::{Certificate, CertificateImport, CertificateShow, Password, ProxyAccount};
pub(crate) use self::logs::{LogLevel, Logs};
pub(crate) use self::maintenance::Maintenance;
pub(crate) use self::service::{
    DEFAULT_SET, Service, ServiceChoice, ServiceInstall, ServiceSet, ServiceStart, ServiceStop, ServiceUninstall,
};

const EXIT_CODES: &str = "\
Exit codes:
  0   good
  1   failure: something is wrong, or nothing runs
  2   wrong command line
  78  the site file is wrong

First steps, in an application's directory:
  tidegate init    write tidegate.yaml
  tidegate check   see whether it would start
  tidegate up      start it";

/// Serves Python WSGI applications: one YAML file, one pair of processes.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// The site file. Default: tidegate.yaml in the current directory; where there is none and the site runs as services, commands
    /// about what runs take theirs.
    #[arg(long, global = true, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// When to use colours; `auto` is on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a commented tidegate.yaml for an application's directory.
    Init(Init),
    /// Check the site file, certificates, ports and that every app can be imported.
    Check(Check),
    /// Look for what is wrong with the site, its services and this machine, each with the next step.
    Doctor(Doctor),
    /// Run the site in the foreground until Ctrl-C.
    Up(Up),
    /// Show the apps and workers of the running site.
    Status(Status),
    /// Show the requests that run now, with the line of Python each is in, and the workers.
    Top(Top),
    /// Show what the programs of the site have logged, and what they log now.
    Logs(Logs),
    /// Load the site file, certificates and app code anew, without dropping a request.
    Reload,
    /// Close hosts for maintenance, open them again, or show what is closed.
    #[command(subcommand)]
    Maintenance(Maintenance),
    /// Hash a password from standard input for a users_file.
    HashPassword(HashPassword),
    /// Show a certificate, list those of the Windows certificate store, or import one.
    #[command(subcommand)]
    Certificate(Certificate),
    /// Install and drive the pair as services: Windows services, or systemd units.
    #[command(subcommand)]
    Service(Service),
}

#[derive(Debug, Args)]
pub(crate) struct HashPassword {
    /// Print a whole line, with this name before the hash.
    #[arg(long, value_name = "NAME", value_parser = user)]
    pub(crate) user: Option<String>,
}

/// A name that can stand before a colon.
fn user(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.contains(':') || text.starts_with('#') || text.chars().any(char::is_control) {
        return Err("expected a name without a colon that does not start with #".to_owned());
    }
    Ok(text.trim().to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The application's directory.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,

    /// The WSGI callable, such as shop.wsgi:application, instead of looking for it.
    #[arg(long, value_name = "TARGET")]
    pub(crate) wsgi: Option<String>,

    /// Replace a tidegate.yaml that is there.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Leave out the import of the apps.
    #[arg(long)]
    pub(crate) no_import: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Leave out the import of the apps.
    #[arg(long)]
    pub(crate) no_import: bool,

    /// All findings, as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) set: ServiceSet,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// No report on standard output; the programs' logs stay.
    #[arg(long)]
    pub(crate) quiet: bool,

    /// For development: reload when code, templates or the site file change, and show exceptions of the
    /// apps in the browser.
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Everything, as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// On a terminal: between two looks.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    pub(crate) interval: Duration,

    /// The whole stack of each request.
    #[arg(long)]
    pub(crate) stacks: bool,

    /// Everything, once, as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// More often than this the workers would be busy with answers.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

fn interval(text: &str) -> Result<Duration, String> {
    let interval = tidegate_site::parse_duration(text)?;
    if interval < SHORTEST_INTERVAL { Err("expected 100ms or more".to_owned()) } else { Ok(interval) }
}

#[cfg(test)]
mod scripts;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_for_all_stand_before_and_after_the_command() {
        for line in [["tidegate", "--config", "a.yaml", "status"], ["tidegate", "status", "--config", "a.yaml"]] {
            let arguments = Arguments::try_parse_from(line).unwrap();
            assert_eq!(arguments.config, Some(PathBuf::from("a.yaml")));
        }
    }
}
