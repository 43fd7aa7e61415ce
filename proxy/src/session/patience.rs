//! Waiting with an end. Most of what is waited for is ready at once, so a timer is made only for what is not.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

/// The future's result and how long it took to come, or nothing when it takes longer than `limit`.
pub(super) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<(T, Duration)> {
    let mut future = pin!(future);
    let at_once = poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        })
    });
    if let Some(result) = at_once.await {
        return Some((result, Duration::ZERO));
    }
    let begun = Instant::now();
    let result = timeout_at(begun + limit, future).await.ok()?;
    Some((result, begun.elapsed()))
}

/// A timer that is set again and again, nearly always to a later time, and nearly never rings: a connection's wait for its
/// next request. The system's timer is moved only when it has rung too early.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Whether it is `end` yet. The last look's task is woken then.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, end: Instant) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if end < timer.deadline() {
            timer.as_mut().reset(end);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= end {
                return Poll::Ready(());
            }
            timer.as_mut().reset(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt as _;
    use tokio::time::{advance, sleep};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_takes_no_time_and_what_is_late_is_given_up() {
        assert_eq!(within(Duration::ZERO, ready(1)).await, Some((1, Duration::ZERO)));
        assert_eq!(within(2 * SECOND, sleep(SECOND)).await, Some(((), SECOND)));
        assert_eq!(within(SECOND, pending::<()>()).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_rings_at_the_time_of_the_last_look() {
        let mut alarm = Alarm::default();
        let start = Instant::now();
        let rings =
            |alarm: &mut Alarm, end: u32| poll_fn(|cx| alarm.poll(cx, start + end * SECOND)).now_or_never().is_some();
        assert!(!rings(&mut alarm, 2));
        advance(3 * SECOND).await;
        assert!(!rings(&mut alarm, 5), "moved later");
        assert!(!rings(&mut alarm, 4), "moved earlier");
        advance(SECOND).await;
        assert!(rings(&mut alarm, 4));
        assert!(!rings(&mut alarm, 9), "set again");
        poll_fn(|cx| alarm.poll(cx, start + 9 * SECOND)).await;
        assert_eq!(start.elapsed().as_secs(), 9);
    }
}
