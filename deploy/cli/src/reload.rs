//! `tidegate reload`: asks the app server, which coordinates it, and shows what it does.

use std::path::Path;
use std::time::Duration;

use tidegate_site::Site;

use crate::control::Control;
use crate::failure::Failure;
use crate::style::Style;

/// To connect to an app server that runs.
const CONNECT: Duration = Duration::from_secs(5);

/// Beyond what workers may take to start, for everything else between two lines of progress.
const MARGIN: Duration = Duration::from_secs(30);

/// Runs the command.
pub(crate) async fn run(config: &Path, style: Style) -> Result<(), Failure> {
    // The server checks the file again; this finds the endpoint, and says what is wrong sooner.
    let site = tidegate_site::load(config).map_err(|error| {
        Failure::configuration(config, &error).next("correct the file; a running site goes on with what it has loaded")
    })?;
    let mut control =
        Control::connect(&site.control_endpoint(), CONNECT).await.map_err(|error| error.into_failure())?;
    match control.reload(silence(&site), |line| println!("{line}")).await {
        Ok(None) => {
            println!("{}", style.good("reloaded"));
            Ok(())
        }
        Ok(Some(reason)) => Err(Failure::new(format!("nothing was changed: {reason}"))
            .next("correct it and run `tidegate reload` again; the site goes on with what it has loaded")),
        Err(error) => Err(error.into_failure()),
    }
}

/// How long a reload may say nothing: while the slowest app starts, or drains its old workers.
pub(crate) fn silence(site: &Site) -> Duration {
    site.apps.iter().map(|app| app.start_timeout + app.drain_timeout).max().unwrap_or_default() + MARGIN
}
