//! A request for an app: wait for a worker, send the request, stream the response back.
//!
//! While it waits it watches the client; a client that has gone leaves the queue. One retry at
//! the most, and only where the app cannot have seen the request or may see it twice.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use hyper::ext::ReasonPhrase;
use tidegate_contract::{Cause, Dispatch, INTERNAL_HEADER};
use tidegate_site::AppRoute;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::error::Failure;
use super::{Facts, Trace, client_failure, forwarded, headers, set_request_id};
use crate::listener::Origin;
use crate::session::{Exchange, Head, Length};
use crate::shared::{Live, Shared};
use crate::upstream::{Answer, App, BodyPart, BodySender, CallFailure, Deadlines, Lease, RequestBody};

/// Workers that could not be connected to before the request is given up. Between attempts it
/// waits in the queue, so this counts workers that vanished, not tries a second.
const UNREACHABLE_WORKERS: u32 = 8;

/// What is read of a request's body before a worker is asked for: a smaller body costs no thread
/// however slowly it comes, and its client is watched while it waits in the queue.
const READ_AHEAD: usize = 64 << 10;

/// Everything the call of an app needs.
pub(super) struct Call<'a> {
    pub(super) exchange: &'a mut Exchange,
    pub(super) origin: &'a Origin,
    pub(super) shared: &'a Arc<Shared>,
    pub(super) live: &'a Live,
    pub(super) facts: &'a Facts,
    pub(super) trace: &'a mut Trace,
}

impl Call<'_> {
    pub(super) async fn run(self, route: &AppRoute, mount: &str) -> Result<(), Failure> {
        let Self { exchange, origin, shared, live, facts, trace } = self;
        trace.app = Some(Arc::clone(&route.app));
        let missing = || Failure::new(Cause::Internal, format!("no app {:?}", route.app));
        let settings = live.site.app(&route.app).ok_or_else(missing)?;
        let app = shared.apps.find(&route.app).ok_or_else(missing)?;
        let started = Instant::now();

        let (mut feed, body) = Feed::new(exchange, facts, route.max_body)?;
        let mut template = Template::new(exchange.request(), origin, facts, mount)?;
        if feed.has_body() && !template.headers.contains_key(CONTENT_LENGTH) {
            // Without a word on it hyper takes a GET or HEAD for one without a body.
            template.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let read_ahead = feed.read_ahead(exchange).await;
        trace.received = feed.received;
        if let Err(failure) = read_ahead {
            if let Some(cause) = failure.cause {
                app.metrics.failed(cause);
            }
            return Err(failure);
        }
        let mut attempts = Attempts {
            app: &app,
            template,
            queue_timeout: settings.queue.timeout,
            timeout_status: settings.timeout_status,
            deadlines: Deadlines { head: route.request_timeout, idle: settings.stream_idle_timeout },
            has_body: feed.has_body(),
            started: feed.start.take(),
            informed: feed.inform.take(),
            trace,
        };
        let answered = tokio::select! {
            biased;
            answered = attempts.run(body) => answered,
            failure = feed.run(exchange) => Err(failure),
        };
        trace.received = feed.received;
        let result = match answered {
            Ok(answer) => respond(answer, exchange, facts, settings.timeout_status, &mut feed, trace).await,
            Err(failure) => Err(failure),
        };
        trace.received = feed.received;
        app.metrics.finished(started.elapsed());
        if let Err(failure) = &result
            && let Some(cause) = failure.cause
        {
            app.metrics.failed(cause);
        }
        result
    }
}

/// What every attempt's request is made from.
struct Template {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    dispatch: Dispatch,
}

impl Template {
    fn new(
        request: &pingora_http::RequestHeader,
        origin: &Origin,
        facts: &Facts,
        mount: &str,
    ) -> Result<Self, Failure> {
        let mut headers = request.headers.clone();
        headers::strip_request(&mut headers);
        headers.remove(TRANSFER_ENCODING);
        if facts.version != Version::HTTP_11 {
            headers.remove(EXPECT);
        }
        // The authority of an absolute target wins (RFC 9112 section 3.2.2), and HTTP/2 has no other.
        if let Ok(host) = HeaderValue::from_str(&facts.host) {
            headers.insert(HOST, host);
        }
        set_request_id(&mut headers, &facts.id);
        forwarded::apply(&mut headers, &facts.origin, origin.port);
        let dispatch = Dispatch {
            number: 0,
            timeout_ms: 0,
            idle_ms: 0,
            https: facts.origin.https,
            client: facts.origin.client,
            client_port: facts.origin.client_port,
            server_port: origin.port,
            version: match facts.version {
                Version::HTTP_10 => 10,
                Version::HTTP_2 => 20,
                _ => 11,
            },
            mount: mount.to_owned(),
            request_id: facts.id.clone(),
        };
        let uri: Uri = facts.target.parse().map_err(|_| Failure::bad_request("unusable target"))?;
        Ok(Self { method: request.method.clone(), uri, headers, dispatch })
    }

    fn request(&self, body: RequestBody) -> http::Request<RequestBody> {
        let mut request = http::Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    fn address(&mut self, request: &mut http::Request<RequestBody>, lease: &Lease, deadlines: Deadlines) {
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.dispatch.number = lease.dispatch();
        self.dispatch.timeout_ms = millis(deadlines.head);
        self.dispatch.idle_ms = millis(deadlines.idle);
        // Every field is digits, an address, a checked prefix or a checked id.
        if let Ok(value) = HeaderValue::from_str(&self.dispatch.encode()) {
            request.headers_mut().insert(INTERNAL_HEADER, value);
        }
    }
}

/// The attempts to get a response head.
struct Attempts<'a> {
    app: &'a Arc<App>,
    template: Template,
    queue_timeout: std::time::Duration,
    timeout_status: u16,
    deadlines: Deadlines,
    has_body: bool,
    started: Option<oneshot::Sender<()>>,
    informed: Option<oneshot::Sender<()>>,
    trace: &'a mut Trace,
}

impl Attempts<'_> {
    async fn run(&mut self, body: RequestBody) -> Result<Answer, Failure> {
        let mut request = self.template.request(body);
        self.watch_informational(&mut request);
        let mut retried = false;
        let mut unreachable = 0;
        loop {
            let lease = self.acquire().await?;
            if let Some(started) = self.started.take() {
                // The feed may have ended with the client; then nobody waits for this.
                let _ = started.send(());
            }
            self.trace.worker = Some(lease.backend().slot);
            self.template.address(&mut request, &lease, self.deadlines);
            match lease.call(request, self.deadlines).await {
                Ok(answer) => return Ok(answer),
                Err(CallFailure::NotSent { request: unsent, reason }) => {
                    unreachable += 1;
                    if unreachable > UNREACHABLE_WORKERS {
                        return Err(Failure::new(Cause::WorkerUnreachable, reason));
                    }
                    tracing::debug!(app = %self.trace.app.as_deref().unwrap_or("-"), %reason, "trying another worker");
                    request = unsent;
                }
                Err(CallFailure::Failed { cause: Cause::WorkerDied, reason }) => {
                    let may_repeat = !retried && !self.has_body && is_idempotent(&self.template.method);
                    if !may_repeat {
                        return Err(Failure::new(Cause::WorkerDied, reason));
                    }
                    retried = true;
                    request = self.template.request(RequestBody::empty());
                }
                Err(CallFailure::Failed { cause: Cause::WorkerTimeout, reason }) => {
                    return Err(Failure::worker_timeout(self.timeout_status, reason));
                }
                Err(CallFailure::Failed { cause, reason }) => return Err(Failure::new(cause, reason)),
            }
        }
    }

    async fn acquire(&mut self) -> Result<Lease, Failure> {
        let began = Instant::now();
        let lease = self.app.acquire(self.queue_timeout).await;
        let waited = began.elapsed();
        *self.trace.queue_wait.get_or_insert_default() += waited;
        match lease {
            Ok(lease) => {
                self.app.metrics.waited(waited);
                Ok(lease)
            }
            Err(cause) => Err(Failure::new(cause, refusal(cause))),
        }
    }

    /// 100 Continue is the worker's to give: it comes when the app first reads.
    fn watch_informational(&mut self, request: &mut http::Request<RequestBody>) {
        if let Some(informed) = self.informed.take() {
            let informed = parking_lot::Mutex::new(Some(informed));
            hyper::ext::on_informational(request, move |response| {
                if response.status() == StatusCode::CONTINUE
                    && let Some(informed) = informed.lock().take()
                {
                    let _ = informed.send(());
                }
            });
        }
    }
}

/// Why a request got no worker, in words.
fn refusal(cause: Cause) -> &'static str {
    match cause {
        Cause::QueueFull => "every thread is busy and the queue is full (queue.size)",
        Cause::QueueTimeout => "waited too long for a free thread (queue.timeout)",
        Cause::Draining => "the app server is stopping",
        _ => "no worker serves the app: it failed to start, or the app server is gone; see the app server's log",
    }
}

/// RFC 9110 section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}

/// Brings the client's body to the worker and watches the client.
struct Feed {
    sender: Option<BodySender>,
    /// Fires at the first dispatch; beyond what was read ahead no byte is read before.
    begin: Option<oneshot::Receiver<()>>,
    start: Option<oneshot::Sender<()>>,
    /// Fires when the worker wants the body of a client that waits for 100 Continue.
    wanted: Option<oneshot::Receiver<()>>,
    inform: Option<oneshot::Sender<()>>,
    limit: u64,
    received: u64,
    done: bool,
}

impl Feed {
    fn new(exchange: &mut Exchange, facts: &Facts, limit: u64) -> Result<(Self, RequestBody), Failure> {
        let mut feed = Self {
            sender: None,
            begin: None,
            start: None,
            wanted: None,
            inform: None,
            limit,
            received: 0,
            done: !exchange.has_body_left(),
        };
        if feed.done {
            return Ok((feed, RequestBody::empty()));
        }
        let headers = &exchange.request().headers;
        let length: Option<u64> = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if length.is_some_and(|length| length > limit) {
            return Err(Failure::body_too_large());
        }
        let expects = facts.version == Version::HTTP_11
            && headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let (start, begin) = oneshot::channel();
        (feed.start, feed.begin) = (Some(start), Some(begin));
        if expects {
            let (inform, wanted) = oneshot::channel();
            (feed.inform, feed.wanted) = (Some(inform), Some(wanted));
        }
        let (sender, body) = RequestBody::channel(length);
        feed.sender = Some(sender);
        Ok((feed, body))
    }

    fn has_body(&self) -> bool {
        self.sender.is_some()
    }

    /// Reads the beginning of a body that the client sends unasked.
    async fn read_ahead(&mut self, exchange: &mut Exchange) -> Result<(), Failure> {
        if self.wanted.is_some() {
            return Ok(());
        }
        let Some(sender) = &self.sender else { return Ok(()) };
        let mut read = BytesMut::new();
        while read.len() < READ_AHEAD && !self.done {
            match exchange.read_body().await.map_err(client_failure)? {
                Some(piece) => {
                    self.received += piece.len() as u64;
                    if self.received > self.limit {
                        return Err(Failure::body_too_large());
                    }
                    read.extend_from_slice(&piece);
                }
                None => self.done = true,
            }
        }
        // The channel is new: there is a place for both.
        if !read.is_empty() {
            let _ = sender.try_send(BodyPart::Data(read.freeze()));
        }
        if self.done {
            let _ = sender.try_send(BodyPart::End);
        }
        Ok(())
    }

    /// Runs until the client fails; pending for as long as it does not. Cancel-safe: a piece
    /// that was read has a place in the channel.
    async fn run(&mut self, exchange: &mut Exchange) -> Failure {
        match self.forward(exchange).await {
            Ok(()) if self.done => {
                exchange.gone().await;
                Failure::new(Cause::ClientClosed, "the client went away")
            }
            // The worker answers without reading the rest; the response decides what follows.
            Ok(()) => std::future::pending().await,
            Err(failure) => failure,
        }
    }

    async fn forward(&mut self, exchange: &mut Exchange) -> Result<(), Failure> {
        if self.done {
            return Ok(());
        }
        if let Some(begin) = &mut self.begin {
            if begin.await.is_err() {
                return Ok(());
            }
            self.begin = None;
        }
        if let Some(wanted) = &mut self.wanted {
            if wanted.await.is_err() {
                return Ok(());
            }
            self.wanted = None;
            exchange.send_continue().await.map_err(client_failure)?;
        }
        let Some(sender) = &self.sender else { return Ok(()) };
        loop {
            let Ok(place) = sender.reserve().await else { return Ok(()) };
            match exchange.read_body().await.map_err(client_failure)? {
                Some(piece) => {
                    self.received += piece.len() as u64;
                    if self.received > self.limit {
                        return Err(Failure::body_too_large());
                    }
                    place.send(BodyPart::Data(piece));
                }
                None => {
                    place.send(BodyPart::End);
                    self.done = true;
                    return Ok(());
                }
            }
        }
    }
}

/// Sends a worker's response to the client.
async fn respond(
    answer: Answer,
    exchange: &mut Exchange,
    facts: &Facts,
    timeout_status: u16,
    feed: &mut Feed,
    trace: &mut Trace,
) -> Result<(), Failure> {
    let Answer { head, outcome, mut body } = answer;
    match outcome.cause {
        // Its thread is not back: the lease is left to the worker's word.
        Some(Cause::WorkerTimeout) => {
            return Err(Failure::worker_timeout(timeout_status, "the app did not answer in time"));
        }
        Some(cause) => {
            if matches!(body.next().await, Ok(None)) {
                body.finish();
            }
            return Err(Failure::new(cause, "see the app's log for the traceback"));
        }
        None => {}
    }
    if head.status.is_informational() {
        let detail = format!("status {} is not a response to this request", head.status.as_u16());
        return Err(Failure::new(Cause::WorkerInvalid, detail));
    }
    let mut headers = head.headers;
    let declared = match outcome.length {
        Some(length) => Some(length),
        None => headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()),
    };
    headers::strip_response(&mut headers);
    set_request_id(&mut headers, &facts.id);
    let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = (!bodiless).then_some(declared.map_or(Length::Unknown, Length::Known));
    let reason = head.extensions.get::<ReasonPhrase>();
    let reason = reason.and_then(|reason| std::str::from_utf8(reason.as_bytes()).ok()).map(str::to_owned);
    trace.status = Some(head.status);
    let head = Head { status: head.status, reason, headers, length };

    // What is here already goes out in one write, and the worker is free before the client reads.
    let first = match futures_util::poll!(std::pin::pin!(body.next())) {
        std::task::Poll::Ready(first) => Some(first.map_err(cut_short(timeout_status))?),
        std::task::Poll::Pending => None,
    };
    let whole = match &first {
        Some(None) => true,
        Some(Some(_)) => body.is_end(),
        None => false,
    };
    if whole {
        let bytes = first.flatten().unwrap_or_default();
        body.finish();
        check_length(declared, bytes.len() as u64, bodiless || facts.method == Method::HEAD)?;
        let mut head = head;
        if head.length == Some(Length::Unknown) && facts.method != Method::HEAD {
            head.length = Some(Length::Known(bytes.len() as u64));
        }
        return exchange.send_whole(head, bytes).await.map_err(client_failure);
    }
    exchange.send_head(head).await.map_err(client_failure)?;
    let mut sent = 0;
    let mut next = first.flatten();
    loop {
        let piece: Option<Bytes> = match next.take() {
            Some(piece) => Some(piece),
            None => tokio::select! {
                piece = body.next() => piece.map_err(cut_short(timeout_status))?,
                failure = feed.run(exchange) => return Err(failure),
            },
        };
        let Some(piece) = piece else { break };
        sent += piece.len() as u64;
        if declared.is_some_and(|declared| sent > declared) {
            return Err(Failure::new(Cause::WorkerInvalid, "more bytes than the response declared"));
        }
        exchange.send_piece(piece).await.map_err(client_failure)?;
    }
    body.finish();
    check_length(declared, sent, bodiless || facts.method == Method::HEAD)?;
    exchange.end().await.map_err(client_failure)
}

fn cut_short(timeout_status: u16) -> impl Fn(Cause) -> Failure {
    move |cause| match cause {
        Cause::WorkerTimeout => Failure::worker_timeout(timeout_status, "the app paused too long within its response"),
        cause => Failure::new(cause, "the response broke off"),
    }
}

fn check_length(declared: Option<u64>, sent: u64, bodiless: bool) -> Result<(), Failure> {
    match declared {
        Some(declared) if declared != sent && !bodiless => {
            let detail = format!("response of {sent} bytes that declared {declared}");
            Err(Failure::new(Cause::WorkerInvalid, detail))
        }
        _ => Ok(()),
    }
}
