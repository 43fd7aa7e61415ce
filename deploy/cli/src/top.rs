//! `tidegate top`: what the running site is doing, the oldest request first, each with the line of Python it is in.
//! On a terminal again and again; into a pipe or file once. It only asks: nothing of what it shows is changed by it.

mod requests;
mod screen;
mod workers;

use std::io::{IsTerminal as _, Write as _, stdout};
use std::path::Path;

use tidegate_host::{Signal, Signals};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep_until};

pub(crate) use self::requests::{age, place};
use self::screen::{Extent, show};
use self::workers::Before;
use crate::args;
use crate::control::connect;
use crate::failure::Failure;
use crate::style::Style;

/// Goes to the screen's first line and clears it. What was scrolled out of it before is the operator's.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Runs the command.
pub(crate) async fn run(config: &Path, arguments: &args::Top, style: Style) -> Result<(), Failure> {
    let mut control = connect(config).await?;
    let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    let live = stdout().is_terminal() && !arguments.json && !dumb;
    if !live {
        let report = control.inspect(arguments.stacks).await.map_err(|error| error.into_failure())?;
        let text = if arguments.json {
            let json = serde_json::to_string_pretty(&report).map_err(|error| Failure::new(error.to_string()))?;
            format!("{json}\n")
        } else {
            show(&report, None, Extent::Everything { stacks: arguments.stacks }, OffsetDateTime::now_utc(), style)
        };
        return print(&text);
    }
    let mut signals = Signals::install().map_err(|error| Failure::new(format!("failed to handle Ctrl-C: {error}")))?;
    let mut before: Option<Before> = None;
    loop {
        let next = Instant::now() + arguments.interval;
        let report = tokio::select! {
            // Both are cancel-safe, or their loss is without consequence.
            report = control.inspect(arguments.stacks) => report.map_err(|error| error.into_failure())?,
            () = stop(&mut signals) => return Ok(()),
        };
        let extent = Extent::Screen { stacks: arguments.stacks };
        let text = show(&report, before.as_ref(), extent, OffsetDateTime::now_utc(), style);
        // In one write, so that the screen does not flicker.
        print(&format!("{CLEAR}{text}"))?;
        before = Some(Before::new(&report, Instant::now()));
        tokio::select! {
            () = sleep_until(next) => {}
            () = stop(&mut signals) => return Ok(()),
        }
    }
}

/// The next request to stop; cancel-safe.
async fn stop(signals: &mut Signals) {
    while signals.next().await != Signal::Stop {}
}

/// Whoever reads a pipe may have seen enough and gone.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("failed to write: {error}")))
        }
        _ => Ok(()),
    }
}
