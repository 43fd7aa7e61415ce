//! Looks at the files of certificates, and at which of a store are meant, every few seconds and has what changed put in force. A change that cannot be
//! loaded leaves everything as it was, is logged once and shows in the metrics. Started once by the proxy.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// What has been seen of the files so far.
#[derive(Debug, Default)]
struct Watch {
    files: Files,
    /// A change that was seen once: whoever writes a certificate and then its key is not done between the two.
    seen_once: Option<Digest>,
    /// A change that could not be loaded.
    failed: Option<Digest>,
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
        if digest == in_force && !staple_expired {
            self.seen_once = None;
            if self.failed.take().is_some() {
                shared.metrics.certificates_loadable();
                info!("the files of certificates are again what is in use");
            }
            return;
        }
        if self.failed == Some(digest) {
            return;
        }
        if self.seen_once != Some(digest) && !staple_expired {
            self.seen_once = Some(digest);
            return;
        }
        self.seen_once = None;
        match reload.load_certificates(&live, shared).await {
            Ok(()) => {
                self.failed = None;
                shared.metrics.certificates_reloaded(true);
                info!("certificates reloaded");
            }
            Err(reason) => {
                self.failed = Some(digest);
                shared.metrics.certificates_reloaded(false);
                error!(%reason, "certificates have changed but cannot be loaded: those in use stay");
            }
        }
    }
}

fn now() -> i64 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
