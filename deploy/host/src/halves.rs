//! A connection in two halves, of which the writing one may be used by any thread: for a server whose answers come from threads
//! that are not the runtime's. Used by the worker.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp;

use crate::LocalStream;
use crate::local::StreamKind;
use crate::sys;

/// The half that is read, by the task that has it.
#[derive(Debug)]
pub struct LocalReader(ReaderKind);

#[derive(Debug)]
enum ReaderKind {
    System(sys::Reader),
    Tcp(tcp::OwnedReadHalf),
}

/// The half that is written to, from any thread.
#[derive(Debug)]
pub struct LocalWriter(WriterKind);

#[derive(Debug)]
enum WriterKind {
    System(sys::Writer),
    Tcp(tcp::OwnedWriteHalf),
}

impl LocalStream {
    /// Its halves.
    pub fn into_halves(self) -> (LocalReader, LocalWriter) {
        match self.0 {
            StreamKind::System(stream) => {
                let (reader, writer) = sys::halves(stream);
                (LocalReader(ReaderKind::System(reader)), LocalWriter(WriterKind::System(writer)))
            }
            StreamKind::Tcp(stream) => {
                let (reader, writer) = stream.into_split();
                (LocalReader(ReaderKind::Tcp(reader)), LocalWriter(WriterKind::Tcp(writer)))
            }
        }
    }

    /// The connection that these are the halves of.
    pub fn from_halves(reader: LocalReader, writer: LocalWriter) -> io::Result<Self> {
        let stream = match (reader.0, writer.0) {
            (ReaderKind::System(reader), WriterKind::System(writer)) => {
                sys::join_halves(reader, writer).map(StreamKind::System)
            }
            (ReaderKind::Tcp(reader), WriterKind::Tcp(writer)) => reader.reunite(writer).ok().map(StreamKind::Tcp),
            _ => None,
        };
        stream.map(Self).ok_or_else(|| io::Error::other("halves of two connections"))
    }
}

impl LocalWriter {
    /// Writes what there is room for, without waiting; `WouldBlock` if there is none.
    pub fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        match &self.0 {
            WriterKind::System(writer) => sys::try_write(writer, data),
            WriterKind::Tcp(writer) => writer.try_write(data),
        }
    }

    /// Whether there may be room. One task at a time is woken.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            WriterKind::System(writer) => sys::poll_room(writer, cx),
            WriterKind::Tcp(writer) => writer.as_ref().poll_write_ready(cx),
        }
    }
}

impl AsyncRead for LocalReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            ReaderKind::System(reader) => Pin::new(reader).poll_read(cx, buf),
            ReaderKind::Tcp(reader) => Pin::new(reader).poll_read(cx, buf),
        }
    }
}
