//! Named pipes. A pipe has no backlog: the instances that wait for a client are the backlog, so
//! several always do, and each is replaced before the client it got is handed on.

mod halves;

use std::io;
use std::os::windows::io::AsRawHandle;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_PIPE_BUSY};
use windows_sys::Win32::Storage::FileSystem::SECURITY_IDENTIFICATION;
use windows_sys::Win32::System::Pipes::{GetNamedPipeClientProcessId, GetNamedPipeServerProcessId};

pub(crate) use self::halves::{Reader, Writer, halves, join_halves, poll_room, try_write};
use super::security;
use crate::{Audience, Endpoint};

/// What the system keeps for each direction of a connection.
const BUFFER: u32 = 64 * 1024;

/// Rest between two tries to make an instance when the system is out of memory for it.
const RETRY: Duration = Duration::from_millis(50);

pub(crate) fn local_endpoint(_dir: &std::path::Path, name: &str) -> Endpoint {
    Endpoint::Pipe(format!(r"\\.\pipe\tidegate-{name}"))
}

/// `None`: no instance is waiting, try again.
pub(crate) async fn connect(endpoint: &Endpoint) -> io::Result<Option<Stream>> {
    // At identification level the server learns who we are and cannot act as us.
    match ClientOptions::new().security_qos_flags(SECURITY_IDENTIFICATION).open(name(endpoint)?) {
        Ok(client) => Ok(Some(Stream::Client(client))),
        Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY.cast_signed()) => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Debug)]
pub(crate) struct Listener {
    connected: mpsc::Receiver<NamedPipeServer>,
    /// One for each waiting instance; they end with the listener.
    _waiting: JoinSet<()>,
}

impl Listener {
    pub(crate) fn bind(endpoint: &Endpoint, audience: Audience) -> io::Result<Self> {
        let name = name(endpoint)?;
        // Fails if the name is taken, by another of us or by somebody who wants our clients.
        let first = instance(name, audience, true).map_err(|error| {
            if error.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed()) {
                io::Error::new(io::ErrorKind::AddrInUse, "the pipe's name is taken")
            } else {
                error
            }
        })?;
        let count = available_parallelism().map_or(8, |cores| (2 * cores.get()).max(8));
        let mut instances = vec![first];
        for _ in 1..count {
            instances.push(instance(name, audience, false)?);
        }
        let (sender, connected) = mpsc::channel(count);
        let mut waiting = JoinSet::new();
        for instance in instances {
            waiting.spawn(wait_for_clients(instance, name.to_owned(), audience, sender.clone()));
        }
        Ok(Self { connected, _waiting: waiting })
    }

    /// Its first instance is protected.
    pub(crate) fn is_in_place(&self) -> bool {
        true
    }

    pub(crate) async fn accept(&mut self) -> io::Result<Stream> {
        let connected = self.connected.recv().await;
        connected.map(Stream::Server).ok_or_else(|| io::Error::other("the tasks that wait for clients are gone"))
    }
}

async fn wait_for_clients(
    mut waiting: NamedPipeServer,
    name: String,
    audience: Audience,
    connected: mpsc::Sender<NamedPipeServer>,
) {
    loop {
        let outcome = waiting.connect().await;
        let next = loop {
            match instance(&name, audience, false) {
                Ok(next) => break next,
                Err(_) => sleep(RETRY).await,
            }
        };
        let current = std::mem::replace(&mut waiting, next);
        // A client that left before it was noticed is handed on too, and reads as closed.
        if outcome.is_ok() && connected.send(current).await.is_err() {
            return;
        }
    }
}

fn instance(name: &str, audience: Audience, first: bool) -> io::Result<NamedPipeServer> {
    let mut attributes = security::pipe(audience)?;
    // SAFETY: the pointer is to initialised SECURITY_ATTRIBUTES that outlive the call, and their
    // descriptor lives as long as the process.
    unsafe { options(first).create_with_security_attributes_raw(name, (&raw mut attributes).cast()) }
}

fn options(first: bool) -> ServerOptions {
    let mut options = ServerOptions::new();
    options.first_pipe_instance(first).reject_remote_clients(true).in_buffer_size(BUFFER).out_buffer_size(BUFFER);
    options
}

fn name(endpoint: &Endpoint) -> io::Result<&str> {
    match endpoint {
        Endpoint::Pipe(name) => Ok(name),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "only named pipes are supported on this system")),
    }
}

pub(crate) fn client_process(stream: &Stream) -> Option<u32> {
    let Stream::Server(pipe) = stream else { return None };
    let mut process = 0;
    // SAFETY: the handle is open, and the number is writable.
    let told = unsafe { GetNamedPipeClientProcessId(pipe.as_raw_handle(), &mut process) };
    (told != 0).then_some(process)
}

pub(crate) fn server_process(stream: &Stream) -> Option<u32> {
    let Stream::Client(pipe) = stream else { return None };
    let mut process = 0;
    // SAFETY: the handle is open, and the number is writable.
    let told = unsafe { GetNamedPipeServerProcessId(pipe.as_raw_handle(), &mut process) };
    (told != 0).then_some(process)
}

/// Either end of a connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Server(NamedPipeServer),
    Client(NamedPipeClient),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_read(cx, buf),
            Self::Client(pipe) => Pin::new(pipe).poll_read(cx, buf),
        };
        match result {
            // How a pipe says that the other end has closed.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Poll::Ready(Ok(())),
            other => other,
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_write(cx, buf),
            Self::Client(pipe) => Pin::new(pipe).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_write_vectored(cx, bufs),
            Self::Client(pipe) => Pin::new(pipe).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Server(pipe) => pipe.is_write_vectored(),
            Self::Client(pipe) => pipe.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_flush(cx),
            Self::Client(pipe) => Pin::new(pipe).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_shutdown(cx),
            Self::Client(pipe) => Pin::new(pipe).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests;
