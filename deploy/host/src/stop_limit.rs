//! How long the service manager lets this process finish, as it was told at the installation. The programs compare what a
//! reload asks for.

use std::sync::OnceLock;
use std::time::Duration;

static LIMIT: OnceLock<Duration> = OnceLock::new();

/// Tells of it. Counts once.
pub fn set_stop_limit(limit: Duration) {
    // Who tells of it again tells the same: the command line.
    let _ = LIMIT.set(limit);
}

/// What to say if a configuration lets requests take longer than the service manager waits; `None` if it does not, or if there
/// is no service manager that was told.
pub fn beyond_stop_limit(key: &str, wanted: Duration) -> Option<String> {
    beyond(LIMIT.get().copied(), key, wanted)
}

fn beyond(limit: Option<Duration>, key: &str, wanted: Duration) -> Option<String> {
    // It was told in whole seconds.
    let limit = limit.filter(|limit| wanted.as_secs() > limit.as_secs())?;
    Some(format!(
        "{key} is now {} s, but the service was installed for {} s: a stop of the service or a shutdown may cut requests off; run \
         `tidegate service install` again, which lets it take longer",
        wanted.as_secs(),
        limit.as_secs()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_than_was_installed_is_said() {
        for (limit, wanted, said) in [
            (Some(30_000), 30_000, false),
            (Some(30_000), 30_500, false),
            (Some(30_000), 31_000, true),
            (None, 90_000, false),
        ] {
            let text = beyond(limit.map(Duration::from_millis), "limits.drain_timeout", Duration::from_millis(wanted));
            assert_eq!(
                text.is_some_and(|text| text.contains("31 s") && text.contains("30 s")),
                said,
                "{limit:?} {wanted}"
            );
        }
    }
}
