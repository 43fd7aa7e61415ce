//! Sockets between the programs: Unix sockets or named pipes, and TCP to workers that are not
//! ours. Used by every program; what flows through them is HTTP or lines of JSON and not known
//! here.
//!
//! A named pipe has no half-close: shutting down the writing side only flushes, the reader sees no
//! end. Both sides must frame what they say, and close by dropping the whole stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{Endpoint, context, listen_tcp, sys};

/// How long accepting rests when the system is out of descriptors or memory: long enough not to
/// spin, short enough not to be noticed once a connection has closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Listens on an [`Endpoint`].
#[derive(Debug)]
pub struct LocalListener(ListenerKind);

#[derive(Debug)]
enum ListenerKind {
    System(sys::Listener),
    Tcp(TcpListener),
}

impl LocalListener {
    /// Listens on `endpoint`; within a Tokio runtime. A Unix socket's directory is created with
    /// access for its owner only, the socket is the owner's only, and it is removed on drop; with trusted accounts, which
    /// have the owner's group, both are the group's as well, but for a socket for workers. A
    /// socket file on which nobody answers is replaced; if somebody answers it is `AddrInUse`. A pipe lets in its audience
    /// alone, from this computer.
    pub fn bind(endpoint: &Endpoint, audience: Audience) -> io::Result<Self> {
        let bound = match endpoint {
            Endpoint::Tcp(address) => listen_tcp(*address).and_then(TcpListener::from_std).map(ListenerKind::Tcp),
            _ => sys::Listener::bind(endpoint, audience).map(ListenerKind::System),
        };
        bound.map(Self).map_err(|error| context(error, format_args!("failed to listen on {endpoint}")))
    }

    /// Whether those who connect by this endpoint's name come here. Where a socket is a file, programs of the same account can
    /// exchange it (Unix); the name of a pipe stays whose it is.
    pub fn is_in_place(&self) -> bool {
        match &self.0 {
            ListenerKind::System(listener) => listener.is_in_place(),
            ListenerKind::Tcp(_) => true,
        }
    }

    /// The next connection. Cancel-safe. Waits out a shortage of descriptors or memory, so an error
    /// means that this listener is of no more use.
    pub async fn accept(&mut self) -> io::Result<LocalStream> {
        loop {
            let accepted = match &mut self.0 {
                ListenerKind::System(listener) => listener.accept().await.map(StreamKind::System),
                ListenerKind::Tcp(listener) => {
                    listener.accept().await.and_then(|(stream, _)| no_delay(stream)).map(StreamKind::Tcp)
                }
            };
            match accepted {
                Ok(stream) => return Ok(LocalStream(stream)),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if sys::pause_accepting(&error) => sleep(ACCEPT_PAUSE).await,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whom a local socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Commands of administrators, and the proxy: the control socket.
    Commands,
    /// Processes of our own account: the workers, at the worker channel.
    Workers,
    /// The proxy: a worker's own socket.
    Proxy,
}

/// A connection, accepted or made.
#[derive(Debug)]
pub struct LocalStream(pub(crate) StreamKind);

#[derive(Debug)]
pub(crate) enum StreamKind {
    System(sys::Stream),
    Tcp(TcpStream),
}

impl LocalStream {
    /// Of a connection that was accepted: `PermissionDenied` if its user has no business with this audience. Only where proxy
    /// and app server have an account each on Unix; elsewhere the system lets nobody else in.
    pub fn check_client(&self, audience: Audience) -> io::Result<()> {
        match &self.0 {
            StreamKind::System(stream) => sys::check_client(stream, audience),
            StreamKind::Tcp(_) => Ok(()),
        }
    }

    /// Of a connection that was accepted: the process that made it, where the system tells.
    pub fn client_process(&self) -> Option<u32> {
        match &self.0 {
            StreamKind::System(stream) => sys::client_process(stream),
            StreamKind::Tcp(_) => None,
        }
    }

    /// Of a connection that was made: the process that accepts there. Windows only: on Unix it may be counted in
    /// another container, and nobody else can put a socket into our directory.
    pub fn server_process(&self) -> Option<u32> {
        match &self.0 {
            StreamKind::System(stream) => sys::server_process(stream),
            StreamKind::Tcp(_) => None,
        }
    }
}

/// Connects to `endpoint`. A listener that is there but busy is tried again until `deadline`, then
/// it is `TimedOut`; a missing one is `NotFound` or `ConnectionRefused` at once.
pub async fn connect(endpoint: &Endpoint, deadline: Instant) -> io::Result<LocalStream> {
    let connecting = async {
        match endpoint {
            Endpoint::Tcp(address) => TcpStream::connect(address).await.and_then(no_delay).map(StreamKind::Tcp),
            _ => connect_system(endpoint).await.map(StreamKind::System),
        }
    };
    match timeout_at(deadline, connecting).await {
        Ok(Ok(stream)) => Ok(LocalStream(stream)),
        Ok(Err(error)) => Err(context(error, format_args!("failed to connect to {endpoint}"))),
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("failed to connect to {endpoint}: busy until the deadline"),
        )),
    }
}

/// Connects to a control socket. `PermissionDenied` if whoever serves it cannot be the app server: a program of an account that
/// is neither this one nor trusted by the system.
pub async fn connect_to_server(endpoint: &Endpoint, deadline: Instant) -> io::Result<LocalStream> {
    let stream = connect(endpoint, deadline).await?;
    if let StreamKind::System(stream) = &stream.0 {
        sys::check_server(stream).map_err(|error| context(error, format_args!("failed to connect to {endpoint}")))?;
    }
    Ok(stream)
}

/// Neither Unix sockets nor pipes can wait for a place in a full backlog, hence the retries.
async fn connect_system(endpoint: &Endpoint) -> io::Result<sys::Stream> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(stream) = sys::connect(endpoint).await? {
            return Ok(stream);
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// A head and its body are separate writes; Nagle's algorithm would hold the second back.
fn no_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl AsyncRead for LocalStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            StreamKind::System(stream) => Pin::new(stream).poll_read(cx, buf),
            StreamKind::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for LocalStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            StreamKind::System(stream) => Pin::new(stream).poll_write(cx, buf),
            StreamKind::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            StreamKind::System(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            StreamKind::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            StreamKind::System(stream) => stream.is_write_vectored(),
            StreamKind::Tcp(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            StreamKind::System(stream) => Pin::new(stream).poll_flush(cx),
            StreamKind::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            StreamKind::System(stream) => Pin::new(stream).poll_shutdown(cx),
            StreamKind::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
