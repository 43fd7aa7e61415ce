//! Framing of the control channels: one JSON object a line, of bounded length.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};

/// Longest line accepted, in bytes. The largest message is a stack dump of every thread.
pub const MAX_LINE: usize = 4 << 20;

/// Why a message could not be read or written.
#[derive(Debug, Error)]
pub enum LineError {
    /// The channel broke.
    #[error("channel failed: {0}")]
    Io(#[from] std::io::Error),
    /// The line is no message of this protocol.
    #[error("malformed message: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The line is longer than this.
    #[error("message over {0} bytes")]
    TooLong(usize),
}

/// Reads messages from one half of a channel.
#[derive(Debug)]
pub struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    most: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Reads messages from `reader`, of [`MAX_LINE`] bytes at the most.
    pub fn new(reader: R) -> Self {
        Self::bounded(reader, MAX_LINE)
    }

    /// Reads messages of so many bytes at the most, from a peer that has not said who it is.
    pub fn bounded(reader: R, most: usize) -> Self {
        Self { reader: BufReader::new(reader), line: Vec::new(), most }
    }

    /// Reads messages of so many bytes from now on.
    pub fn allow(&mut self, most: usize) {
        self.most = most;
    }

    /// The next message; `None` at the channel's end.
    ///
    /// Cancel-safe: a line read in part is kept for the next call.
    pub async fn next<M: DeserializeOwned>(&mut self) -> Result<Option<M>, LineError> {
        let room = (self.most + 1).saturating_sub(self.line.len()) as u64;
        (&mut self.reader).take(room).read_until(b'\n', &mut self.line).await?;
        if self.line.is_empty() {
            return Ok(None);
        }
        if self.line.last() != Some(&b'\n') {
            if self.line.len() > self.most {
                return Err(LineError::TooLong(self.most));
            }
            return Err(LineError::Io(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let message = serde_json::from_slice(&self.line);
        self.line.clear();
        Ok(Some(message?))
    }
}

/// Writes messages to one half of a channel.
impl Lines<()> {
    /// Writes one message and flushes it. Not cancel-safe: give the writer a task of its own.
    pub async fn write<W: AsyncWrite + Unpin, M: Serialize>(writer: &mut W, message: &M) -> Result<(), LineError> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        writer.write_all(&line).await?;
        writer.flush().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FromWorker, ToWorker};

    #[tokio::test]
    async fn messages_survive_the_channel_and_its_end_is_seen() {
        let (mut a, b) = tokio::io::duplex(64);
        let sender = tokio::spawn(async move {
            for number in 0..3 {
                Lines::write(&mut a, &FromWorker::SlotBack { dispatch: number }).await.unwrap();
            }
        });
        let mut lines = Lines::new(b);
        for number in 0..3 {
            let message: Option<FromWorker> = lines.next().await.unwrap();
            assert_eq!(message, Some(FromWorker::SlotBack { dispatch: number }));
        }
        assert_eq!(lines.next::<FromWorker>().await.unwrap(), None);
        sender.await.unwrap();
    }

    #[tokio::test]
    async fn a_line_is_read_up_to_its_bound_and_no_further() {
        let message = FromWorker::ImportFailed { error: "x".repeat(1000), traceback: String::new() };
        let mut sent = Vec::new();
        Lines::write(&mut sent, &message).await.unwrap();
        // The line's end does not count.
        for (most, fits) in [(sent.len(), true), (sent.len() - 1, true), (sent.len() - 2, false), (1, false)] {
            let mut lines = Lines::bounded(&sent[..], most);
            match lines.next::<FromWorker>().await {
                Ok(read) => assert_eq!((read.as_ref(), fits), (Some(&message), true), "{most}"),
                Err(error) => {
                    assert!(!fits && matches!(error, LineError::TooLong(bound) if bound == most), "{most}: {error}");
                    assert!(lines.line.len() <= most + 1 && lines.line.capacity() <= 2 * (most + 8), "{most}");
                }
            }
        }
        let mut lines = Lines::bounded(&sent[..], 1);
        lines.allow(MAX_LINE);
        assert_eq!(lines.next().await.unwrap(), Some(message));
        // Without an end, from a peer that never stops.
        let mut endless = Lines::new(tokio::io::repeat(b'x'));
        assert!(matches!(endless.next::<FromWorker>().await, Err(LineError::TooLong(MAX_LINE))));
    }

    #[tokio::test]
    async fn a_line_that_is_no_message_is_an_error() {
        let mut lines = Lines::new(&b"{\"type\":\"nonsense\"}\n"[..]);
        assert!(matches!(lines.next::<ToWorker>().await, Err(LineError::Malformed(_))));
        let mut lines = Lines::new(&b"{\"type\":\"stop\""[..]);
        assert!(matches!(lines.next::<ToWorker>().await, Err(LineError::Io(_))));
    }
}
