//! The life of one worker process, from start to end, as one task: watches its channel, its
//! deadlines and its exit, and reports to its `pool`. Decides nothing about replacements.

mod late;
mod life;

use std::sync::Arc;

use tidegate_contract::{Generation, Interruption, Mode};
use tidegate_host::{Child, Endpoint};
use tidegate_site::App;
use tokio::sync::{mpsc, oneshot};
use tokio::task;
use tokio::time::Instant;

use self::life::Life;
use crate::channel::Channel;
use crate::end::End;
use crate::inspect::Desk;
use crate::launch::{LaunchError, WorkerProgram};
use crate::proxy::ProxyLink;
use crate::slots::Figures;

/// Which process to start and whom to tell.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) app: Arc<App>,
    pub(crate) slot: u32,
    pub(crate) generation: Generation,
    pub(crate) endpoint: Endpoint,
    pub(crate) program: WorkerProgram,
    pub(crate) channel: Channel,
    pub(crate) link: Arc<ProxyLink>,
    pub(crate) news: mpsc::Sender<(Generation, News)>,
}

/// What happened to a worker.
#[derive(Debug)]
pub(crate) enum News {
    /// The process was started, or the one that serves said hello.
    Identified { pid: u32, python: String },
    /// It takes requests.
    Ready,
    /// A heartbeat.
    Beat(Figures),
    /// Heartbeats are missing.
    Silent,
    /// To be replaced.
    Condemned { returned: bool, because: Interruption },
    /// It is no more; the last news.
    Ended(End),
}

/// Starts the process and stays with it to its end. `stop` holds until when requests may run.
pub(crate) async fn run(job: Job, desk: Desk, stop: oneshot::Receiver<Instant>) {
    let end = match Life::start(&job, desk).await {
        Ok(life) => life.live(stop).await,
        Err(error) => End::NotStarted(error.to_string()),
    };
    job.tidy().await;
    job.tell(News::Ended(end)).await;
}

impl Job {
    async fn tell(&self, news: News) {
        // The pool outlives its workers' tasks; without it there is nobody to tell.
        let _ = self.news.send((self.generation, news)).await;
    }

    /// A process that was killed leaves its socket's file behind.
    async fn tidy(&self) {
        if let Endpoint::Unix(path) = &self.endpoint {
            let path = path.clone();
            // Most often there is nothing to remove.
            let _ = task::spawn_blocking(move || std::fs::remove_file(path)).await;
        }
    }

    async fn launch(&self, token: &str) -> Result<Child, LaunchError> {
        let mode = Mode::Serve {
            endpoint: self.endpoint.to_string(),
            channel: self.channel.endpoint().to_string(),
            token: token.to_owned(),
        };
        let (app, program, slot, generation) =
            (Arc::clone(&self.app), self.program.clone(), self.slot, self.generation);
        let start = move || program.spawn(&app, slot, generation, mode)?.start().map_err(LaunchError::Start);
        match task::spawn_blocking(start).await {
            Ok(result) => result,
            Err(error) => Err(LaunchError::Start(error.into())),
        }
    }
}
