//! `tidegate maintenance`: closes hosts of the running site, opens them again, and says what is closed. The
//! app server keeps it and tells the proxy, which turns visitors away.

use std::fmt::Write as _;
use std::path::Path;

use tidegate_contract::{Closure, MaintenanceOrder, MaintenanceState};
use time::OffsetDateTime;

use crate::args;
use crate::control::ControlError;
use crate::failure::Failure;
use crate::style::Style;

/// Runs the command.
pub(crate) async fn run(config: &Path, arguments: &args::Maintenance, style: Style) -> Result<(), Failure> {
    let mut control = crate::control::connect(config).await?;
    if let Some(order) = order(arguments) {
        let refused = control.maintenance(order).await.map_err(ControlError::into_failure)?;
        if let Some(reason) = refused {
            let next = "`tidegate maintenance status` shows what is closed";
            return Err(Failure::new(format!("nothing was changed: {reason}")).next(next));
        }
    }
    let report = control.status().await.map_err(ControlError::into_failure)?;
    if report.maintenance.closures.is_empty() {
        println!("{}", style.good("nothing is closed for maintenance"));
    } else {
        print!("{}", show(&report.maintenance, style));
    }
    if report.proxy.is_none() {
        println!("{}", style.warning("no proxy is connected: it will hear of this when it is"));
    }
    Ok(())
}

fn order(arguments: &args::Maintenance) -> Option<MaintenanceOrder> {
    match arguments {
        args::Maintenance::On { host, message, retry_after } => {
            let seconds = retry_after.as_millis().div_ceil(1000);
            Some(MaintenanceOrder::On(Closure {
                host: host.as_deref().map(canonical),
                message: message.clone(),
                retry_after_s: seconds.try_into().unwrap_or(u32::MAX),
                since: None,
            }))
        }
        args::Maintenance::Off { host } => Some(MaintenanceOrder::Off { host: host.as_deref().map(canonical) }),
        args::Maintenance::Status => None,
    }
}

/// The form that names have once the site file is checked.
fn canonical(host: &str) -> String {
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// A line for each closure.
pub(crate) fn show(state: &MaintenanceState, style: Style) -> String {
    let mut out = String::new();
    for closure in &state.closures {
        let host = closure.host.as_deref().unwrap_or("every host");
        let since = match closure.since {
            None => "by the site file".to_owned(),
            Some(since) => format!("since {}", moment(since)),
        };
        let what = format!("{host} is closed for maintenance");
        // Writing to a String cannot fail.
        let _ = write!(out, "{} {since}, retry after {} s", style.warning(&what), closure.retry_after_s);
        if let Some(message) = &closure.message {
            let _ = write!(out, ": {message}");
        }
        out.push('\n');
    }
    out
}

/// `2026-11-22 20:31 UTC`.
fn moment(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let Some(time) = time else { return format!("{seconds} s after 1970") };
    format!("{} {:02}:{:02} UTC", time.date(), time.hour(), time.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closed_is_said_in_a_line_each() {
        let closed = |host: Option<&str>, message: Option<&str>, since| Closure {
            host: host.map(str::to_owned),
            message: message.map(str::to_owned),
            retry_after_s: 600,
            since,
        };
        let state = MaintenanceState {
            closures: vec![closed(None, Some("Back at 9."), Some(1_795_379_460)), closed(Some("blog"), None, None)],
        };
        let expected = "\
every host is closed for maintenance since 2026-11-22 20:31 UTC, retry after 600 s: Back at 9.
blog is closed for maintenance by the site file, retry after 600 s
";
        assert_eq!(show(&state, Style::plain()), expected);
    }

    #[test]
    fn names_are_compared_in_one_form() {
        for (name, expected) in [("Shop.Example.", "shop.example"), ("[::1]", "::1"), ("*", "*")] {
            assert_eq!(canonical(name), expected);
        }
    }
}
