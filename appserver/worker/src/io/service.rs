//! A request's story on the I/O thread: read what the proxy says about it, give it to a Python
//! thread, and pass on the response, or answer at the deadline without it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, StatusCode, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tidegate_contract::{Cause, Dispatch, FromWorker, INTERNAL_HEADER, Outcome};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout_at};

use super::connection::Link;
use super::{Reply, ReplyBody, ReplyTo};
use crate::request::{Body, Job, Request};
use crate::shared::Shared;
use crate::threads::Next;
use crate::upload::Upload;

/// The header in both directions.
pub(crate) const INTERNAL: HeaderName = HeaderName::from_static(INTERNAL_HEADER);

/// A body up to this size is read before a thread is given the request.
const SMALL_BODY: u64 = 64 << 10;
/// Limits of a request that comes past the proxy.
const DIRECT_TIMEOUT_MS: u64 = 30_000;
const DIRECT_IDLE_MS: u64 = 60_000;
/// How long a request waits for a busy thread before another is woken.
const PROD: Duration = Duration::from_millis(1);

/// Serves one request.
///
/// Not an `async fn`: hyper drops the future before its first poll when the connection's end comes with the request,
/// and by then the slot that the request holds must have somebody who gives it back.
pub(super) fn serve(
    shared: &'static Shared,
    link: Arc<Link>,
    request: http::Request<Incoming>,
) -> impl Future<Output = Result<Reply, Infallible>> {
    let arrived = Instant::now();
    let (mut head, incoming) = request.into_parts();
    let said = take_dispatch(&mut head);
    let number = said.as_ref().filter(|(_, direct)| !direct).map(|(dispatch, _)| dispatch.number);
    let unstarted = Unstarted { shared, number };
    async move {
        let Some((dispatch, direct)) = said else { return Ok(failure(Cause::WorkerInvalid, true)) };
        let deadline = arrived + Duration::from_millis(dispatch.timeout_ms);
        let body = match read_small(&head, incoming, deadline).await {
            Ok(body) => body,
            Err(cause) => return Ok(failure(cause, direct)),
        };
        unstarted.started();
        let request = Request::new(shared, head, body, dispatch, direct, arrived);
        *link.latest.lock() = Some(Arc::clone(&request));
        Ok(respond(shared, &request, deadline).await)
    }
}

/// Gives the request to a thread and waits for the response, or answers at the deadline without it.
async fn respond(shared: &'static Shared, request: &Arc<Request>, deadline: Instant) -> Reply {
    let abandoned = CutOnDrop(Some(request));
    let (reply, response) = oneshot::channel();
    follow(shared, shared.pool.submit(Job { request: Arc::clone(request), reply: ReplyTo::Hyper(reply) }));
    let reply = match timeout_at(deadline.into(), response).await {
        Ok(Ok(reply)) => reply,
        // The thread came back without a word: our own fault.
        Ok(Err(_)) => failure(Cause::AppError, request.direct),
        Err(_) => {
            shared.watchdog.timed_out(shared, request);
            failure(Cause::WorkerTimeout, request.direct)
        }
    };
    abandoned.keep();
    reply
}

/// Does what the pool asks for.
pub(super) fn follow(shared: &'static Shared, next: Next) {
    match next {
        Next::Nothing => return,
        // Should that fail, the request waits for another thread.
        Next::Start => shared.pool.start(),
        Next::Prod => {}
    }
    if shared.pool.claim_prodding() {
        tokio::spawn(prod(shared));
    }
}

/// Looks after waiting requests every millisecond, until none waits.
async fn prod(shared: &'static Shared) {
    loop {
        sleep(PROD).await;
        match shared.pool.prod() {
            None => return,
            Some(Next::Start) => shared.pool.start(),
            Some(_) => {}
        }
    }
}

/// Takes what the proxy says of a request out of its header, or defaults for one that came past it (true). Nothing if it
/// cannot be understood.
pub(super) fn take_dispatch(head: &mut http::request::Parts) -> Option<(Dispatch, bool)> {
    match head.headers.remove(INTERNAL) {
        Some(value) => Some((Dispatch::parse(value.to_str().ok()?).ok()?, false)),
        None => Some((defaults(head.version), true)),
    }
}

fn defaults(version: Version) -> Dispatch {
    Dispatch {
        number: 0,
        timeout_ms: DIRECT_TIMEOUT_MS,
        idle_ms: DIRECT_IDLE_MS,
        https: false,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        client_port: 0,
        server_port: 80,
        version: if version == Version::HTTP_10 { 10 } else { 11 },
        mount: String::new(),
        request_id: String::new(),
        original: None,
        user: None,
        client_certificate: None,
    }
}

/// Reads a small body whole, so that the thread need not ask for it; leaves any other, and one
/// whose client waits for `100 Continue`, until the app reads.
async fn read_small(head: &http::request::Parts, mut incoming: Incoming, deadline: Instant) -> Result<Body, Cause> {
    if incoming.is_end_stream() {
        return Ok(Body::Empty);
    }
    let size = incoming.size_hint().exact();
    if size.is_none_or(|size| size > SMALL_BODY) || head.headers.contains_key(header::EXPECT) {
        return Ok(Body::Streamed(Upload::new(incoming)));
    }
    let whole = async {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(frame) = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await {
            let Ok(chunk) = frame?.into_data() else { continue };
            if first.is_empty() {
                first = chunk;
            } else {
                rest.extend_from_slice(&chunk);
            }
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let mut whole = BytesMut::with_capacity(first.len() + rest.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&rest);
        Ok(whole.freeze())
    };
    match timeout_at(deadline.into(), whole).await {
        Ok(Ok(whole)) => Ok(Body::Whole(whole)),
        Ok(Err(error)) => {
            let _: hyper::Error = error;
            Err(Cause::ClientClosed)
        }
        Err(_) => Err(Cause::WorkerTimeout),
    }
}

/// The answer that stands for a failure. The proxy makes the page; who comes past it gets a line.
pub(crate) fn failure(cause: Cause, direct: bool) -> Reply {
    let status = match cause {
        Cause::AppError => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_GATEWAY,
    };
    let body = if direct {
        ReplyBody::Full(Bytes::from(format!("{} ({})\n", status, cause.label())))
    } else {
        ReplyBody::Empty
    };
    let mut reply = http::Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    if direct {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    } else if let Some(Ok(value)) = (Outcome { length: None, cause: Some(cause) }).encode().map(HeaderValue::try_from) {
        headers.insert(INTERNAL, value);
    }
    reply
}

/// Gives the slot of a request back that never got as far as the pool.
struct Unstarted {
    shared: &'static Shared,
    number: Option<u64>,
}

impl Unstarted {
    fn started(mut self) {
        self.number = None;
    }
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        if let Some(dispatch) = self.number {
            self.shared.supervisor.say(FromWorker::SlotBack { dispatch });
        }
    }
}

/// Cuts a request when hyper drops its service because the connection has ended.
struct CutOnDrop<'a>(Option<&'a Arc<Request>>);

impl CutOnDrop<'_> {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for CutOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(request) = self.0 {
            request.client_gone();
        }
    }
}
