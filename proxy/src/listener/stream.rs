//! A client's connection, plain or TLS, as pingora's sessions take it.
//!
//! Made by the accept loop, used by `session` only. It joins the header and the body of a short
//! response into one write (one TLS record, one system call) while `hold` is set, and closes
//! lingering, so that an early answer is read before the reset.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Held bytes are written out when they come to this much.
const HELD_MAX: usize = 16 << 10;
/// How long a closing connection reads what the client still sends, and how much of it.
const LINGER: (Duration, usize) = (Duration::from_secs(5), 256 << 20);

/// Whether writes are held back until a flush; shared with the session that writes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hold(Arc<Switches>);

#[derive(Debug, Default)]
struct Switches {
    hold: AtomicBool,
    reset: AtomicBool,
}

impl Hold {
    /// Holds writes back, or lets them through.
    pub(crate) fn set(&self, hold: bool) {
        self.0.hold.store(hold, Ordering::Relaxed);
    }

    /// Lets the connection end with a reset, or not: for a response that only the connection's orderly end
    /// makes complete, until it is.
    pub(crate) fn reset_at_end(&self, reset: bool) {
        self.0.reset.store(reset, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.hold.load(Ordering::Relaxed)
    }
}

/// The transport below.
#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A client's connection.
#[derive(Debug)]
pub(crate) struct ClientStream {
    transport: Transport,
    held: BytesMut,
    hold: Hold,
}

impl ClientStream {
    /// A plain connection.
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self { transport: Transport::Plain(stream), held: BytesMut::new(), hold: Hold::default() }
    }

    /// A TLS connection after its handshake.
    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { transport: Transport::Tls(Box::new(stream)), held: BytesMut::new(), hold: Hold::default() }
    }

    /// The switch that joins writes.
    pub(crate) fn hold(&self) -> Hold {
        self.hold.clone()
    }

    /// Whether ALPN chose HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        match &self.transport {
            Transport::Plain(_) => false,
            Transport::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Writes the held bytes and, in the same call, these; says how many of these were written.
    fn poll_write_after_held(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        while !self.held.is_empty() {
            let written = {
                // A header before its body, or the two before a chunk's end: more is rare, and comes after.
                let mut all = [IoSlice::new(&self.held), IoSlice::new(&[]), IoSlice::new(&[]), IoSlice::new(&[])];
                let count = pieces.len().min(all.len() - 1);
                all[1..=count].copy_from_slice(&pieces[..count]);
                ready!(self.transport.poll_write_vectored(cx, &all[..=count]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let held = self.held.len().min(written);
            self.held.advance(held);
            if written > held {
                return Poll::Ready(Ok(written - held));
            }
        }
        match pieces {
            [piece] => self.transport.poll_write(cx, piece),
            pieces => self.transport.poll_write_vectored(cx, pieces),
        }
    }

    fn poll_write_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let written = ready!(self.transport.poll_write(cx, &self.held))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        if self.hold.0.reset.load(Ordering::Relaxed) {
            let stream = match &self.transport {
                Transport::Plain(stream) => stream,
                Transport::Tls(stream) => stream.get_ref().0,
            };
            // A connection that is gone already needs no reset.
            let _ = stream.set_zero_linger();
        }
    }
}

impl Transport {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }
}

impl Transport {
    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.hold.is_set() && this.held.len() + bytes.len() <= HELD_MAX {
            this.held.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        this.poll_write_after_held(cx, &[IoSlice::new(bytes)])
    }

    // A chunk is a size, its bytes and a line end, an HTTP/2 frame a header and its bytes: one write.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let size = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        if this.hold.is_set() && this.held.len() + size <= HELD_MAX {
            for piece in pieces {
                this.held.extend_from_slice(piece);
            }
            return Poll::Ready(Ok(size));
        }
        this.poll_write_after_held(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_held(cx))?;
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_held(cx))?;
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Closes in the order that lets the client read the answer: our end first, then whatever the
/// client still sends is read and dropped, within bounds. A close with unread bytes would make
/// the system send a reset, which discards the answer in the client's buffer.
pub(crate) async fn close_lingering<S: AsyncRead + AsyncWrite + Unpin + ?Sized>(stream: &mut S) {
    let (time, size) = LINGER;
    let linger = async {
        stream.shutdown().await?;
        let mut scrap = vec![0; 16 << 10];
        let mut taken = 0;
        while taken < size {
            match stream.read(&mut scrap).await? {
                0 => break,
                read => taken += read,
            }
        }
        io::Result::Ok(())
    };
    // Whatever fails here, the connection is dropped next.
    let _ = tokio::time::timeout(time, linger).await;
}

#[async_trait::async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        close_lingering(self).await;
    }
}

#[async_trait::async_trait]
impl Peek for ClientStream {}

impl Ssl for ClientStream {}

impl UniqueID for ClientStream {
    fn id(&self) -> UniqueIDType {
        // Only pingora's own connection pools use the id; nothing of ours is in them.
        0
    }
}

impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}
