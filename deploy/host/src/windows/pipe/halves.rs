//! A pipe's connection in two halves. Tokio has none that may write from any thread, so both hold the whole of it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::Stream;

#[derive(Debug)]
pub(crate) struct Reader(Arc<Stream>);

#[derive(Debug)]
pub(crate) struct Writer(Arc<Stream>);

pub(crate) fn halves(stream: Stream) -> (Reader, Writer) {
    let stream = Arc::new(stream);
    (Reader(Arc::clone(&stream)), Writer(stream))
}

/// Nothing if they are of two connections.
pub(crate) fn join_halves(reader: Reader, writer: Writer) -> Option<Stream> {
    drop(reader);
    Arc::into_inner(writer.0)
}

pub(crate) fn try_write(writer: &Writer, data: &[u8]) -> io::Result<usize> {
    match &*writer.0 {
        Stream::Server(pipe) => pipe.try_write(data),
        Stream::Client(pipe) => pipe.try_write(data),
    }
}

pub(crate) fn poll_room(writer: &Writer, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    match &*writer.0 {
        Stream::Server(pipe) => pipe.poll_write_ready(cx),
        Stream::Client(pipe) => pipe.poll_write_ready(cx),
    }
}

impl AsyncRead for Reader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let read = match &*self.0 {
                Stream::Server(pipe) => {
                    ready!(pipe.poll_read_ready(cx))?;
                    pipe.try_read_buf(buf)
                }
                Stream::Client(pipe) => {
                    ready!(pipe.poll_read_ready(cx))?;
                    pipe.try_read_buf(buf)
                }
            };
            match read {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // How a pipe says that the other end has closed.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}
