//! A connection for requests with a body: hyper sends it while it reads what the worker answers.
//!
//! hyper's connection is driven by the task that uses it, never by a task of its own: no
//! hand-over between threads, and dropping the connection cancels the request.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Request;
use http::response::Parts;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tidegate_host::LocalStream;

use super::{BrokenOff, CallError, RESPONSE_BUFFER, RESPONSE_FIELDS};
use crate::upstream::body::RequestBody;
use crate::upstream::stream::{Deaf, WorkerStream};

/// A connection that hyper speaks on.
pub(super) struct Full {
    send: http1::SendRequest<RequestBody>,
    driver: Driver,
    deaf: Deaf,
    /// The body of the latest response.
    incoming: Option<Incoming>,
}

/// hyper's connection until it ends. It is dropped then, not kept: what is still queued in it is
/// answered by that drop alone.
struct Driver(Option<Pin<Box<Http1>>>);

type Http1 = http1::Connection<TokioIo<WorkerStream>, RequestBody>;

impl Driver {
    /// Does what can be done now; says whether the connection is still open.
    fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(connection) = &mut self.0
            && connection.as_mut().poll(cx).is_ready()
        {
            self.0 = None;
        }
        self.0.is_some()
    }
}

impl Full {
    pub(super) async fn new(stream: LocalStream) -> io::Result<Self> {
        let stream = WorkerStream::new(stream);
        let deaf = stream.deaf();
        let (send, driver) = http1::Builder::new()
            .max_headers(RESPONSE_FIELDS)
            .max_buf_size(RESPONSE_BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        Ok(Self { send, driver: Driver(Some(Box::pin(driver))), deaf, incoming: None })
    }

    /// See [`super::Connection::is_usable`].
    pub(super) fn is_usable(&mut self) -> bool {
        // hyper is not ready for more while somebody may still read the last response.
        self.incoming = None;
        let mut cx = Context::from_waker(Waker::noop());
        self.driver.drive(&mut cx) && self.send.is_ready() && !self.deaf.is_set()
    }

    /// See [`super::Connection::call`].
    pub(super) async fn call(&mut self, request: Request<RequestBody>) -> Result<Parts, CallError> {
        let mut response = std::pin::pin!(self.send.try_send_request(request));
        let driver = &mut self.driver;
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(outcome) = response.as_mut().poll(cx) {
                return Poll::Ready(outcome);
            }
            driver.drive(cx);
            response.as_mut().poll(cx)
        })
        .await;
        match outcome {
            Ok(response) => {
                let (head, incoming) = response.into_parts();
                self.incoming = Some(incoming);
                Ok(head)
            }
            Err(mut error) => Err(match error.take_message() {
                Some(request) => CallError::NotSent(request),
                None => {
                    let error = error.into_error();
                    if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
                        CallError::Invalid(error.to_string())
                    } else {
                        CallError::Closed
                    }
                }
            }),
        }
    }

    /// See [`super::Connection::is_end`].
    pub(super) fn is_end(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    /// See [`super::Connection::next`].
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, BrokenOff>> {
        let Self { driver, incoming, .. } = self;
        let body = incoming.as_mut()?;
        loop {
            let frame = poll_fn(|cx| {
                if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                    return Poll::Ready(frame);
                }
                driver.drive(cx);
                Pin::new(&mut *body).poll_frame(cx)
            })
            .await?;
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) if !data.is_empty() => return Some(Ok(data)),
                // Trailers and empty frames carry nothing for a WSGI response.
                Ok(_) => {}
                Err(_) => return Some(Err(BrokenOff)),
            }
        }
    }
}
