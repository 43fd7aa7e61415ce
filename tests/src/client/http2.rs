//! HTTP/2 through the `h2` crate, which checks the server's frames itself.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::Request;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::response::{End, Response};
use super::tls::Presented;
use crate::wait::bounded;

/// An HTTP/2 connection.
#[derive(Debug)]
pub struct Http2 {
    sender: SendRequest<Bytes>,
    host: String,
    /// The server's certificate.
    pub presented: Presented,
}

/// A request under way.
#[derive(Debug)]
pub struct Stream {
    response: ResponseFuture,
    /// Where its body goes.
    pub body: SendStream<Bytes>,
}

impl Http2 {
    pub(super) async fn over(stream: TlsStream<TcpStream>, host: &str, presented: Presented) -> Self {
        let (sender, connection) = bounded("the HTTP/2 handshake", h2::client::handshake(stream)).await.unwrap();
        tokio::spawn(async move {
            // Its errors reach the streams.
            let _ = connection.await;
        });
        Self { sender, host: host.to_owned(), presented }
    }

    /// Sends a request's head; `target` is path and query.
    pub async fn open(&mut self, method: &str, target: &str, headers: &[(&str, &str)], has_body: bool) -> Stream {
        let mut request = Request::builder().method(method).uri(format!("https://{}{target}", self.host));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let mut sender = bounded("room for a stream", self.sender.clone().ready()).await.unwrap();
        let (response, body) = sender.send_request(request, !has_body).unwrap();
        Stream { response, body }
    }

    /// Asks in the name of another host from now on.
    pub fn set_host(&mut self, host: &str) {
        host.clone_into(&mut self.host);
    }

    /// GET and the whole response.
    pub async fn get(&mut self, target: &str) -> Response {
        self.get_with(target, &[]).await
    }

    /// GET with headers and the whole response.
    pub async fn get_with(&mut self, target: &str, headers: &[(&str, &str)]) -> Response {
        self.open("GET", target, headers, false).await.response().await
    }

    /// A request with a body, and the whole response.
    pub async fn post(&mut self, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let Stream { response, body: mut sender } = self.open("POST", target, headers, true).await;
        // Both at once: an app may answer while it reads, and neither side has room for all of it.
        let (_, response) = tokio::join!(send(&mut sender, body, true), receive(response));
        response.expect("the stream was reset before a response")
    }
}

impl Stream {
    /// Sends a piece of the body.
    pub async fn send(&mut self, piece: &[u8], last: bool) {
        send(&mut self.body, piece, last).await;
    }

    /// The whole response.
    ///
    /// # Panics
    /// When the stream was reset before a response.
    pub async fn response(self) -> Response {
        self.try_response().await.expect("the stream was reset before a response")
    }

    /// The whole response, unless the stream was reset before it.
    pub async fn try_response(self) -> Option<Response> {
        receive(self.response).await
    }

    /// The response's head, and what its body is read from.
    ///
    /// # Panics
    /// When the stream was reset before a response.
    pub async fn head(self) -> (Response, RecvStream) {
        head(self.response).await.expect("the stream was reset before a response")
    }
}

async fn send(body: &mut SendStream<Bytes>, mut piece: &[u8], last: bool) {
    while !piece.is_empty() {
        body.reserve_capacity(piece.len());
        let capacity = bounded("flow control", std::future::poll_fn(|cx| body.poll_capacity(cx))).await;
        // The server has answered already and wants no more.
        let Some(Ok(capacity)) = capacity else { return };
        let (now, later) = piece.split_at(capacity.min(piece.len()));
        body.send_data(Bytes::copy_from_slice(now), last && later.is_empty()).unwrap();
        piece = later;
    }
}

async fn head(response: ResponseFuture) -> Option<(Response, RecvStream)> {
    let (parts, body) = bounded("a response", response).await.ok()?.into_parts();
    let text = |bytes: &[u8]| bytes.iter().map(|&byte| char::from(byte)).collect::<String>();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
    let response =
        Response { status: parts.status.as_u16(), reason: String::new(), headers, body: Vec::new(), end: End::Cut };
    Some((response, body))
}

async fn receive(response: ResponseFuture) -> Option<Response> {
    let (mut response, mut body) = head(response).await?;
    loop {
        match bounded("the body", body.data()).await {
            Some(Ok(piece)) => {
                let _ = body.flow_control().release_capacity(piece.len());
                response.body.extend_from_slice(&piece);
            }
            Some(Err(_)) => return Some(response),
            None => break,
        }
    }
    response.end = End::Proper;
    Some(response)
}
