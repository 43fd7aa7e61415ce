//! The command's end of the control channel (docs/architecture.md, "Control channel"). Used by every
//! command that talks to a running site; decides nothing about what the answers mean.

use std::io;
use std::path::Path;
use std::time::Duration;

use thiserror::Error;
use tidegate_contract::{
    FromServer, InspectReport, LineError, Lines, MaintenanceOrder, PROTOCOL, Role, StatusReport, ToServer,
};
use tidegate_host::{Endpoint, LocalStream};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout};

use crate::failure::Failure;

/// The app server answers from memory; longer means that it is stopped or that its host thrashes.
const ANSWER: Duration = Duration::from_secs(10);

/// To connect to an app server that runs.
const CONNECT: Duration = Duration::from_secs(5);

/// An open control channel.
#[derive(Debug)]
pub(crate) struct Control {
    lines: Lines<ReadHalf<LocalStream>>,
    writer: WriteHalf<LocalStream>,
}

/// Why the running site could not be asked.
#[derive(Debug, Error)]
pub(crate) enum ControlError {
    #[error("no Tidegate runs this site")]
    NotRunning,
    #[error("failed to reach the app server at {endpoint}: {source}")]
    Unreachable { endpoint: Endpoint, source: io::Error },
    #[error("the app server's {0}")]
    Channel(#[from] LineError),
    #[error("the app server closed the channel")]
    Closed,
    #[error("the app server (version {version}) speaks protocol {theirs}, this command {PROTOCOL}")]
    Protocol { version: String, theirs: u32 },
    #[error("the app server has not answered for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the app server answered something else than was asked")]
    Unexpected,
}

impl Control {
    /// Connects and exchanges greetings.
    pub(crate) async fn connect(endpoint: &Endpoint, patience: Duration) -> Result<Self, ControlError> {
        let stream =
            tidegate_host::connect_to_server(endpoint, Instant::now() + patience).await.map_err(
                |source| match source.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ControlError::NotRunning,
                    _ => ControlError::Unreachable { endpoint: endpoint.clone(), source },
                },
            )?;
        let (reader, writer) = tokio::io::split(stream);
        let mut control = Self { lines: Lines::new(reader), writer };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        control.send(&ToServer::Hello { protocol: PROTOCOL, version, role: Role::Command }).await?;
        match control.receive(ANSWER).await? {
            FromServer::Hello { protocol: PROTOCOL, .. } => Ok(control),
            FromServer::Hello { protocol, version } => Err(ControlError::Protocol { version, theirs: protocol }),
            _ => Err(ControlError::Unexpected),
        }
    }

    /// Everything that `tidegate status` shows.
    pub(crate) async fn status(&mut self) -> Result<StatusReport, ControlError> {
        self.send(&ToServer::Status).await?;
        match self.receive(ANSWER).await? {
            FromServer::Status(report) => Ok(report),
            _ => Err(ControlError::Unexpected),
        }
    }

    /// What every worker is doing, and the status.
    pub(crate) async fn inspect(&mut self, stacks: bool) -> Result<InspectReport, ControlError> {
        self.send(&ToServer::Inspect { stacks }).await?;
        let mut workers = Vec::new();
        loop {
            match self.receive(ANSWER).await? {
                FromServer::Inspected(worker) => workers.push(worker),
                FromServer::Status(status) => return Ok(InspectReport { status, workers }),
                _ => return Err(ControlError::Unexpected),
            }
        }
    }

    /// Has every app imported by the app server, under its account: what it found, the account, and whether all is good.
    pub(crate) async fn check_imports(
        &mut self,
        patience: Duration,
    ) -> Result<(Vec<String>, String, bool), ControlError> {
        self.send(&ToServer::CheckImports).await?;
        let mut reports = Vec::new();
        loop {
            match self.receive(patience).await? {
                FromServer::Progress { text } => reports.push(text),
                FromServer::Imported { account, good } => return Ok((reports, account, good)),
                _ => return Err(ControlError::Unexpected),
            }
        }
    }

    /// Closes or opens hosts: `Some` is the reason why nothing was changed.
    pub(crate) async fn maintenance(&mut self, order: MaintenanceOrder) -> Result<Option<String>, ControlError> {
        self.send(&ToServer::Maintenance(order)).await?;
        match self.receive(ANSWER).await? {
            FromServer::Done { error } => Ok(error),
            _ => Err(ControlError::Unexpected),
        }
    }

    /// Asks for a reload and waits for its end: `Some` is the reason why nothing was changed.
    /// `silence` bounds the time between two lines of progress.
    pub(crate) async fn reload(
        &mut self,
        silence: Duration,
        mut progress: impl FnMut(&str),
    ) -> Result<Option<String>, ControlError> {
        self.send(&ToServer::Reload).await?;
        loop {
            match self.receive(silence).await? {
                FromServer::Progress { text } => progress(&text),
                FromServer::Done { error } => return Ok(error),
                _ => return Err(ControlError::Unexpected),
            }
        }
    }

    async fn send(&mut self, message: &ToServer) -> Result<(), ControlError> {
        timeout(ANSWER, Lines::write(&mut self.writer, message)).await.map_err(|_| ControlError::Silent(ANSWER))??;
        Ok(())
    }

    async fn receive(&mut self, patience: Duration) -> Result<FromServer, ControlError> {
        let next = timeout(patience, self.lines.next()).await.map_err(|_| ControlError::Silent(patience))?;
        next?.ok_or(ControlError::Closed)
    }
}

impl ControlError {
    /// As a command's failure, with the next step.
    pub(crate) fn into_failure(self) -> Failure {
        let next = match self {
            Self::NotRunning => "start it with `tidegate up`",
            Self::Protocol { .. } => "install command and programs of one version, then start the site again",
            Self::Unreachable { .. } => {
                "run this command under the account that runs the site, or as administrator; end a process that is not \
                 the site's and listens in its place"
            }
            Self::Closed => "run this command as administrator (root); if it is, look into the app server's log",
            Self::Channel(_) | Self::Silent(_) | Self::Unexpected => "look into the app server's log",
        };
        Failure::new(self.to_string()).next(next)
    }
}

/// The site that runs with this file. A file that became wrong since it was loaded does not hide the site that runs with it.
pub(crate) async fn connect(config: &Path) -> Result<Control, Failure> {
    let wrong = match tidegate_site::load(config) {
        Ok(site) => {
            let connected = Control::connect(&site.control_endpoint(), CONNECT).await;
            return connected.map_err(|error| error.into_failure());
        }
        Err(error) => error,
    };
    if let Ok(endpoint) = tidegate_site::usual_control_endpoint(config)
        && let Ok(control) = Control::connect(&endpoint, CONNECT).await
    {
        eprintln!("{wrong}\nThe site runs with what it loaded before:\n");
        return Ok(control);
    }
    Err(Failure::configuration(config, &wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_site_that_does_not_run_is_told_apart() {
        let directory = std::env::temp_dir();
        let endpoint = Endpoint::local(&directory, &format!("tidegate-cli-nothing-{}", std::process::id()));
        let error = Control::connect(&endpoint, Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(error, ControlError::NotRunning), "{error}");
    }
}
