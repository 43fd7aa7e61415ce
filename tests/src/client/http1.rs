//! HTTP/1.1 over the bytes of a connection: requests as the case writes them, responses read strictly (RFC 9112).

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::response::{End, Response};
use super::tls::Presented;
use crate::wait::bounded;

/// A TCP or TLS stream.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// A connection to a listener.
pub struct Connection {
    socket: Box<dyn Socket>,
    /// Read and not yet consumed.
    buffer: Vec<u8>,
    /// What is left of the current response's body.
    body: Framing,
    host: String,
    /// The certificate of the server, with TLS.
    pub presented: Option<Presented>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    None,
    Length(u64),
    Chunked,
    ToTheEnd,
    Done(End),
}

impl Connection {
    /// Connects without TLS.
    pub async fn plain(address: SocketAddr) -> Self {
        let stream = bounded("a connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, "localhost", None)
    }

    /// A connection that something else has made.
    pub fn over(socket: impl Socket + 'static, host: &str, presented: Option<Presented>) -> Self {
        Self { socket: Box::new(socket), buffer: Vec::new(), body: Framing::None, host: host.to_owned(), presented }
    }

    /// Writes bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    /// Writes bytes as they are; the server may have closed.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let write = async {
            self.socket.write_all(bytes.as_ref()).await?;
            self.socket.flush().await
        };
        bounded("room to write", write).await
    }

    /// Writes bytes, if the server still takes them, and looks for so long whether it answers.
    pub async fn drip(&mut self, bytes: &[u8], pause: Duration) -> bool {
        let _ = self.try_send(bytes).await;
        !self.buffer.is_empty() || tokio::time::timeout(pause, self.fill()).await.is_ok()
    }

    /// Says that nothing more is sent.
    pub async fn finish_sending(&mut self) {
        bounded("the end of sending", self.socket.shutdown()).await.unwrap();
    }

    /// Sends a request with Host and a Content-Length where there is a body.
    pub async fn request(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            write!(head, "Host: {}\r\n", self.host).unwrap();
        }
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let framed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
        if !framed && (!body.is_empty() || method == "POST") {
            write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        self.send(bytes).await;
    }

    /// GET and the whole response.
    pub async fn get(&mut self, target: &str) -> Response {
        self.get_with(target, &[]).await
    }

    /// GET with headers and the whole response.
    pub async fn get_with(&mut self, target: &str, headers: &[(&str, &str)]) -> Response {
        self.request("GET", target, headers, b"").await;
        self.response("GET").await
    }

    /// POST and the whole response.
    pub async fn post(&mut self, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.request("POST", target, headers, body).await;
        self.response("POST").await
    }

    /// The whole response to a request with this method.
    pub async fn response(&mut self, method: &str) -> Response {
        let mut response = self.head(method).await;
        while let Some(piece) = self.piece().await {
            response.body.extend_from_slice(&piece);
        }
        response.end = self.end();
        response
    }

    /// The next response's head; its body is read with [`Connection::piece`].
    ///
    /// # Panics
    /// When there is none or it is malformed.
    pub async fn head(&mut self, method: &str) -> Response {
        self.try_head(method).await.expect("the connection ended without a response")
    }

    /// The next response's head, or nothing if the connection ends first.
    pub async fn try_head(&mut self, method: &str) -> Option<Response> {
        let length = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.fill().await {
                assert!(self.buffer.is_empty(), "cut in the head: {:?}", String::from_utf8_lossy(&self.buffer));
                return None;
            }
        };
        let head: Vec<u8> = self.buffer.drain(..length).collect();
        let response = parse_head(&head);
        self.body = framing(&response, method);
        Some(response)
    }

    /// The next piece of the body as it arrives; with chunks, one chunk. Nothing at the end.
    pub async fn piece(&mut self) -> Option<Vec<u8>> {
        match self.body {
            Framing::None | Framing::Length(0) => {
                self.body = Framing::Done(End::Proper);
                None
            }
            Framing::Done(_) => None,
            Framing::Length(left) => {
                if self.buffer.is_empty() && !self.fill().await {
                    self.body = Framing::Done(End::Cut);
                    return None;
                }
                let take = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.body = Framing::Length(left - take as u64);
                Some(self.buffer.drain(..take).collect())
            }
            Framing::ToTheEnd => {
                if self.buffer.is_empty() && !self.fill().await {
                    self.body = Framing::Done(End::Closed);
                    return None;
                }
                Some(std::mem::take(&mut self.buffer))
            }
            Framing::Chunked => {
                let chunk = self.chunk().await;
                if chunk.is_none() && self.body == Framing::Chunked {
                    self.body = Framing::Done(End::Cut);
                }
                chunk
            }
        }
    }

    /// How the body ended that was read last.
    pub fn end(&self) -> End {
        match self.body {
            Framing::Done(end) => end,
            _ => End::Cut,
        }
    }

    async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line().await?;
        let size = usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("malformed chunk size {line:?}"));
        while self.buffer.len() < size + 2 {
            if !self.fill().await {
                return None;
            }
        }
        let data: Vec<u8> = self.buffer.drain(..size).collect();
        let end: Vec<u8> = self.buffer.drain(..2).collect();
        assert_eq!(end, b"\r\n", "a chunk without its line end (or trailers, which nobody sends here)");
        if size == 0 {
            self.body = Framing::Done(End::Proper);
            return None;
        }
        Some(data)
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Some(String::from_utf8(line[..at].to_vec()).unwrap());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Whether the server closes the connection now, without another byte.
    pub async fn is_closed_by_server(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill().await
    }

    /// Reads more; false at the connection's end, clean or not.
    async fn fill(&mut self) -> bool {
        let read = self.socket.read_buf(&mut self.buffer);
        bounded("bytes from the server", read).await.is_ok_and(|length| length > 0)
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("host", &self.host).field("body", &self.body).finish_non_exhaustive()
    }
}

fn parse_head(bytes: &[u8]) -> Response {
    let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    let mut lines = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n");
    let first = lines.next().unwrap();
    let mut parts = first.splitn(3, ' ');
    assert_eq!(parts.next(), Some("HTTP/1.1"), "malformed status line: {first:?}");
    let status = parts.next().filter(|digits| digits.len() == 3).and_then(|digits| digits.parse().ok());
    let status = status.unwrap_or_else(|| panic!("malformed status line: {first:?}"));
    let reason = parts.next().unwrap_or_else(|| panic!("malformed status line: {first:?}")).to_owned();
    let headers = lines.map(header).collect();
    Response { status, reason, headers, body: Vec::new(), end: End::Cut }
}

fn header(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("malformed header: {line:?}"));
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    assert!(!name.is_empty() && name.bytes().all(is_token), "malformed header: {line:?}");
    assert!(!value.contains(['\r', '\n', '\0']), "malformed header: {line:?}");
    (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned())
}

/// RFC 9112 section 6.3.
fn framing(response: &Response, method: &str) -> Framing {
    let lengths = response.header_values("content-length");
    let codings = response.header_values("transfer-encoding");
    assert!(lengths.len() <= 1 && codings.len() <= 1, "framed twice: {response:?}");
    assert!(lengths.is_empty() || codings.is_empty(), "framed both ways: {response:?}");
    let length = lengths.first().map(|digits| {
        assert!(digits.bytes().all(|digit| digit.is_ascii_digit()), "malformed Content-Length: {response:?}");
        digits.parse().unwrap()
    });
    let has_no_body = method == "HEAD" || response.status < 200 || matches!(response.status, 204 | 304);
    match (has_no_body, length, codings.first()) {
        (true, ..) => {
            assert!(codings.is_empty() || method == "HEAD", "a coding without a body: {response:?}");
            Framing::None
        }
        (false, Some(length), _) => Framing::Length(length),
        (false, None, Some(&"chunked")) => Framing::Chunked,
        (false, None, Some(other)) => panic!("unknown coding {other}"),
        (false, None, None) => Framing::ToTheEnd,
    }
}
