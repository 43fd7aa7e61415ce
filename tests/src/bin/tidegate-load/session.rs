//! One connection: opened, a request sent, the answer read to its end.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::framing::{self, Body, Malformed};
use crate::tally::Failure;
use crate::target::Target;

/// Larger headers are malformed.
const MAX_HEAD: usize = 64 * 1024;
const BUFFER: usize = 16 * 1024;
static BODY: [u8; BUFFER] = [b'x'; BUFFER];

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// A connection between two requests.
pub(crate) struct Session {
    stream: Box<dyn Stream>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Header and body, framing included.
    pub(crate) bytes: u64,
    /// Whether the connection is good for another request.
    pub(crate) reusable: bool,
}

impl Session {
    /// Connects, with TLS where the target has it.
    pub(crate) async fn open(target: &Target) -> Result<Self, Failure> {
        let tcp = TcpStream::connect(target.address).await.map_err(|_| Failure::Connect)?;
        tcp.set_nodelay(true).map_err(|_| Failure::Connect)?;
        let stream: Box<dyn Stream> = match &target.tls {
            Some((connector, name)) => Box::new(connector.connect(name.clone(), tcp).await.map_err(|_| Failure::Tls)?),
            None => Box::new(tcp),
        };
        Ok(Self { stream })
    }

    /// Sends the target's request and reads the answer. `buffer` is the user's own, kept between requests.
    pub(crate) async fn exchange(&mut self, target: &Target, buffer: &mut Vec<u8>) -> Result<Answer, Failure> {
        // A server that refuses a body may answer and close while it is being sent: the answer says more.
        let sent = self.send(target).await;
        let answer = self.receive(target.is_head, buffer).await;
        match (sent, answer) {
            (Ok(()), answer) => answer,
            (Err(_), Ok(answer)) => Ok(Answer { reusable: false, ..answer }),
            (Err(_), Err(failure)) => Err(failure),
        }
    }

    async fn send(&mut self, target: &Target) -> std::io::Result<()> {
        self.stream.write_all(&target.head).await?;
        let mut missing = target.body;
        while missing > 0 {
            let step = missing.min(BUFFER as u64);
            self.stream.write_all(&BODY[..step as usize]).await?;
            missing -= step;
        }
        self.stream.flush().await
    }

    async fn receive(&mut self, is_head: bool, buffer: &mut Vec<u8>) -> Result<Answer, Failure> {
        buffer.clear();
        let mut head = loop {
            match framing::head(buffer, is_head)? {
                // 1xx: the answer itself is still to come.
                Some(head) if head.status < 200 => drop(buffer.drain(..head.length)),
                Some(head) => break head,
                None if buffer.len() > MAX_HEAD => return Err(Failure::Malformed),
                None => {
                    buffer.reserve(BUFFER);
                    if self.read(buffer).await? == 0 {
                        return Err(Failure::Closed);
                    }
                }
            }
        };
        let mut bytes = buffer.len() as u64;
        let mut complete = head.body.take(&buffer[head.length..])?;
        while !complete {
            buffer.clear();
            match self.read(buffer).await? {
                0 if head.body == Body::UntilClose => complete = true,
                0 => return Err(Failure::Closed),
                length => {
                    bytes += length as u64;
                    complete = head.body.take(buffer)?;
                }
            }
        }
        Ok(Answer { status: head.status, bytes, reusable: !head.closes })
    }

    async fn read(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Failure> {
        self.stream.read_buf(buffer).await.map_err(|_| Failure::Closed)
    }
}

impl From<Malformed> for Failure {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}
