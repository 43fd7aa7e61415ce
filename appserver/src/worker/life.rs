//! A worker process from its start to its burial: what comes over its channel, its deadlines and its exit. Made and run by
//! `worker`.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use tidegate_contract::{FromWorker, Lines, PROTOCOL, ToWorker};
use tidegate_host::{Child, LocalStream};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use super::late::Late;
use super::{Job, News};
use crate::channel::{Arrival, Connection};
use crate::end::End;
use crate::inspect::Desk;
use crate::launch::{self, LaunchError};
use crate::output::{self, Source};
use crate::slots::Figures;
use crate::warm_up::{self, WarmUpError};
use crate::watchdog::{Verdict, Watchdog};

/// From the end of a worker's requests, or of its channel, to the end of its process.
const EXIT_TIME: Duration = Duration::from_secs(5);
/// So much before the end of its start_timeout a worker's warm-up is given up, so that the failure that
/// names the path comes before the one that does not.
const WARM_UP_MARGIN: Duration = Duration::from_millis(50);
/// For what a process said before its end and is still on its way to us.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A process, and what is known of it.
pub(super) struct Life<'a> {
    job: &'a Job,
    child: Child,
    arrival: Arrival,
    output: JoinSet<()>,
    watchdog: Watchdog,
    desk: Desk,
    start_until: Instant,
    warming: JoinSet<Result<(), WarmUpError>>,
    lines: Option<Lines<ReadHalf<LocalStream>>>,
    /// Kept open: its end tells the worker that we are gone.
    writer: Option<WriteHalf<LocalStream>>,
    pid: u32,
    import_error: Option<End>,
}

impl<'a> Life<'a> {
    /// Starts the process.
    pub(super) async fn start(job: &'a Job, desk: Desk) -> Result<Self, LaunchError> {
        let token = launch::token()?;
        let arrival = job.channel.expect(token.clone());
        let until = Instant::now() + job.app.start_timeout;
        let mut child = job.launch(&token).await?;
        let pid = child.id();
        tracing::debug!(app = %job.app.name, worker = job.slot, generation = job.generation, pid, "worker started");
        job.tell(News::Identified { pid, python: String::new() }).await;
        let mut output = JoinSet::new();
        for (stream, pipe) in [("stdout", child.take_stdout()), ("stderr", child.take_stderr())] {
            let (app, slot) = (Arc::clone(&job.app), job.slot);
            if let Some(pipe) = pipe {
                output.spawn(async move {
                    output::log_lines(Source { app: &app.name, slot, pid, stream }, pipe).await;
                });
            }
        }
        let watchdog = Watchdog::new(until, job.app.heartbeat, job.app.heartbeat_timeout);
        Ok(Self {
            job,
            child,
            arrival,
            output,
            watchdog,
            desk,
            start_until: until,
            warming: JoinSet::new(),
            lines: None,
            writer: None,
            pid,
            import_error: None,
        })
    }

    /// Stays with it to its end.
    pub(super) async fn live(mut self, mut stop: oneshot::Receiver<Instant>) -> End {
        let (mut arriving, mut stoppable) = (true, true);
        let end = loop {
            // All cancel-safe. In this order: what the worker said counts before what its
            // silence would mean, and its last words before its exit.
            tokio::select! {
                biased;
                message = next(&mut self.lines) => {
                    if let Some(end) = self.heard(message).await {
                        break end;
                    }
                }
                arrived = &mut self.arrival.connection, if arriving => {
                    arriving = false;
                    if let Ok(connection) = arrived
                        && let Err(end) = self.connected(connection).await
                    {
                        break end;
                    }
                }
                Some(warmed) = self.warming.join_next() => match warmed {
                    Ok(Ok(())) => self.ready().await,
                    Ok(Err(error)) => break End::WarmUpFailed(error.to_string()),
                    // It was called off by a stop, or it panicked, which is logged where it happens.
                    Err(_) => {}
                },
                exit = self.child.wait() => {
                    break match exit {
                        Ok(exit) => End::exited(&exit),
                        Err(error) => End::Exited(error.to_string()),
                    };
                }
                () = self.desk.next(), if self.writer.is_some() => self.ask().await,
                until = &mut stop, if stoppable => {
                    stoppable = false;
                    self.stop(until.unwrap_or_else(|_| Instant::now())).await;
                }
                () = time::sleep_until(self.watchdog.deadline()) => {
                    match self.watchdog.verdict(Instant::now()) {
                        Verdict::Wait => {}
                        Verdict::Silent => self.job.tell(News::Silent).await,
                        Verdict::NotReady => break End::NotReady,
                        Verdict::Frozen => break End::Frozen,
                        Verdict::Overdue => break End::Overdue,
                    }
                }
            }
        };
        self.bury(end, arriving).await
    }

    async fn connected(&mut self, connection: Connection) -> Result<(), End> {
        if connection.protocol != PROTOCOL {
            let reason = format!(
                "its library speaks protocol {}, this app server {PROTOCOL}: install both from one release",
                connection.protocol
            );
            return Err(End::Refused(reason));
        }
        if let Some(process) = connection.process {
            let reason = if !self.child.contains(process) {
                format!("process {process} connected in its name, which is none of its own")
            } else if process != connection.pid {
                format!("it says that it is process {}, and is {process}", connection.pid)
            } else {
                String::new()
            };
            if !reason.is_empty() {
                return Err(End::Refused(reason));
            }
        }
        self.pid = connection.pid;
        tracing::debug!(
            app = %self.job.app.name,
            worker = self.job.slot,
            pid = self.pid,
            python = connection.python.as_str(),
            executable = connection.executable,
            "worker connected"
        );
        self.lines = Some(connection.lines);
        self.writer = Some(connection.writer);
        self.job.tell(News::Identified { pid: self.pid, python: connection.python }).await;
        Ok(())
    }

    /// Handles what came over the channel; returns the end if that is what it means.
    async fn heard(&mut self, message: Option<FromWorker>) -> Option<End> {
        let Some(message) = message else {
            // Its process is about to end, or is of no use any more.
            (self.lines, self.writer) = (None, None);
            self.watchdog.ending(Instant::now() + EXIT_TIME);
            return None;
        };
        match message {
            FromWorker::Ready => {
                if self.job.app.warm_up.is_empty() {
                    self.ready().await;
                } else {
                    let (app, endpoint) = (Arc::clone(&self.job.app), self.job.endpoint.clone());
                    let until = self.start_until - WARM_UP_MARGIN;
                    self.warming.spawn(async move { warm_up::run(&app, &endpoint, until).await });
                }
            }
            FromWorker::Beat { busy, threads, requests } => {
                self.watchdog.beat(Instant::now());
                // Each is a system call or two, without waiting.
                let memory_bytes = tidegate_host::resident_memory(self.pid).unwrap_or_default();
                let cpu_ms = launch::milliseconds(tidegate_host::cpu_time(self.pid).unwrap_or_default());
                self.job.tell(News::Beat(Figures { busy, threads, requests, memory_bytes, cpu_ms })).await;
            }
            FromWorker::ImportFailed { error, traceback } => {
                self.import_error = Some(End::ImportFailed { error, traceback });
                self.watchdog.ending(Instant::now() + EXIT_TIME);
            }
            FromWorker::SlotBack { dispatch } => {
                self.job.link.slot_back(&self.job.app.name, self.job.generation, dispatch);
            }
            FromWorker::Condemned { returned, because } => {
                self.job.tell(News::Condemned { returned, because }).await;
            }
            FromWorker::Inspected { ask, inspection } => {
                self.desk.answered(ask, inspection);
                self.ask().await;
            }
            FromWorker::Slow { request_id, method, path, age_ms, stack, no_stack } => {
                Late { request_id, method, path, age_ms, stack, no_stack }.log(self.job, self.pid, "request is slow");
            }
            FromWorker::TimedOut { request_id, method, path, age_ms, stack, no_stack } => {
                Late { request_id, method, path, age_ms, stack, no_stack }.log(self.job, self.pid, "request timed out");
            }
            FromWorker::Violation { request_id, method, path, violation } => {
                tracing::warn!(
                    app = %self.job.app.name,
                    worker = self.job.slot,
                    pid = self.pid,
                    request_id,
                    method,
                    path,
                    violation,
                    "the app breaks a rule of WSGI (PEP 3333)"
                );
            }
            FromWorker::Hello { .. } => return Some(End::Refused("it said hello twice".to_owned())),
        }
        None
    }

    async fn ready(&mut self) {
        self.watchdog.ready(Instant::now());
        self.job.tell(News::Ready).await;
    }

    /// Passes on what is asked of the process.
    async fn ask(&mut self) {
        if let Some(writer) = &mut self.writer
            && let Some((ask, stacks)) = self.desk.due()
        {
            // As short as the word to stop; a channel that failed is noticed where it is read.
            let _ = time::timeout(EXIT_TIME, Lines::write(writer, &ToWorker::Inspect { ask, stacks })).await;
        }
    }

    async fn stop(&mut self, until: Instant) {
        self.warming.abort_all();
        let now = Instant::now();
        self.watchdog.ending(until.max(now) + EXIT_TIME);
        let Some(writer) = &mut self.writer else {
            // It never connected, so it cannot be asked.
            self.watchdog.ending(now);
            return;
        };
        let message = ToWorker::Stop { drain_ms: launch::milliseconds(until.saturating_duration_since(now)) };
        // A line this short fits into the channel's buffer unless the worker has stopped reading.
        let written = time::timeout(EXIT_TIME, Lines::write(writer, &message)).await;
        if !matches!(written, Ok(Ok(()))) {
            self.watchdog.ending(Instant::now());
        }
    }

    /// Makes sure that the process is gone, with all that it started, and that nothing it
    /// said or printed is lost.
    async fn bury(mut self, end: End, arriving: bool) -> End {
        if !matches!(end, End::Exited(_)) {
            if let Err(error) = self.child.kill() {
                tracing::error!(app = %self.job.app.name, worker = self.job.slot, %error, "failed to kill a worker");
            }
            let _ = time::timeout(EXIT_TIME, self.child.wait()).await;
        }
        let last_words = async {
            if arriving && let Ok(connection) = (&mut self.arrival.connection).await {
                self.lines = Some(connection.lines);
            }
            while let Some(lines) = &mut self.lines {
                match lines.next().await {
                    Ok(Some(message)) => drop(self.heard(Some(message)).await),
                    Ok(None) | Err(_) => break,
                }
            }
        };
        // No matter if it is cut off: the process has ended.
        let _ = time::timeout(LAST_WORDS, last_words).await;
        // Kills what the process left behind, which ends the pipes.
        drop(self.child);
        let finish = async { while self.output.join_next().await.is_some() {} };
        if time::timeout(EXIT_TIME, finish).await.is_err() {
            tracing::warn!(app = %self.job.app.name, worker = self.job.slot, "gave up on the output of a process that left others behind");
        }
        match (end, self.import_error) {
            (End::Exited(_) | End::Overdue, Some(import_error)) => import_error,
            (end, _) => end,
        }
    }
}

/// The next message; `None` once at the channel's end, and forever pending without a channel.
async fn next(lines: &mut Option<Lines<ReadHalf<LocalStream>>>) -> Option<FromWorker> {
    let Some(lines) = lines else { return future::pending().await };
    match lines.next().await {
        Ok(message) => message,
        Err(error) => {
            tracing::debug!(%error, "a worker's channel failed");
            None
        }
    }
}
