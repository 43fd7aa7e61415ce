//! A connection for requests without a body, which most are: the request leaves in one write, and its response is read
//! from one buffer, whose parts are passed on without being copied. Speaks HTTP/1.1 (RFC 9112) to Tidegate's own
//! workers only: a response that leaves its length to the end of the connection is none, since a worker that dies would
//! end it alike. Never waits with a deadline: `call` does.

use std::future::Future as _;
use std::io;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::task::{Context, Waker};

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::ext::ReasonPhrase;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{BrokenOff, RESPONSE_BUFFER, RESPONSE_FIELDS};
use crate::header_end;
use crate::upstream::body::RequestBody;

/// What is read at once at first; more when a response turns out to be long.
const FIRST_READ: usize = 8 << 10;
/// Bytes of the line that says how long a chunk is.
const LINE: usize = 4 << 10;
/// A request's header that is longer leaves no room behind.
const KEPT: usize = 4 << 10;

/// A connection that takes one request after the other.
#[derive(Debug)]
pub(crate) struct Bare<S> {
    stream: S,
    /// What was read and is not taken yet.
    buffer: BytesMut,
    /// What is read at once.
    room: usize,
    /// What is still to come of the response.
    body: Body,
    /// Where a request is put together.
    wire: Vec<u8>,
    /// The worker reads, or answers, nothing more on it.
    spent: bool,
}

/// What is still to come of a response's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    End,
    Left(u64),
    Chunked(Chunked),
}

/// What comes next of a body in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunked {
    Size,
    Data(u64),
    DataEnd,
    /// The empty line after the last chunk: no worker sends trailers.
    Last,
}

/// Why a call brought no response head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// Nothing of the request was sent.
    NotSent,
    /// The connection ended before a full head.
    Closed,
    /// The worker answered with something that is not HTTP.
    Invalid(&'static str),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Bare<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new(), room: FIRST_READ, body: Body::End, wire: Vec::new(), spent: false }
    }

    /// See [`super::Connection::is_usable`].
    pub(super) fn is_usable(&mut self) -> bool {
        if self.spent || self.body != Body::End || !self.buffer.is_empty() {
            return false;
        }
        // Its end, or bytes that nobody has asked for.
        let mut cx = Context::from_waker(Waker::noop());
        pin!(self.fill()).poll(&mut cx).is_pending()
    }

    /// See [`super::Connection::call`].
    pub(crate) async fn call(&mut self, request: &Request<RequestBody>) -> Result<Parts, Error> {
        self.write(request).await?;
        loop {
            let mut searched = 0;
            let end = loop {
                let end = header_end::find(&self.buffer, searched);
                if end.unwrap_or(self.buffer.len()) > RESPONSE_BUFFER {
                    return Err(Error::Invalid("a header of more than 64 KiB"));
                }
                if let Some(end) = end {
                    break end;
                }
                searched = self.buffer.len();
                match self.fill().await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return Err(Error::Closed),
                }
            };
            let head = parse(&self.buffer.split_to(end).freeze())?;
            // Before the response there may be others that only inform; none of them matters without a body.
            if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
                continue;
            }
            self.body = framing(&head, request.method())?;
            self.spent |= says_close(&head.headers);
            return Ok(head);
        }
    }

    /// See [`super::Connection::is_end`].
    pub(crate) fn is_end(&self) -> bool {
        self.body == Body::End
    }

    /// See [`super::Connection::is_short`].
    pub(super) fn is_short(&self) -> bool {
        matches!(self.body, Body::Left(left) if left <= RESPONSE_BUFFER as u64)
    }

    /// See [`super::Connection::next`].
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, BrokenOff>> {
        loop {
            if self.skip_framing().is_none() {
                return Some(Err(BrokenOff));
            }
            self.gather().await;
            if let Some(piece) = self.piece() {
                // The end often comes with the last piece, and the worker is free then.
                return Some(self.skip_framing().map(|()| piece).ok_or(BrokenOff));
            }
            if self.body == Body::End {
                return None;
            }
            match self.fill().await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Some(Err(BrokenOff)),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Bare<S> {
    async fn write(&mut self, request: &Request<RequestBody>) -> Result<(), Error> {
        let Self { stream, wire, .. } = self;
        wire.clear();
        encode(request, wire);
        let mut sent = 0;
        while sent < wire.len() {
            match stream.write(&wire[sent..]).await {
                Ok(written @ 1..) => sent += written,
                _ if sent == 0 => return Err(Error::NotSent),
                _ => {
                    // What the worker has said is still to be read.
                    self.spent = true;
                    break;
                }
            }
        }
        wire.shrink_to(KEPT);
        Ok(())
    }

    /// Reads the rest of a short body: a worker that says its length has all of it, so it is on its way. Cancel-safe.
    async fn gather(&mut self) {
        while let Body::Left(left) = self.body {
            let missing = usize::try_from(left).unwrap_or(usize::MAX).saturating_sub(self.buffer.len());
            if missing == 0 || !self.is_short() {
                return;
            }
            self.room = self.room.max(missing);
            // A failure is there the next time, too.
            if !matches!(self.fill().await, Ok(1..)) {
                return;
            }
        }
    }

    /// Reads what is there, or waits for it. Cancel-safe.
    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(self.room);
        let read = self.stream.read_buf(&mut self.buffer).await?;
        // A short piece in a large buffer would keep all of it.
        self.room = if read < self.room { FIRST_READ } else { (self.room * 4).min(RESPONSE_BUFFER) };
        Ok(read)
    }
}

impl<S> Bare<S> {
    /// Takes the data that is there.
    fn piece(&mut self) -> Option<Bytes> {
        let (Body::Left(left) | Body::Chunked(Chunked::Data(left))) = &mut self.body else { return None };
        let size = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
        if size == 0 {
            return None;
        }
        *left -= size as u64;
        Some(self.buffer.split_to(size).freeze())
    }

    /// Takes what is between data and ends with it, as far as it is there; nothing if it is malformed.
    fn skip_framing(&mut self) -> Option<()> {
        loop {
            self.body = match self.body {
                Body::Left(0) => Body::End,
                Body::Chunked(Chunked::Data(0)) => Body::Chunked(Chunked::DataEnd),
                Body::Chunked(Chunked::DataEnd) => {
                    let Some(line) = self.line()? else { return Some(()) };
                    if !line.is_empty() {
                        return None;
                    }
                    Body::Chunked(Chunked::Size)
                }
                Body::Chunked(Chunked::Size) => {
                    let Some(line) = self.line()? else { return Some(()) };
                    match chunk_size(&line)? {
                        0 => Body::Chunked(Chunked::Last),
                        size => Body::Chunked(Chunked::Data(size)),
                    }
                }
                Body::Chunked(Chunked::Last) => {
                    let Some(line) = self.line()? else { return Some(()) };
                    if !line.is_empty() {
                        return None;
                    }
                    Body::End
                }
                Body::End | Body::Left(_) | Body::Chunked(Chunked::Data(_)) => return Some(()),
            };
        }
    }

    /// Takes a line without its end, `Some(None)` while it is not whole; nothing if it is too long.
    fn line(&mut self) -> Option<Option<BytesMut>> {
        match memchr::memmem::find(&self.buffer, b"\r\n") {
            Some(end) if end <= LINE => {
                let line = self.buffer.split_to(end);
                self.buffer.advance(2);
                Some(Some(line))
            }
            None if self.buffer.len() <= LINE => Some(None),
            _ => None,
        }
    }
}

/// The bytes of a request.
fn encode(request: &Request<RequestBody>, wire: &mut Vec<u8>) {
    let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    for part in [request.method().as_str(), " ", target, " HTTP/1.1\r\n"] {
        wire.extend_from_slice(part.as_bytes());
    }
    for (name, value) in request.headers() {
        wire.extend_from_slice(name.as_str().as_bytes());
        wire.extend_from_slice(b": ");
        wire.extend_from_slice(value.as_bytes());
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"\r\n");
}

/// Reads a response's head; its values share the bytes.
fn parse(head: &Bytes) -> Result<Parts, Error> {
    let mut fields = [const { MaybeUninit::uninit() }; RESPONSE_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    match parser.parse_response_with_uninit_headers(&mut response, head, &mut fields) {
        Ok(httparse::Status::Complete(end)) if end == head.len() => {}
        // It also takes lines that end in LF alone, and then an earlier end.
        Ok(_) => return Err(Error::Invalid("a header with two ends")),
        Err(httparse::Error::TooManyHeaders) => return Err(Error::Invalid("a header of more than 256 fields")),
        Err(_) => return Err(Error::Invalid("a malformed header")),
    }
    if response.version != Some(1) {
        return Err(Error::Invalid("a version other than HTTP/1.1"));
    }
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Error::Invalid("a status that is none"))?;
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for field in response.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Error::Invalid("a malformed field"))?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value));
        headers.append(name, value.map_err(|_| Error::Invalid("a malformed field"))?);
    }
    let (mut parts, ()) = http::Response::new(()).into_parts();
    if let Some(reason) = response.reason.filter(|reason| status.canonical_reason() != Some(*reason))
        && let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes())
    {
        parts.extensions.insert(reason);
    }
    (parts.status, parts.headers) = (status, headers);
    Ok(parts)
}

/// How the body of a response to such a request is framed (RFC 9112 section 6.3).
fn framing(head: &Parts, method: &Method) -> Result<Body, Error> {
    if *method == Method::HEAD
        || head.status.is_informational()
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        return Ok(Body::End);
    }
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    match (codings.next(), codings.next(), lengths.next(), lengths.next()) {
        (Some(coding), None, None, _) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Ok(Body::Chunked(Chunked::Size))
        }
        (None, _, Some(length), None) => {
            let length = std::str::from_utf8(length.as_bytes()).ok().filter(|length| is_number(length));
            let length = length.and_then(|length| length.parse().ok()).ok_or(Error::Invalid("an unusable length"))?;
            Ok(if length == 0 { Body::End } else { Body::Left(length) })
        }
        (None, _, None, _) => Err(Error::Invalid("neither a length nor chunks")),
        _ => Err(Error::Invalid("an ambiguous length")),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number on a chunk's first line: no worker sends an extension.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let is_size = (1..=16).contains(&line.len()) && line.iter().all(u8::is_ascii_hexdigit);
    u64::from_str_radix(std::str::from_utf8(line).ok().filter(|_| is_size)?, 16).ok()
}

/// Whether the worker ends the connection after this response.
fn says_close(headers: &HeaderMap) -> bool {
    headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

#[cfg(test)]
mod tests;
