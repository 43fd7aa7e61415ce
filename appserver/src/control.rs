//! The control channel's listener: proxies and commands connect here. Greets each, then hands
//! it to the session of its role. Never touches a worker.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidegate_contract::{
    FromServer, Lines, MAX_LINE, MaintenanceOrder, MaintenanceState, PROTOCOL, PoolState, Role, StatusReport, ToServer,
};
use tidegate_host::{Audience, LocalListener, LocalStream};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time;

use crate::channel::{ACCEPT_PAUSE, HELLO_LINE, HELLO_TIMEOUT, STRANGERS, log_panicked};
use crate::check::check_imports;
use crate::launch::WorkerProgram;
use crate::reload::Progress;
use crate::server::{SWITCH_TIMEOUT, Server};

/// For one message to a peer, which reads all the time.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks whether the control socket is still this app server's.
const LOOK: Duration = Duration::from_secs(5);
/// Progress lines that a command may be behind.
const PROGRESS_LINES: usize = 64;

pub(crate) type Reader = Lines<ReadHalf<LocalStream>>;
pub(crate) type Writer = WriteHalf<LocalStream>;

/// Serves the control channel until it is dropped.
pub(crate) async fn serve(server: Arc<Server>, mut listener: LocalListener) {
    let mut sessions = JoinSet::new();
    let mut number = 0;
    let mut look = time::interval(LOOK);
    let mut is_in_place = true;
    loop {
        // All are cancel-safe.
        tokio::select! {
            accepted = listener.accept(), if sessions.len() < STRANGERS => match accepted {
                Ok(stream) => {
                    // From 1: the number 0 stands for no proxy.
                    number += 1;
                    sessions.spawn(session(Arc::clone(&server), stream, number));
                }
                Err(error) => {
                    tracing::error!(%error, "failed to accept a control connection");
                    time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = sessions.join_next() => log_panicked(ended),
            _ = look.tick() => {
                if is_in_place && !listener.is_in_place() {
                    tracing::error!(
                        "another program of this account has taken the control socket away, or put its own there: the proxy and \
                         commands that connect from now on talk to that one. Find it, and restart the services"
                    );
                }
                is_in_place = listener.is_in_place();
            }
        }
    }
}

async fn session(server: Arc<Server>, stream: LocalStream, number: u64) {
    let Some((role, mut lines, writer)) = greet(stream).await else { return };
    match role {
        Role::Proxy => {
            lines.allow(MAX_LINE);
            proxy(&server, lines, writer, number).await;
        }
        Role::Command => command(&server, lines, writer).await,
    }
}

/// Hears who has connected and answers; nothing if it is nobody who may give orders.
pub(crate) async fn greet(stream: LocalStream) -> Option<(Role, Reader, Writer)> {
    if let Err(error) = stream.check_client(Audience::Commands) {
        tracing::warn!("refused a control connection: {error}; the account of apps gives no orders");
        return None;
    }
    if let Some(process) = stream.client_process()
        && tidegate_host::is_of_child(process)
    {
        tracing::warn!(
            process,
            "refused a control connection of a process that an app has started: apps give no orders"
        );
        return None;
    }
    let (reader, mut writer) = tokio::io::split(stream);
    // All that a command says is as short.
    let mut lines = Lines::bounded(reader, HELLO_LINE);
    let hello = time::timeout(HELLO_TIMEOUT, lines.next()).await;
    let Ok(Ok(Some(ToServer::Hello { protocol, version, role }))) = hello else {
        // An app server that starts only asks whether somebody listens, and says nothing.
        tracing::debug!("a control connection ended before its hello");
        return None;
    };
    let answer = FromServer::Hello { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_owned() };
    if !write(&mut writer, &answer).await {
        return None;
    }
    if protocol != PROTOCOL {
        tracing::error!(
            ?role,
            version,
            "refused a peer that speaks protocol {protocol} instead of {PROTOCOL}: install both from one release"
        );
        return None;
    }
    Some((role, lines, writer))
}

async fn proxy(server: &Arc<Server>, lines: Reader, writer: Writer, number: u64) {
    let outbound = server.ground.link.attach(number);
    tracing::info!("proxy connected");
    let state = server.ground.board.watch();
    let maintenance = server.maintenance.watch();
    // Whichever ends first ends the connection; a write that is cut short does not matter then.
    tokio::select! {
        () = tell_proxy(writer, outbound, state, maintenance) => {}
        () = hear_proxy(server, lines, number) => {}
    }
    server.ground.link.detach(number);
    tracing::info!("proxy disconnected");
}

/// Sends the pool's state as it changes, and whatever else is queued, in an order in which no
/// state overtakes the commit that makes it valid.
async fn tell_proxy(
    mut writer: Writer,
    mut outbound: mpsc::Receiver<FromServer>,
    mut state: watch::Receiver<PoolState>,
    mut maintenance: watch::Receiver<MaintenanceState>,
) {
    state.mark_changed();
    maintenance.mark_changed();
    loop {
        // All are cancel-safe.
        let message = tokio::select! {
            biased;
            message = outbound.recv() => match message {
                Some(message) => message,
                None => return,
            },
            // Before the pool, so that a proxy that starts closes what is closed before it can open anything.
            Ok(()) = maintenance.changed() => FromServer::Maintenance(maintenance.borrow_and_update().clone()),
            Ok(()) = state.changed() => {
                let pool = state.borrow_and_update().clone();
                // A commit is queued before its state is published. So if this state is after a
                // commit, that commit is in the queue now, or has been sent.
                while let Ok(message) = outbound.try_recv() {
                    if !write(&mut writer, &message).await {
                        return;
                    }
                }
                FromServer::Pool(pool)
            }
        };
        if !write(&mut writer, &message).await {
            return;
        }
    }
}

async fn hear_proxy(server: &Arc<Server>, mut lines: Reader, number: u64) {
    loop {
        match lines.next().await {
            Ok(Some(ToServer::Report(report))) => {
                if server.ground.link.reported(number, report) {
                    server.compare_configuration(number);
                }
            }
            Ok(Some(ToServer::Drained { app, generation })) => {
                for pool in server.pools_of(&app) {
                    pool.drained(generation).await;
                }
            }
            Ok(Some(ToServer::Prepared { reload, error })) => server.ground.link.prepared(number, reload, error),
            Ok(Some(ToServer::Reload)) => server.ask_for_reload(),
            Ok(Some(
                ToServer::Hello { .. }
                | ToServer::Status
                | ToServer::CheckImports
                | ToServer::Inspect { .. }
                | ToServer::Maintenance(_),
            )) => {
                tracing::error!("the proxy sent a message that is not a proxy's");
                return;
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "lost the proxy's connection");
                return;
            }
        }
    }
}

async fn command(server: &Arc<Server>, mut lines: Reader, mut writer: Writer) {
    while let Ok(Some(request)) = lines.next().await {
        let answer = match request {
            ToServer::Status => FromServer::Status(status(server)),
            ToServer::Inspect { stacks } => {
                if !inspect(server, &mut writer, stacks).await {
                    return;
                }
                FromServer::Status(status(server))
            }
            ToServer::CheckImports => match imports(&server.file, &server.ground.program, &mut writer).await {
                Some(answer) => answer,
                None => return,
            },
            ToServer::Maintenance(order) => FromServer::Done { error: maintenance(server, order).await.err() },
            ToServer::Reload => FromServer::Done { error: reload(server, &mut writer).await },
            _ => return tracing::warn!("a command sent a message that is not a command's"),
        };
        if !write(&mut writer, &answer).await {
            return;
        }
    }
}

/// Says what each worker is doing. A message for each, because together they may be too long for one.
async fn inspect(server: &Server, writer: &mut Writer, stacks: bool) -> bool {
    let state = server.ground.board.state();
    for report in server.ground.inspections.ask_all(state, stacks).await {
        if !write(writer, &FromServer::Inspected(report)).await {
            return false;
        }
    }
    true
}

/// Imports the apps of the site file as it is now, beside the workers that serve, and says how it went; returns the end of the
/// answer. Nothing if the command has gone.
pub(crate) async fn imports(file: &Path, program: &WorkerProgram, writer: &mut Writer) -> Option<FromServer> {
    let (reports, good) = match tidegate_site::load_as(file, tidegate_site::Reader::AppServer) {
        Ok(site) => check_imports(&site, program).await,
        Err(error) => (vec![error.to_string()], false),
    };
    for text in reports {
        if !write(writer, &FromServer::Progress { text }).await {
            return None;
        }
    }
    Some(FromServer::Imported { account: tidegate_host::machine::own_account(), good })
}

/// Closes or opens hosts. Whoever asked may rely on it when told that it is done.
async fn maintenance(server: &Server, order: MaintenanceOrder) -> Result<(), String> {
    let mut reports = server.ground.link.watch_reports();
    server.maintenance.order(order, &server.site()).await?;
    let is_heard = time::timeout(SWITCH_TIMEOUT, reports.changed());
    if server.ground.link.current() != 0 && is_heard.await.is_err() {
        tracing::warn!("the proxy has not reported that it knows what is closed for maintenance");
    }
    Ok(())
}

fn status(server: &Server) -> StatusReport {
    StatusReport {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        site: server.file.display().to_string(),
        pool: server.ground.board.state(),
        proxy: server.ground.link.report(),
        maintenance: server.maintenance.report(&server.site()),
    }
}

/// Reloads and shows how it goes. A command that goes away does not stop it.
async fn reload(server: &Arc<Server>, writer: &mut Writer) -> Option<String> {
    let (sender, mut lines) = mpsc::channel(PROGRESS_LINES);
    let show = async {
        let mut listening = true;
        while let Some(text) = lines.recv().await {
            listening = listening && write(writer, &FromServer::Progress { text }).await;
        }
    };
    // The lines end when the reload drops their sender.
    let (result, ()) = tokio::join!(server.reload(Progress::to(sender)), show);
    result.err().map(|error| error.in_full())
}

pub(crate) async fn write(writer: &mut Writer, message: &FromServer) -> bool {
    match time::timeout(WRITE_TIMEOUT, Lines::write(writer, message)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a control connection failed");
            false
        }
        Err(_) => {
            tracing::warn!("a peer on the control channel does not read: closing its connection");
            false
        }
    }
}
