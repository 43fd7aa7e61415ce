//! An HTTP/1.1 request without a body and the response to it: what most requests are. It is read from the bytes that
//! `request::guard` has let through, and the response's head and a short body leave in one write. Whatever is not
//! of this simple kind goes to a session of pingora. Used by `exchange`, which bounds every call in time.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::future::{pending, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf, BufMut as _, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use pingora_core::protocols::Stream;
use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};

use super::exchange::{Head, JOINED, Length};
use super::http1::read_some;
use crate::request::guard::{Framing, Shape};

/// Beyond so many bytes of later requests no more are read while this one is answered.
const READ_AHEAD: usize = 2 << 10;
/// Room for a head without a body.
const HEAD: usize = 512;

/// A request without a body, and its response.
#[derive(Debug)]
pub(super) struct Bare {
    stream: Stream,
    /// What the client has sent after the request.
    rest: BytesMut,
    request: Parts,
    body: Body,
    /// What is to be written with what comes next.
    held: BytesMut,
}

/// What may still come of the response's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// Nothing, whatever comes: of HEAD, 204 and 304.
    None,
    /// So many bytes.
    Left(u64),
    /// Chunks.
    Chunked,
}

impl Bare {
    /// Takes the request at the beginning of `buffer`, whose header ends at `end`, if it is of this kind. Else gives
    /// everything back as it was.
    pub(super) fn new(
        stream: Stream,
        mut buffer: BytesMut,
        end: usize,
        shape: Shape,
    ) -> Result<Self, (Stream, BytesMut)> {
        if shape.framing != Framing::None {
            return Err((stream, buffer));
        }
        let header = buffer.split_to(end).freeze();
        // An empty buffer would hold on to the header's room.
        let rest = if buffer.is_empty() { BytesMut::new() } else { buffer };
        match parse(&header, shape.fields) {
            Some(request) => Ok(Self { stream, rest, request, body: Body::None, held: BytesMut::new() }),
            None => {
                let mut whole = BytesMut::from(header);
                whole.unsplit(rest);
                Err((stream, whole))
            }
        }
    }

    /// The request.
    pub(super) fn request(&self) -> &Parts {
        &self.request
    }

    /// Whether the client wants to ask for more on this connection.
    pub(super) fn wants_more(&self) -> bool {
        !asks_to_close(&self.request.headers)
    }

    /// Whether the response has gone out to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.body == Body::None && self.held.is_empty()
    }

    /// Resolves when the client has gone away. What it sends meanwhile is kept. Cancel-safe.
    pub(super) async fn gone(&mut self) {
        while self.rest.len() < READ_AHEAD {
            match read_some(&mut self.stream, &mut self.rest).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        pending().await
    }

    /// Holds the head for what comes next, and says what that is. `ends`: there is no body.
    pub(super) fn hold_head(&mut self, head: &Head, ends: bool, keep_alive: bool) -> Body {
        self.body = match head.length {
            Some(Length::Unknown) if !ends => Body::Chunked,
            Some(Length::Known(length)) if !ends => Body::Left(length),
            _ => Body::None,
        };
        let room = match self.body {
            Body::Left(length) if length <= JOINED as u64 => usize::try_from(length).unwrap_or(0),
            _ => 0,
        };
        let wire = &mut self.held;
        wire.reserve(HEAD + room);
        write_status(wire, head.status, head.reason.as_deref());
        write_fields(wire, &head.headers);
        match head.length {
            Some(Length::Known(length)) => {
                wire.put_slice(b"Content-Length: ");
                wire.put_slice(HeaderValue::from(length).as_bytes());
                wire.put_slice(b"\r\n");
            }
            Some(Length::Unknown) if !ends => wire.put_slice(b"Transfer-Encoding: chunked\r\n"),
            _ => {}
        }
        write_date(wire);
        wire.put_slice(if keep_alive { b"Connection: keep-alive\r\n\r\n" } else { b"Connection: close\r\n\r\n" });
        self.body
    }

    /// Writes what is held.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.write(Bytes::new(), b"").await
    }

    /// Writes a piece of the body.
    pub(super) async fn write_body(&mut self, piece: Bytes, ends: bool) -> io::Result<()> {
        match &mut self.body {
            Body::None => self.flush().await,
            Body::Left(left) => {
                *left = left.checked_sub(piece.len() as u64).ok_or(io::ErrorKind::InvalidData)?;
                if ends && *left > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if ends {
                    self.body = Body::None;
                }
                self.write(piece, b"").await
            }
            Body::Chunked if piece.is_empty() && !ends => Ok(()),
            Body::Chunked => {
                if ends {
                    self.body = Body::None;
                }
                if piece.is_empty() {
                    return self.write(piece, b"0\r\n\r\n").await;
                }
                // Writing to memory does not fail.
                let _ = write!(self.held, "{:x}\r\n", piece.len());
                self.write(piece, if ends { b"\r\n0\r\n\r\n" } else { b"\r\n" }).await
            }
        }
    }

    /// Writes what is held and of a long piece as much as the system takes at once, so that there is nothing to wait
    /// for; the rest of the piece is left. Returns how much of it was written.
    pub(super) async fn write_at_once(&mut self, piece: &mut Bytes) -> io::Result<usize> {
        let Self { stream, body: Body::Left(left), held, .. } = self else { return Ok(0) };
        let within = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
        let written = poll_fn(|cx| {
            let pieces = [IoSlice::new(held), IoSlice::new(&piece[..within])];
            match Pin::new(&mut *stream).poll_write_vectored(cx, &pieces) {
                Poll::Ready(written) => Poll::Ready(written),
                Poll::Pending => Poll::Ready(Ok(0)),
            }
        });
        let written = written.await?;
        let head = written.min(held.len());
        held.advance(head);
        piece.advance(written - head);
        *left -= (written - head) as u64;
        Ok(written - head)
    }

    /// Writes what is held, a piece and what follows it: in one go if that is short.
    async fn write(&mut self, piece: Bytes, tail: &[u8]) -> io::Result<()> {
        if self.held.len() + piece.len() <= JOINED {
            self.held.extend_from_slice(&piece);
            self.held.extend_from_slice(tail);
            self.stream.write_all(&self.held).await?;
        } else {
            let mut all = Buf::chain(&self.held[..], piece).chain(tail);
            self.stream.write_all_buf(&mut all).await?;
        }
        self.held.clear();
        self.stream.flush().await
    }

    /// The connection, and what the client has sent beyond this request.
    pub(super) fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.rest)
    }
}

/// Whether a client says that this request is its last on the connection (RFC 9112 section 9.6).
pub(super) fn asks_to_close(headers: &HeaderMap) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| {
        value.as_bytes().split(|&byte| byte == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"))
    })
}

/// Takes a checked header apart; nothing if the request is of another kind. Its fields share the header's room.
pub(crate) fn parse(header: &Bytes, fields: usize) -> Option<Parts> {
    let mut lines = lines(header);
    let line = lines.next()?;
    let first = memchr::memchr(b' ', line)?;
    let second = memchr::memrchr(b' ', line)?;
    let target = &line[first + 1..second];
    if &line[second + 1..] != b"HTTP/1.1" || target.first() != Some(&b'/') {
        return None;
    }
    let method = Method::from_bytes(&line[..first]).ok()?;
    let target = PathAndQuery::from_maybe_shared(header.slice_ref(target)).ok()?;
    let mut headers = HeaderMap::with_capacity(fields);
    for line in lines {
        let colon = memchr::memchr(b':', line)?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        if name == UPGRADE || name == EXPECT {
            return None;
        }
        let value = header.slice_ref(line[colon + 1..].trim_ascii());
        headers.append(name, HeaderValue::from_maybe_shared(value).ok()?);
    }
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = method;
    parts.uri = target.into();
    parts.version = Version::HTTP_11;
    parts.headers = headers;
    Some(parts)
}

/// The lines of a checked header, without their ends, up to the empty one.
fn lines(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = header;
    std::iter::from_fn(move || {
        let end = memchr::memchr(b'\n', rest)?;
        let line = rest[..end].strip_suffix(b"\r")?;
        rest = &rest[end + 1..];
        (!line.is_empty()).then_some(line)
    })
}

fn write_status(wire: &mut BytesMut, status: StatusCode, reason: Option<&str>) {
    wire.put_slice(b"HTTP/1.1 ");
    wire.put_slice(status.as_str().as_bytes());
    wire.put_u8(b' ');
    // RFC 9112 section 4: a phrase may be empty, and has no control characters.
    let own = reason.filter(|reason| reason.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f)));
    wire.put_slice(own.or_else(|| status.canonical_reason()).unwrap_or_default().as_bytes());
    wire.put_slice(b"\r\n");
}

/// Writes the fields but those of this connection. Each word of a name begins with a capital letter: some clients
/// compare letter by letter.
fn write_fields(wire: &mut BytesMut, headers: &HeaderMap) {
    for (name, value) in headers {
        if [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, DATE].contains(name) {
            continue;
        }
        let from = wire.len();
        wire.put_slice(name.as_str().as_bytes());
        let mut before = b'-';
        for byte in &mut wire[from..] {
            // Without a branch: no two names are alike.
            *byte ^= u8::from(before == b'-' && byte.is_ascii_lowercase()) << 5;
            before = *byte;
        }
        wire.put_slice(b": ");
        wire.put_slice(value.as_bytes());
        wire.put_slice(b"\r\n");
    }
}

/// Writes the date, which is made once a second.
fn write_date(wire: &mut BytesMut) {
    thread_local! {
        static LINE: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    LINE.with_borrow_mut(|(second, line)| {
        if *second != now || line.is_empty() {
            let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now));
            *line = format!("Date: {date}\r\n");
            *second = now;
        }
        wire.put_slice(line.as_bytes());
    });
}

#[cfg(test)]
mod tests;
