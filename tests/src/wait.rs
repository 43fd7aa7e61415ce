//! Waiting for a condition. Used by the whole harness; the only place with a clock.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// After so long what has not happened will not happen. Machines that build and test at the same time are slow.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at something that cannot notify.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Looks until `look` finds something.
///
/// # Panics
/// When a minute has passed.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "has not happened within a minute: {what}");
        sleep(LOOK_AGAIN).await;
    }
}

/// The future's result.
///
/// # Panics
/// When a minute has passed.
pub async fn bounded<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(result) => result,
        Err(_) => panic!("has not happened within a minute: {what}"),
    }
}
