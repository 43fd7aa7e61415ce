//! The response as it comes into being: which head, whether it has gone out, how much body is
//! still owed. Knows no Python objects, so that its lock is never held while Python may run.

use std::sync::Arc;

use bytes::Bytes;
use http::header;
use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use tidegate_contract::{Cause, Outcome};

use super::head::Head;
use super::validate;
use crate::io::{INTERNAL, Reply, ReplyBody, ReplyTo, Streamed, failure};
use crate::log;
use crate::pipe::{End, Offer, Pipe};
use crate::request::Request;
use crate::shared::Shared;

/// A response in the making.
pub(super) struct Responder {
    shared: &'static Shared,
    request: Arc<Request>,
    /// Until the head has gone out.
    reply: Option<ReplyTo>,
    /// From `start_response` until it has gone out.
    head: Option<Head>,
    /// From the first chunk on.
    stream: Option<Stream>,
    /// For the conformance mode: how far the app is with its response.
    pub(super) progress: Progress,
}

/// How far an app is with its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has been called.
    Called,
    /// What it returned is being iterated.
    Iterated,
    /// It has been left.
    Ended,
}

struct Stream {
    pipe: Arc<Pipe>,
    /// Bytes still owed of the Content-Length.
    owed: Option<u64>,
}

/// What became of a chunk.
pub(super) enum Step {
    /// It is on its way.
    Taken,
    /// Offer it to the pipe again when there is room.
    Wait(Arc<Pipe>, Bytes),
    /// No more body is wanted.
    Stop,
}

/// Whether the app is to go on.
pub(super) enum Sent {
    /// It is.
    Taken,
    /// No more body is wanted.
    Stop,
}

impl Responder {
    pub(super) fn new(shared: &'static Shared, request: Arc<Request>, reply: ReplyTo) -> Self {
        Self { shared, request, reply: Some(reply), head: None, stream: None, progress: Progress::Called }
    }

    pub(super) fn shared(&self) -> &'static Shared {
        self.shared
    }

    /// Whether the app's breaches of PEP 3333 are reported.
    pub(super) fn validates(&self) -> bool {
        self.shared.launch.validate
    }

    /// Reports one, in the conformance mode.
    pub(super) fn violation(&self, violation: &str) {
        if self.validates() {
            validate::report(self.shared, &self.request, violation);
        }
    }

    fn body_without_place(&self, status: http::StatusCode) {
        // The body of a HEAD's response has its place in that of a GET.
        if self.validates() && self.request.head.method != http::Method::HEAD {
            self.violation(&validate::body_without_place(status));
        }
    }

    /// Whether the app has not called `start_response` yet.
    pub(super) fn is_unstarted(&self) -> bool {
        self.head.is_none() && !self.is_sent()
    }

    /// Whether the head has gone out.
    pub(super) fn is_sent(&self) -> bool {
        self.reply.is_none()
    }

    /// Whether the body goes through a pipe.
    pub(super) fn is_streaming(&self) -> bool {
        self.stream.is_some()
    }

    /// Whether nobody waits for the response any more.
    pub(super) fn is_cut(&self) -> bool {
        self.request.is_cut()
    }

    /// Takes the head; `replace` with exc_info.
    pub(super) fn start(&mut self, head: Head, replace: bool) -> PyResult<()> {
        if self.is_sent() || self.head.is_some() && !replace {
            return Err(PyAssertionError::new_err("start_response was called twice without exc_info"));
        }
        self.head = Some(head);
        Ok(())
    }

    /// Sends a chunk. The first that is not empty sends the head.
    pub(super) fn send(&mut self, chunk: &[u8]) -> PyResult<Step> {
        if chunk.is_empty() {
            return Ok(Step::Taken);
        }
        if let Some(stream) = &mut self.stream {
            let kept = stream.keep(chunk, &self.request);
            if kept.is_empty() {
                return Ok(Step::Stop);
            }
            return Ok(match stream.pipe.offer(Bytes::copy_from_slice(kept), &self.shared.outbox) {
                Offer::Taken if kept.len() < chunk.len() => Step::Stop,
                Offer::Taken => Step::Taken,
                Offer::Full(chunk) => Step::Wait(Arc::clone(&stream.pipe), chunk),
                Offer::Gone => Step::Stop,
            });
        }
        let Some(head) = &self.head else {
            if self.is_sent() {
                return Ok(Step::Stop);
            }
            return Err(not_started());
        };
        if head.is_bodyless(&self.request.head.method) {
            self.body_without_place(head.status);
            return Ok(Step::Stop);
        }
        let mut owed = head.length;
        let kept = keep(chunk, &mut owed, &self.request);
        if kept.is_empty() {
            return Ok(Step::Stop);
        }
        self.open(Bytes::copy_from_slice(kept), owed);
        Ok(if kept.len() < chunk.len() { Step::Stop } else { Step::Taken })
    }

    /// Sends the whole body of an app that has sent nothing before.
    pub(super) fn whole(&mut self, mut body: Vec<u8>) -> PyResult<()> {
        let Some(head) = self.head.take_if(|_| self.reply.is_some()) else { return Err(not_started()) };
        if head.is_bodyless(&self.request.head.method) {
            if !body.is_empty() {
                self.body_without_place(head.status);
            }
            let length = head.length.or((self.request.head.method == http::Method::HEAD).then_some(body.len() as u64));
            self.reply(Head { length, ..head }, ReplyBody::Empty);
            return Ok(());
        }
        if let Some(length) = head.length {
            let kept = keep(&body, &mut Some(length), &self.request).len();
            body.truncate(kept);
            if (kept as u64) < length {
                self.head = Some(head);
                self.open(Bytes::from(body), Some(length - kept as u64));
                return Ok(());
            }
        }
        self.reply(Head { length: None, ..head }, ReplyBody::Full(Bytes::from(body)));
        Ok(())
    }

    /// The app has been left without an exception: ends the response.
    pub(super) fn finish(&mut self) -> PyResult<()> {
        self.progress = Progress::Ended;
        if !self.is_sent() {
            let method = &self.request.head.method;
            match self.head.take_if(|head| head.is_bodyless(method)) {
                // An iterable is left at its first chunk then, so its length is not known.
                Some(head) => self.reply(head, ReplyBody::Empty),
                None => self.whole(Vec::new())?,
            }
        }
        let Some(stream) = self.stream.take() else { return Ok(()) };
        let end = match stream.owed {
            Some(owed) if owed > 0 => {
                if !self.request.is_cut() {
                    let request = self.request.describe();
                    log::line(&format!("{request}: the response is {owed} bytes shorter than its Content-Length"));
                }
                End::Aborted
            }
            _ => End::Complete,
        };
        stream.pipe.end(end, &self.shared.outbox);
        Ok(())
    }

    /// The app has been left by an exception: answers with a failure, or cuts the response short.
    /// `shown` is for the eyes of the app's developer: the answer itself, where there is one.
    pub(super) fn fail(&mut self, shown: Option<String>) {
        self.progress = Progress::Ended;
        if let Some(stream) = self.stream.take() {
            stream.pipe.end(End::Aborted, &self.shared.outbox);
        } else if let Some(reply) = self.reply.take() {
            let failure = match shown {
                Some(text) => {
                    let mut page = Reply::new(ReplyBody::Full(Bytes::from(text)));
                    *page.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                    let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
                    page.headers_mut().insert(header::CONTENT_TYPE, plain);
                    page
                }
                None => failure(Cause::AppError, self.request.direct),
            };
            reply.send(failure, &self.shared.outbox);
        }
    }

    /// Sends the head, and a first chunk behind it.
    fn open(&mut self, chunk: Bytes, owed: Option<u64>) {
        let Some(head) = self.head.take() else { return };
        let pipe = Pipe::with(chunk);
        let body = Streamed::new(self.shared, Arc::clone(&self.request), Arc::clone(&pipe));
        self.stream = Some(Stream { pipe, owed });
        self.reply(head, ReplyBody::Streamed(body));
    }

    fn reply(&mut self, head: Head, body: ReplyBody) {
        let Some(to) = self.reply.take() else { return };
        let streamed = matches!(body, ReplyBody::Streamed(_));
        let mut reply = Reply::new(body);
        *reply.status_mut() = head.status;
        *reply.headers_mut() = head.headers;
        if let Some(reason) = head.reason {
            reply.extensions_mut().insert(reason);
        }
        if let Some(length) = head.length
            && head.status != http::StatusCode::NO_CONTENT
        {
            let outcome = Outcome { length: Some(length), cause: None }.encode();
            match outcome.map(http::HeaderValue::try_from) {
                Some(Ok(outcome)) if streamed && !self.request.direct => {
                    reply.headers_mut().insert(INTERNAL, outcome);
                }
                _ => {
                    reply.headers_mut().insert(header::CONTENT_LENGTH, length.into());
                }
            }
        }
        to.send(reply, &self.shared.outbox);
    }
}

impl Stream {
    fn keep<'a>(&mut self, chunk: &'a [u8], request: &Request) -> &'a [u8] {
        keep(chunk, &mut self.owed, request)
    }
}

/// As much of a chunk as the Content-Length leaves room for.
fn keep<'a>(chunk: &'a [u8], owed: &mut Option<u64>, request: &Request) -> &'a [u8] {
    let Some(owed) = owed else { return chunk };
    let room = usize::try_from(*owed).unwrap_or(usize::MAX);
    if chunk.len() <= room {
        *owed -= chunk.len() as u64;
        return chunk;
    }
    *owed = 0;
    log::line(&format!("{}: the response is longer than its Content-Length; cut", request.describe()));
    &chunk[..room]
}

fn not_started() -> PyErr {
    PyAssertionError::new_err("the app did not call start_response before its response")
}
