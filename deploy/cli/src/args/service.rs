//! The command line of `tidegate service`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Service {
    /// Install both services, or bring installed ones up to date; they start with the system.
    Install(ServiceInstall),
    /// Stop both and remove them. Files and data stay.
    Uninstall(ServiceUninstall),
    /// Start both and wait until the site serves.
    Start(ServiceStart),
    /// Stop both; requests are finished first.
    Stop(ServiceStop),
    /// Stop and start both.
    Restart(ServiceChoice),
    /// Have them load the site file anew, as `tidegate reload` does.
    Reload(ServiceSet),
    /// Show what both do.
    Status(ServiceChoice),
}

/// The set of whoever has one site on a host.
pub(crate) const DEFAULT_SET: &str = "Tidegate";

#[derive(Debug, Args)]
pub(crate) struct ServiceSet {
    /// Beginning of the services' names, for more than one site on a host.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_SET, value_parser = set_name)]
    pub(crate) name: String,
}

/// One pair of services, or every pair.
#[derive(Debug, Args)]
pub(crate) struct ServiceChoice {
    #[command(flatten)]
    pub(crate) set: ServiceSet,

    /// Every service that runs the programs of this installation, whatever its --name.
    #[arg(long, conflicts_with = "name")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServiceUninstall {
    #[command(flatten)]
    pub(crate) chosen: ServiceChoice,

    /// Delete each site's `state_dir` as well: logs, buffers, certificates that Tidegate made. The site file, the app and
    /// everything else stay.
    #[arg(long)]
    pub(crate) remove_data: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServiceStop {
    #[command(flatten)]
    pub(crate) chosen: ServiceChoice,

    /// Remember which of them ran, for `start --remembered`: around an upgrade.
    #[arg(long, requires = "all")]
    pub(crate) remember: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServiceStart {
    #[command(flatten)]
    pub(crate) chosen: ServiceChoice,

    /// Those of this installation that `stop --all --remember` has stopped, and forget them.
    #[arg(long, conflicts_with_all = ["name", "all"])]
    pub(crate) remembered: bool,

    /// Leave it at starting them; the site file is not looked at.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServiceInstall {
    #[command(flatten)]
    pub(crate) set: ServiceSet,

    /// Bring every pair that runs the programs of this installation up to date, each for the site file, the account and the
    /// start that it has; permissions stay as they are. For packages, after an upgrade.
    #[arg(long, conflicts_with_all = ["name", "account", "proxy_account", "automatic", "delayed", "start", "unit_dir"])]
    pub(crate) all: bool,

    /// The account of both services: DOMAIN\shop$ (a managed service account), or one with a password, which is asked for
    /// (DOMAIN\shop, .\shop, shop@domain); `default` for the usual ones. Without it installed services keep theirs. The usual:
    /// on Windows an account of each service's own (NT SERVICE\TidegateProxy), on Linux the users tidegate (app server and
    /// apps) and tidegate-proxy, made if they are missing.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,

    /// The account of the proxy alone, one without a password; `default` for its usual one. With --account that is for the
    /// app server and the apps, which then cannot read the proxy's keys.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) proxy_account: Option<String>,

    /// The password of --account is the first line of standard input, and is not asked for in the console (Windows).
    #[arg(long, requires = "account")]
    pub(crate) password_stdin: bool,

    /// Start with the system. New services do; without it and --delayed installed ones keep their start.
    #[arg(long, conflicts_with = "delayed")]
    pub(crate) automatic: bool,

    /// Start some minutes after the system (Windows).
    #[arg(long)]
    pub(crate) delayed: bool,

    /// Leave the permissions of `state_dir`, keys (those of the Windows certificate store, too) and environment files as
    /// they are.
    #[arg(long)]
    pub(crate) keep_permissions: bool,

    /// Start them now.
    #[arg(long, conflicts_with = "unit_dir")]
    pub(crate) start: bool,

    /// Only write the units, into this directory, for a package (systemd).
    #[arg(long, value_name = "DIR")]
    pub(crate) unit_dir: Option<PathBuf>,
}

/// What systemd and Windows both take.
fn set_name(text: &str) -> Result<String, String> {
    let is_good = (1..=32).contains(&text.len())
        && text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-');
    if is_good { Ok(text.to_owned()) } else { Err("expected 1 to 32 letters, digits and -, a letter first".to_owned()) }
}
