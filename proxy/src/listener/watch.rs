//! Looks at the files of certificates, and at which of a store are meant, every few seconds and has what changed put in force. A
//! change that cannot be loaded leaves everything as it was, is logged once and shows in the metrics. Started once by the
//! proxy.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tidegate_host::Event;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{error, info};

use super::files::{Digest, Files};
use super::tls;
use crate::reload::Reload;
use crate::shared::Shared;

/// Between two questions whether a reload has switched looking on.
const ASLEEP: Duration = Duration::from_secs(5);

/// Between two attempts to load a certificate of a store: that an account may use its key by now shows nowhere else.
const RETRY: Duration = Duration::from_secs(30);

/// What has been seen of the files so far.
#[derive(Debug, Default)]
struct Watch {
    files: Files,
    /// A change that was seen once: whoever writes a certificate and then its key is not done between the two.
    seen_once: Option<Digest>,
    /// A change that could not be loaded, and when that was.
    failed: Option<(Digest, Instant)>,
}

/// A look at what certificates are read from.
#[derive(Debug, Clone, Copy)]
struct Look {
    digest: Digest,
    /// What those in use were read from.
    in_force: Digest,
    staple_expired: bool,
    uses_stores: bool,
    at: Instant,
}

/// What to do after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Nothing,
    /// What could not be loaded is gone again.
    AsBefore,
    Load,
}

/// Watches until shutdown.
pub(crate) async fn run(reload: Arc<Reload>, shared: Arc<Shared>, mut shutdown: watch::Receiver<bool>) {
    let mut watch = Watch::default();
    loop {
        let pause = shared.live.load().site.tls.watch;
        tokio::select! {
            () = sleep(pause.unwrap_or(ASLEEP)) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
        if pause.is_some() {
            watch.look(&reload, &shared).await;
        }
    }
}

impl Watch {
    async fn look(&mut self, reload: &Arc<Reload>, shared: &Arc<Shared>) {
        let live = shared.live.load_full();
        let paths = tls::files(&live.site);
        if paths.is_empty() && !tls::uses_stores(&live.site) {
            return;
        }
        let of = Arc::clone(&live);
        let mut files = mem::take(&mut self.files);
        let looked = spawn_blocking(move || {
            let digest = tls::with_stores(&of.site, files.look(&paths));
            (files, digest)
        });
        // Fails only if the look panicked, which the panic hook has logged.
        let Ok((files, digest)) = looked.await else { return };
        self.files = files;
        let (in_force, staples_end) = reload.tls_in_force();
        let staple_expired = staples_end.is_some_and(|end| end <= now());
        let uses_stores = tls::uses_stores(&live.site);
        match self.step(&Look { digest, in_force, staple_expired, uses_stores, at: Instant::now() }) {
            Step::Nothing => return,
            Step::AsBefore => {
                shared.metrics.certificates_loadable();
                info!("the files of certificates are again what is in use");
                return;
            }
            Step::Load => {}
        }
        match reload.load_certificates(&live, shared).await {
            Ok(()) => {
                self.failed = None;
                shared.metrics.certificates_reloaded(true);
                info!("certificates reloaded");
            }
            Err(reason) => {
                if self.has_failed(digest, Instant::now()) {
                    shared.metrics.certificates_reloaded(false);
                    error!(%reason, "certificates have changed but cannot be loaded: those in use stay");
                    let text = format!("certificates have changed but cannot be loaded, those in use stay: {reason}");
                    tidegate_host::report_event(Event::CertificateNotLoaded, &text);
                }
            }
        }
    }

    fn step(&mut self, look: &Look) -> Step {
        if look.digest == look.in_force && !look.staple_expired {
            self.seen_once = None;
            return if self.failed.take().is_some() { Step::AsBefore } else { Step::Nothing };
        }
        if let Some((failed, at)) = self.failed
            && failed == look.digest
        {
            let again = look.uses_stores && look.at.duration_since(at) >= RETRY;
            return if again { Step::Load } else { Step::Nothing };
        }
        if self.seen_once != Some(look.digest) && !look.staple_expired {
            self.seen_once = Some(look.digest);
            return Step::Nothing;
        }
        self.seen_once = None;
        Step::Load
    }

    /// Whether that is news.
    fn has_failed(&mut self, digest: Digest, at: Instant) -> bool {
        let before = self.failed.replace((digest, at));
        before.is_none_or(|(failed, _)| failed != digest)
    }
}

fn now() -> i64 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Digest = [1; 32];
    const NEW: Digest = [2; 32];

    fn look(digest: Digest, at: Instant) -> Look {
        Look { digest, in_force: OLD, staple_expired: false, uses_stores: true, at }
    }

    #[test]
    fn a_change_is_loaded_when_it_was_seen_twice() {
        let (mut watch, at) = (Watch::default(), Instant::now());
        for (digest, expected) in [
            (OLD, Step::Nothing),
            (NEW, Step::Nothing),
            ([3; 32], Step::Nothing),
            (NEW, Step::Nothing),
            (NEW, Step::Load),
            (OLD, Step::Nothing),
        ] {
            assert_eq!(watch.step(&look(digest, at)), expected, "{digest:?}");
        }
        let expired = Look { staple_expired: true, ..look(OLD, at) };
        assert_eq!(watch.step(&expired), Step::Load, "at once: the clock has changed, not a file");
    }

    #[test]
    fn what_could_not_be_loaded_is_said_once_and_tried_again_where_a_key_may_be_granted_meanwhile() {
        let (mut watch, at) = (Watch::default(), Instant::now());
        watch.step(&look(NEW, at));
        assert_eq!(watch.step(&look(NEW, at)), Step::Load);
        assert!(watch.has_failed(NEW, at));
        assert_eq!(watch.step(&look(NEW, at + RETRY / 2)), Step::Nothing);
        let later = at + RETRY;
        assert_eq!(watch.step(&Look { uses_stores: false, ..look(NEW, later) }), Step::Nothing);
        assert_eq!(watch.step(&look(NEW, later)), Step::Load);
        assert!(!watch.has_failed(NEW, later), "the same again is no news");
        assert_eq!(watch.step(&look(NEW, later)), Step::Nothing);
        assert_eq!(watch.step(&look(OLD, later)), Step::AsBefore);
        assert_eq!(watch.step(&look(OLD, later)), Step::Nothing);
    }
}
