//! A start of the service that imports the apps under the service's account, tells the one who asked for it, and ends. Called by
//! `main` instead of [`crate::run`] where the start's arguments say so (`tidegate_contract::Errand`). Opens neither the
//! control endpoint nor the worker channel, and starts no pool.

use std::io;
use std::path::Path;
use std::time::Duration;

use tidegate_contract::{Role, ToServer};
use tidegate_host::{Audience, Endpoint, LocalListener, Progress, Signal};
use tokio::sync::mpsc;
use tokio::time;

use crate::control::{self, Reader, Writer};
use crate::launch::WorkerProgram;

/// For the command to connect and to ask; it waits for that already.
const ARRIVAL: Duration = Duration::from_secs(60);
/// For the command to read the answer and go.
const FAREWELL: Duration = Duration::from_secs(10);

/// Answers one command on `endpoint`. Ends as well when nobody comes, when the command goes away, and when `signals` brings
/// [`Signal::Stop`].
pub async fn run(
    endpoint: &Endpoint,
    file: &Path,
    program: &WorkerProgram,
    mut signals: mpsc::Receiver<Signal>,
) -> io::Result<()> {
    let listener = LocalListener::bind(endpoint, Audience::Commands)?;
    tidegate_host::tell_service_manager(Progress::Apart);
    let stop = async { while !matches!(signals.recv().await, Some(Signal::Stop) | None) {} };
    // What is dropped unfinished kills the workers that it has started.
    tokio::select! {
        () = answer(listener, file, program) => {}
        () = stop => {}
    }
    tidegate_host::tell_service_manager(Progress::Stopping);
    Ok(())
}

async fn answer(mut listener: LocalListener, file: &Path, program: &WorkerProgram) {
    let Ok(Some((mut lines, mut writer))) = time::timeout(ARRIVAL, question(&mut listener)).await else { return };
    let answered = async {
        if let Some(end) = control::imports(file, program, &mut writer).await {
            control::write(&mut writer, &end).await;
        }
    };
    // A command asks once, so what comes then is its end. Reading is cancel-safe; a write that is cut short has no reader.
    tokio::select! {
        () = answered => {}
        _ = lines.next::<ToServer>() => return,
    }
    // What it has not read yet would be lost with the connection.
    let _ = time::timeout(FAREWELL, lines.next::<ToServer>()).await;
}

/// The first command that asks for what this is for.
async fn question(listener: &mut LocalListener) -> Option<(Reader, Writer)> {
    loop {
        let stream = listener.accept().await.ok()?;
        let Some((Role::Command, mut lines, writer)) = control::greet(stream).await else { continue };
        if let Ok(Some(ToServer::CheckImports)) = lines.next().await {
            return Some((lines, writer));
        }
    }
}
