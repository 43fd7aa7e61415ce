//! A reply that the proxy makes itself: a file, a redirect, an error page. Sessions write it to
//! the client; for HEAD they keep the header with its content-length and drop the body. Never
//! holds more of a file in memory than one chunk.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::task::JoinHandle;

use crate::compress::Stream;

/// Largest piece of a file read at once. One hop to the blocking pool per chunk: larger chunks
/// mean fewer hops, smaller ones less memory for each slow download, which holds two of them: one on
/// its way to the client, and the next one, read meanwhile.
const CHUNK: u64 = 128 << 10;

/// Status, header and body of a reply.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: StatusCode,
    /// The header, content-length included where a body is allowed.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Body,
}

/// The body of a reply.
#[derive(Debug)]
pub(crate) enum Body {
    /// None.
    Empty,
    /// In memory.
    Full(Bytes),
    /// Read from a file as the client takes it.
    File(FileBody),
    /// The same, compressed on the way.
    Compressed(Box<(FileBody, Stream)>),
    /// None is sent, and it is not known how long it would be: of a HEAD whose GET is compressed.
    Unsized,
}

impl Body {
    /// The body's length in bytes, if it is known.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Full(bytes) => Some(bytes.len() as u64),
            Self::File(file) => Some(file.len()),
            Self::Compressed(_) | Self::Unsized => None,
        }
    }
}

/// One piece of a body made from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes that are not in the file: the head of a multipart part.
    Text(Bytes),
    /// Bytes of the file.
    Range {
        /// Offset of the first byte.
        start: u64,
        /// How many.
        length: u64,
    },
}

impl Piece {
    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Range { length, .. } => *length,
        }
    }
}

/// Pieces of an open file, read chunk by chunk on the blocking pool.
#[derive(Debug)]
pub(crate) struct FileBody {
    /// At home between two reads; with the blocking pool during one.
    source: Option<Source>,
    pieces: VecDeque<Piece>,
    reading: Option<JoinHandle<(Source, io::Result<Bytes>)>>,
    /// Read already, comes next.
    begun: Option<Bytes>,
}

impl FileBody {
    /// The body made of `pieces` of `file`, in that order. The file was opened for this body
    /// alone and not read yet.
    pub(crate) fn new(file: File, pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self {
            source: Some(Source { file, position: 0 }),
            pieces: pieces.into_iter().collect(),
            reading: None,
            begun: None,
        }
    }

    /// Reads the first chunk; blocking. For whoever is on a blocking thread already.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        if let Some(Piece::Range { start, length }) = self.pieces.front().cloned() {
            let now = self.take_chunk(start, length);
            let source = self.source.as_mut().ok_or_else(lost)?;
            self.begun = Some(source.read(start, now)?);
        }
        Ok(())
    }

    /// The body made of other pieces of the same file, of which nothing was read yet.
    pub(crate) fn anew(self, pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self { pieces: pieces.into_iter().collect(), ..self }
    }

    /// Bytes that were not asked for yet.
    pub(crate) fn len(&self) -> u64 {
        self.pieces.iter().map(Piece::len).sum::<u64>() + self.begun.as_ref().map_or(0, |bytes| bytes.len() as u64)
    }

    /// The next chunk; `None` at the end. An error means that the file could not be read to the
    /// promised end: the response has to break visibly.
    ///
    /// Cancel-safe: a read under way is picked up by the next call.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(bytes) = self.begun.take() {
            self.read_ahead();
            return Ok(Some(bytes));
        }
        if self.reading.is_none() {
            if let Some(Piece::Text(_)) | None = self.pieces.front() {
                let Some(Piece::Text(text)) = self.pieces.pop_front() else { return Ok(None) };
                self.read_ahead();
                return Ok(Some(text));
            }
            self.read_ahead();
        }
        let reading = self.reading.as_mut().ok_or_else(lost)?;
        let finished = reading.await;
        self.reading = None;
        let (source, bytes) = finished.map_err(io::Error::other)?;
        // After a failure the source stays lost: nothing may follow a gap.
        let bytes = bytes?;
        self.source = Some(source);
        self.read_ahead();
        Ok(Some(bytes))
    }

    /// Starts to read the next chunk, if bytes of the file come next.
    fn read_ahead(&mut self) {
        let Some(Piece::Range { start, length }) = self.pieces.front().cloned() else { return };
        let Some(mut source) = self.source.take() else { return };
        let now = self.take_chunk(start, length);
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let bytes = source.read(start, now);
            (source, bytes)
        }));
    }

    /// Takes a chunk off the first piece, which is these bytes of the file; says how long it is.
    fn take_chunk(&mut self, start: u64, length: u64) -> u64 {
        let now = length.min(CHUNK);
        self.pieces.pop_front();
        if now < length {
            self.pieces.push_front(Piece::Range { start: start + now, length: length - now });
        }
        now
    }
}

/// A second call after a failed one.
fn lost() -> io::Error {
    io::Error::other("file was lost by an earlier failure")
}

/// A file and where its cursor is, so that reading on costs no seek.
#[derive(Debug)]
struct Source {
    file: File,
    position: u64,
}

impl Source {
    /// Reads exactly `length` bytes at `start`; blocking.
    fn read(&mut self, start: u64, length: u64) -> io::Result<Bytes> {
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        if start != self.position {
            self.file.seek(SeekFrom::Start(start))?;
        }
        self.file.read_exact(&mut bytes)?;
        self.position = start + length;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> (std::path::PathBuf, File) {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tidegate-reply-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap();
        let file = File::open(&path).unwrap();
        (path, file)
    }

    fn pieces() -> Vec<Piece> {
        vec![
            Piece::Text(Bytes::from_static(b"<")),
            Piece::Range { start: 3, length: 2 },
            Piece::Text(Bytes::from_static(b"|")),
            Piece::Range { start: 0, length: 1 },
            Piece::Text(Bytes::from_static(b">")),
        ]
    }

    #[tokio::test]
    async fn pieces_come_in_order_however_they_are_read() {
        let (path, opened) = file(b"abcdef");
        let mut body = FileBody::new(opened, pieces());
        assert_eq!(body.len(), 6);
        let mut all = Vec::new();
        while let Some(chunk) = body.next().await.unwrap() {
            all.extend_from_slice(&chunk);
        }
        assert_eq!(all, b"<de|a>");
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_large_file_comes_in_chunks_and_whole() {
        let bytes: Vec<u8> = (0..CHUNK * 2 + 17).map(|n| (n % 251) as u8).collect();
        let (path, opened) = file(&bytes);
        let mut body = FileBody::new(opened, [Piece::Range { start: 0, length: bytes.len() as u64 }]);
        body.begin().unwrap();
        assert_eq!(body.len(), bytes.len() as u64);
        let mut all = Vec::new();
        let mut sizes = Vec::new();
        while let Some(chunk) = body.next().await.unwrap() {
            sizes.push(chunk.len() as u64);
            all.extend_from_slice(&chunk);
        }
        assert_eq!(sizes, [CHUNK, CHUNK, 17]);
        assert_eq!(all, bytes);
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_file_that_shrank_is_an_error_and_stays_one() {
        let (path, opened) = file(b"abc");
        let mut body =
            FileBody::new(opened, [Piece::Range { start: 0, length: 5 }, Piece::Range { start: 0, length: 1 }]);
        assert!(body.next().await.is_err());
        assert!(body.next().await.is_err());
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_cancelled_read_is_picked_up_by_the_next_call() {
        let (path, opened) = file(b"abc");
        let mut body = FileBody::new(opened, [Piece::Range { start: 0, length: 3 }]);
        {
            let mut next = std::pin::pin!(body.next());
            // One poll starts the read; dropping the future abandons the wait, not the read.
            let _ = futures_util::poll!(next.as_mut());
        }
        let rest = body.next().await.unwrap();
        assert!(rest.is_none_or(|bytes| &bytes[..] == b"abc"));
        std::fs::remove_file(path).unwrap();
    }
}
