//! What a service manager has asked of this process and the program has not taken yet. Used by the Windows half; decides
//! nothing.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tokio::sync::Notify;

use crate::Signal;

/// A stop is never lost, whatever waits beside it, and comes first. Reloads that wait are one.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    stop: Notify,
    reload: Notify,
}

impl Requests {
    /// Never waits: the manager's own thread calls it.
    pub(crate) fn add(&self, signal: Signal) {
        match signal {
            Signal::Stop => self.stop.notify_one(),
            Signal::Reload => self.reload.notify_one(),
        }
    }

    /// The next of them. Cancel-safe: `Notify` passes on what a dropped waiter was told.
    pub(crate) async fn next(&self) -> Signal {
        let (mut stop, mut reload) = (pin!(self.stop.notified()), pin!(self.reload.notified()));
        poll_fn(|cx| match stop.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Signal::Stop),
            Poll::Pending => reload.as_mut().poll(cx).map(|()| Signal::Reload),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_is_not_lost_behind_reloads() {
        let requests = Requests::default();
        for _ in 0..100 {
            requests.add(Signal::Reload);
        }
        requests.add(Signal::Stop);
        assert_eq!(requests.next().await, Signal::Stop);
        assert_eq!(requests.next().await, Signal::Reload);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), requests.next()).await.is_err());
        requests.add(Signal::Stop);
        assert_eq!(requests.next().await, Signal::Stop);
    }
}
