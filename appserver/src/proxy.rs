//! The connected proxy, seen from inside: what is sent to it, whether it is there, what it has
//! reported. Used by `control` (which owns the connection), `worker`, `pool` and `reload`.
//! Never waits for the proxy's socket.

use parking_lot::Mutex;
use tidegate_contract::{FromServer, Generation, PoolState, ProxyReport};
use tokio::sync::{mpsc, oneshot, watch};

/// Messages beside the pool's state that a proxy may be behind; one that is further behind has
/// stopped reading, and its connection is given up.
const OUTBOUND: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct ProxyLink {
    session: Mutex<Option<Session>>,
    /// The number of the current session; 0 without one.
    present: watch::Sender<u64>,
    /// Counts reports: a proxy reports after its hello and after each commit.
    reports: watch::Sender<u64>,
}

#[derive(Debug)]
struct Session {
    number: u64,
    outbound: mpsc::Sender<FromServer>,
    report: Option<ProxyReport>,
    /// Whoever waits for this reload's `Prepared`.
    preparing: Option<(u64, oneshot::Sender<Option<String>>)>,
}

/// The proxy's connection is gone, or it has stopped reading.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl ProxyLink {
    /// A proxy has connected; an earlier one's queue ends, and so its connection.
    pub(crate) fn attach(&self, number: u64) -> mpsc::Receiver<FromServer> {
        let (outbound, receiver) = mpsc::channel(OUTBOUND);
        let session = Session { number, outbound, report: None, preparing: None };
        if self.session.lock().replace(session).is_some() {
            tracing::warn!("another proxy connected and replaces the one before");
        }
        self.present.send_replace(number);
        receiver
    }

    /// A proxy's connection has ended.
    pub(crate) fn detach(&self, number: u64) {
        let mut session = self.session.lock();
        if session.as_ref().is_some_and(|session| session.number == number) {
            *session = None;
            self.present.send_replace(0);
        }
    }

    /// Follows whether a proxy is connected: its session's number, or 0.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.present.subscribe()
    }

    /// Follows the reports from now on.
    pub(crate) fn watch_reports(&self) -> watch::Receiver<u64> {
        self.reports.subscribe()
    }

    /// The current session's number, or 0.
    pub(crate) fn current(&self) -> u64 {
        *self.present.borrow()
    }

    pub(crate) fn report(&self) -> Option<ProxyReport> {
        self.session.lock().as_ref()?.report.clone()
    }

    /// Takes a report. Returns whether it is this session's first.
    pub(crate) fn reported(&self, number: u64, report: ProxyReport) -> bool {
        let mut is_first = false;
        self.with(number, |session| is_first = session.report.replace(report).is_none());
        self.reports.send_modify(|reports| *reports += 1);
        is_first
    }

    /// A thread whose request was cut short is back. Without a proxy nobody counts slots.
    pub(crate) fn slot_back(&self, app: &str, generation: Generation, dispatch: u64) {
        let number = self.current();
        let _ = self.send(number, FromServer::SlotBack { app: app.to_owned(), generation, dispatch });
    }

    /// Asks the proxy to load the file; the receiver gets its answer, or fails with the session.
    pub(crate) fn prepare(
        &self,
        number: u64,
        reload: u64,
        digest: String,
    ) -> Result<oneshot::Receiver<Option<String>>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.with(number, |session| session.preparing = Some((reload, answer)));
        self.send(number, FromServer::Prepare { reload, digest })?;
        Ok(answered)
    }

    pub(crate) fn prepared(&self, number: u64, reload: u64, error: Option<String>) {
        self.with(number, |session| {
            if let Some((_, answer)) = session.preparing.take_if(|(expected, _)| *expected == reload) {
                // The reload may have been given up meanwhile.
                let _ = answer.send(error);
            }
        });
    }

    pub(crate) fn commit(&self, number: u64, reload: u64, pool: PoolState) -> Result<(), Gone> {
        self.send(number, FromServer::Commit { reload, pool })
    }

    pub(crate) fn abort(&self, number: u64, reload: u64) {
        let _ = self.send(number, FromServer::Abort { reload });
    }

    fn send(&self, number: u64, message: FromServer) -> Result<(), Gone> {
        let mut current = self.session.lock();
        let session = current.as_ref().filter(|session| session.number == number).ok_or(Gone)?;
        match session.outbound.try_send(message) {
            Ok(()) => Ok(()),
            Err(error) => {
                if matches!(error, mpsc::error::TrySendError::Full(_)) {
                    tracing::error!("the proxy does not read its control channel: giving the connection up");
                }
                *current = None;
                self.present.send_replace(0);
                Err(Gone)
            }
        }
    }

    fn with(&self, number: u64, change: impl FnOnce(&mut Session)) {
        if let Some(session) = self.session.lock().as_mut().filter(|session| session.number == number) {
            change(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_newer_proxy_replaces_the_one_before() {
        let link = ProxyLink::default();
        assert_eq!((link.current(), link.commit(0, 1, PoolState::default())), (0, Err(Gone)));
        let mut first = link.attach(1);
        let mut second = link.attach(2);
        assert_eq!(first.recv().await, None, "the first one's queue has ended");
        link.detach(1);
        assert_eq!(link.current(), 2);
        link.slot_back("shop", 3, 4);
        let expected = FromServer::SlotBack { app: "shop".to_owned(), generation: 3, dispatch: 4 };
        assert_eq!(second.recv().await, Some(expected));
        assert_eq!(link.commit(1, 1, PoolState::default()), Err(Gone), "it never prepared");
        link.detach(2);
        assert_eq!(link.current(), 0);
    }

    #[tokio::test]
    async fn a_proxy_that_does_not_read_is_given_up() {
        let link = ProxyLink::default();
        let mut outbound = link.attach(1);
        for dispatch in 0..=OUTBOUND as u64 {
            link.slot_back("shop", 1, dispatch);
        }
        assert_eq!(link.current(), 0);
        let mut queued = 0;
        while outbound.recv().await.is_some() {
            queued += 1;
        }
        assert_eq!(queued, OUTBOUND);
    }

    #[tokio::test]
    async fn only_the_answer_to_the_same_reload_counts() {
        let link = ProxyLink::default();
        let _outbound = link.attach(1);
        let answer = link.prepare(1, 7, "d".to_owned()).unwrap();
        link.prepared(1, 6, None);
        link.prepared(1, 7, Some("no such certificate".to_owned()));
        assert_eq!(answer.await, Ok(Some("no such certificate".to_owned())));
        let answer = link.prepare(1, 8, "d".to_owned()).unwrap();
        link.detach(1);
        assert!(answer.await.is_err());
    }
}
