//! A request's story, top to bottom: who asks, is it well formed, which route, then a file or an
//! app, and at the end the log. Called by `session` for every exchange.
//!
//! Nothing here reads or writes a socket except through the exchange, and no status of a failure
//! is chosen here: see `error`.

mod custom;
mod dynamic;
pub(crate) mod error;
mod forwarded;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
pub(crate) mod guard;
mod hand_over;
mod headers;
pub(crate) mod pages;
pub(crate) mod route;
mod trace_context;
mod words;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::header::{CONNECTION, DATE, HOST};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use tidegate_contract::{Cause, ClientCertificate};
use tidegate_site::{AppRoute, ErrorPages, Files, Protocol, Rules, Target};
use tracing::Level;

use self::error::Failure;
use self::trace_context::TraceContext;
use crate::access::Record;
use crate::compress;
use crate::listener::Origin;
use crate::metrics;
use crate::policy::{self, Asked, Outgoing, Passage, Verdict};
use crate::reply::{Body, Reply};
use crate::session::{ClientError, Exchange, Head, Length};
use crate::shared::{Live, Shared};
use crate::static_files::{self, Served, StaticRequest};
use crate::traffic::Subject;

/// Who asks for what; fixed once the header is read.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The method.
    pub(crate) method: Method,
    /// Path and query as they came.
    pub(crate) target: String,
    /// Host and port as the client named them; empty if it named none.
    pub(crate) host: String,
    /// HTTP version.
    pub(crate) version: Version,
    /// Address and scheme, by a trusted proxy's word where there is one.
    pub(crate) origin: forwarded::Origin,
    /// The certificate the client has shown.
    pub(crate) client_certificate: Option<Arc<ClientCertificate>>,
    /// The request id.
    pub(crate) id: String,
    /// The trace it belongs to, with `trace_context`.
    pub(crate) trace_context: Option<TraceContext>,
}

/// What the log will say beside the facts.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// The app, once a route was found.
    pub(crate) app: Option<Arc<str>>,
    /// The worker it was dispatched to last.
    pub(crate) worker: Option<u32>,
    /// Time in the queue, over all attempts.
    pub(crate) queue_wait: Option<Duration>,
    /// The user whose password was checked.
    pub(crate) user: Option<Arc<str>>,
    /// Bytes of the request's body.
    pub(crate) received: u64,
    status: Option<StatusCode>,
    is_file: bool,
}

/// Answers one request. Says whether its response is complete; else the exchange is to be aborted.
pub(crate) async fn answer(exchange: &mut Exchange, origin: &Origin, shared: &Arc<Shared>, live: &Live) -> bool {
    let started = Instant::now();
    let facts = facts(exchange, origin, live);
    let mut trace = Trace::default();
    let mut story =
        Story { exchange: &mut *exchange, origin, shared, live, facts: &facts, trace: &mut trace, error_pages: None };
    let failure = match story.tell().await {
        Ok(()) => None,
        Err(failure) => {
            let told = story.tell_failure(&failure).await;
            Some((failure, told))
        }
    };
    let is_complete = failure.as_ref().is_none_or(|(_, told)| *told);
    let failure = failure.map(|(failure, _)| failure);
    conclude(exchange, shared, &facts, &trace, failure.as_ref(), started.elapsed());
    is_complete
}

/// The answer to an HTTP/1.1 request whose header was not accepted, ready for the wire; the
/// connection ends after it.
pub(crate) fn refuse_unread(failure: &Failure, origin: &Origin, shared: &Shared) -> Vec<u8> {
    let id = headers::new_request_id();
    let mut reply = pages::reply(failure, &HeaderMap::new(), &id, None);
    reply.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now())) {
        reply.headers.insert(DATE, date);
    }
    let mut wire = format!("HTTP/1.1 {}\r\n", reply.status).into_bytes();
    for (name, value) in &reply.headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            wire.extend_from_slice(part);
        }
    }
    wire.extend_from_slice(b"\r\n");
    if let Body::Full(body) = &reply.body {
        wire.extend_from_slice(body);
    }
    shared.metrics.http.finished(metrics::Version::Http1, reply.status.as_u16());
    if let Some(cause) = failure.cause {
        shared.metrics.http.failed(cause);
    }
    tracing::debug!(client = %origin.peer, detail = %failure.detail, "request header refused");
    shared.access.log(&Record {
        time: SystemTime::now(),
        client: origin.peer.ip(),
        method: "",
        target: "",
        protocol: "",
        host: "",
        status: reply.status.as_u16(),
        sent: reply.body.len().unwrap_or(0),
        duration: Duration::ZERO,
        queue_wait: None,
        app: None,
        worker: None,
        certificate: origin.client_certificate.as_deref().and_then(ClientCertificate::subject),
        cause: failure.cause,
        request_id: &id,
        trace_id: "",
        user: "",
        headers: None,
    });
    wire
}

fn facts(exchange: &Exchange, origin: &Origin, live: &Live) -> Facts {
    let request = exchange.request();
    let host = match request.uri.authority() {
        Some(authority) => authority.as_str(),
        None => request.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
    };
    Facts {
        method: request.method.clone(),
        target: request.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        host: host.to_owned(),
        version: request.version,
        origin: forwarded::origin(
            origin.peer,
            origin.protocol == Protocol::Https,
            &request.headers,
            &live.site.trusted_proxies,
        ),
        client_certificate: origin.client_certificate.clone(),
        id: headers::request_id(&request.headers),
        trace_context: live.site.trace_context.then(|| TraceContext::of(&request.headers)),
    }
}

struct Story<'a> {
    exchange: &'a mut Exchange,
    origin: &'a Origin,
    shared: &'a Arc<Shared>,
    live: &'a Live,
    facts: &'a Facts,
    trace: &'a mut Trace,
    /// The operator's own pages, as far as the route is known.
    error_pages: Option<Arc<ErrorPages>>,
}

impl Story<'_> {
    async fn tell(&mut self) -> Result<(), Failure> {
        let limits = &self.live.site.limits;
        if self.exchange.is_http2() {
            let request = self.exchange.request();
            guard::check_parsed(&request.method, &request.uri, &request.headers, limits)?;
        }
        let name = (!self.facts.host.is_empty()).then_some(self.facts.host.as_str());
        let host = self.live.router.host(name);
        if let Ok((host, _)) = host {
            self.dress(&host.rules);
        }
        if let Protocol::Redirect { https_port } = self.origin.protocol {
            let reply = policy::redirect::to_https(self.facts, https_port)?;
            return self.send(reply).await;
        }
        let (host, is_alias) = host?;
        self.shared.traffic.maintenance.check(host, self.facts.origin.client)?;
        if let Some(reply) = policy::redirect::of_host(host, is_alias, self.facts)? {
            return self.send(reply).await;
        }
        let target = policy::rewritten(host, &self.facts.target);
        let (path, _) = split_target(&target);
        let found = route::find(host, path)?;
        if let Target::Files(files) = &found.route.target
            && files.internal
        {
            return Err(Failure::not_found("a route that only apps lead to"));
        }
        let rules = &found.route.rules;
        self.dress(rules);
        let headers = &self.exchange.request().headers;
        let subject = Subject { client: self.facts.origin.client, headers, prefix: &found.route.prefix };
        let _turn = self.live.limits.admit(rules, subject).await?;
        let user = match policy::admit(rules, self.asked()).await? {
            Verdict::Answer(reply) => return self.send(reply).await,
            Verdict::Pass(user) => user,
        };
        self.trace.user.clone_from(&user);
        let route = match &found.route.target {
            Target::App(route) => route,
            Target::Redirect(redirection) => {
                let reply = policy::redirect::of_route(redirection, found.rest, self.facts)?;
                return self.send(reply).await;
            }
            Target::Files(files) => match self.serve_file(files, found.rest).await? {
                Some(route) => route,
                None => return Ok(()),
            },
        };
        let passage = Passage::new(&found, route.mount, &target, user.as_deref());
        let call = dynamic::Call {
            exchange: &mut *self.exchange,
            origin: self.origin,
            shared: self.shared,
            live: self.live,
            facts: self.facts,
            trace: &mut *self.trace,
        };
        // Boxed, so that the task of a request for a file is not as large as one for an app.
        match Box::pin(call.run(route, &passage)).await? {
            Some(handed) => Box::pin(self.hand_over(host, handed)).await,
            None => Ok(()),
        }
    }

    /// Answers with a file; gives back the app that answers what is none.
    async fn serve_file<'r>(&mut self, files: &'r Files, rest: &str) -> Result<Option<&'r AppRoute>, Failure> {
        self.trace.is_file = true;
        let request = StaticRequest {
            method: &self.facts.method,
            rest,
            target: &self.facts.target,
            headers: &self.exchange.request().headers,
        };
        let served = static_files::serve(self.live.files.of(files)?, &request).await?;
        if let (Served::Pass, Some(route)) = (&served, &files.app) {
            self.trace.is_file = false;
            return Ok(Some(route));
        }
        let Served::Reply(reply) = served else {
            return Err(Failure::new(Cause::Internal, "a request was passed on to no app"));
        };
        let asked = &self.exchange.request().headers;
        let reply = self.shared.compressors.reply(files.compress.as_deref(), asked, &self.facts.method, reply).await;
        self.send(reply.map_err(compress::failed)?).await?;
        Ok(None)
    }

    /// From here on responses are changed as these rules say.
    fn dress(&mut self, rules: &Arc<Rules>) {
        let outgoing = Outgoing::new(rules, self.asked());
        self.exchange.set_outgoing(outgoing);
        self.error_pages.clone_from(&rules.error_pages);
    }

    /// What rules look at.
    fn asked(&self) -> Asked<'_> {
        Asked { facts: self.facts, headers: &self.exchange.request().headers, passwords: &self.shared.passwords }
    }

    /// Tells the client of a failure, if it can still be told. Says whether the response is
    /// complete.
    async fn tell_failure(&mut self, failure: &Failure) -> bool {
        if self.exchange.is_head_sent() || failure.cause == Some(Cause::ClientClosed) {
            return false;
        }
        if failure.close || self.exchange.is_rest_long() {
            self.exchange.close_after();
        }
        let own = self.error_pages.as_deref();
        let page = pages::reply(failure, &self.exchange.request().headers, &self.facts.id, own);
        self.send(page).await.is_ok()
    }

    /// Sends a reply that the proxy makes itself.
    async fn send(&mut self, reply: Reply) -> Result<(), Failure> {
        let Reply { status, mut headers, body } = reply;
        self.trace.status = Some(status);
        set_request_id(&mut headers, &self.facts.id);
        let has_body = !(status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED);
        let declared = headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let length = has_body.then(|| declared.or(body.len()).map_or(Length::Unknown, Length::Known));
        let head = Head { status, reason: None, headers, length };
        let exchange = &mut *self.exchange;
        match body {
            Body::Empty | Body::Unsized => exchange.send_head(head).await.map_err(client_failure),
            Body::Full(bytes) => exchange.send_whole(head, bytes).await.map_err(client_failure),
            Body::File(_) if self.facts.method == Method::HEAD => {
                exchange.send_head(head).await.map_err(client_failure)
            }
            Body::File(mut file) => {
                exchange.send_head(head).await.map_err(client_failure)?;
                while let Some(piece) = file.next().await.map_err(|error| {
                    Failure::new(Cause::Internal, format!("file could not be read to its end: {error}"))
                })? {
                    exchange.send_piece(piece).await.map_err(client_failure)?;
                }
                exchange.end().await.map_err(client_failure)
            }
            Body::Compressed(body) => {
                let (mut file, mut stream) = *body;
                exchange.send_head(head).await.map_err(client_failure)?;
                while let Some(piece) = stream.next_of(&mut file).await.map_err(compress::failed)? {
                    exchange.send_piece(piece).await.map_err(client_failure)?;
                }
                exchange.end().await.map_err(client_failure)
            }
        }
    }
}

/// Counts and logs a request at its end.
fn conclude(
    exchange: &Exchange,
    shared: &Shared,
    facts: &Facts,
    trace: &Trace,
    failure: Option<&Failure>,
    duration: Duration,
) {
    let cause = failure.and_then(|failure| failure.cause);
    let status = match failure {
        // A response cut short keeps the status the client saw.
        Some(failure) if !exchange.is_head_sent() => failure.status,
        Some(failure) => trace.status.unwrap_or(failure.status),
        None => trace.status.unwrap_or(StatusCode::OK),
    };
    let (version, protocol) = match facts.version {
        Version::HTTP_2 => (metrics::Version::Http2, "HTTP/2"),
        Version::HTTP_10 => (metrics::Version::Http1, "HTTP/1.0"),
        _ => (metrics::Version::Http1, "HTTP/1.1"),
    };
    let http = &shared.metrics.http;
    http.finished(version, status.as_u16());
    http.sent(exchange.sent());
    http.received(trace.received);
    if let Some(cause) = cause {
        http.failed(cause);
    }
    if trace.is_file {
        shared.metrics.files.finished(status.as_u16());
        shared.metrics.files.sent(exchange.sent());
    }
    if let Some(failure) = failure
        && failure.cause.is_some()
    {
        log_failure(facts, trace, failure);
    }
    shared.access.log(&Record {
        time: SystemTime::now(),
        client: facts.origin.client,
        method: facts.method.as_str(),
        target: &facts.target,
        protocol,
        host: &facts.host,
        status: status.as_u16(),
        sent: exchange.sent(),
        duration,
        queue_wait: trace.queue_wait,
        app: trace.app.as_deref(),
        worker: trace.worker,
        certificate: facts.client_certificate.as_deref().and_then(ClientCertificate::subject),
        cause,
        request_id: &facts.id,
        trace_id: facts.trace_context.as_ref().map_or("", TraceContext::id),
        user: trace.user.as_deref().unwrap_or_default(),
        headers: Some(&exchange.request().headers),
    });
}

fn log_failure(facts: &Facts, trace: &Trace, failure: &Failure) {
    let cause = failure.cause.map_or("none", Cause::label);
    let app = trace.app.as_deref().unwrap_or("-");
    let worker = trace.worker.map_or(Cow::Borrowed("-"), |slot| Cow::Owned(slot.to_string()));
    let (path, _) = split_target(&facts.target);
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                cause,
                app,
                worker = %worker,
                method = %facts.method,
                path,
                request_id = %facts.id,
                trace_id = facts.trace_context.as_ref().map(TraceContext::id),
                detail = %failure.detail,
                "request failed"
            )
        };
    }
    match failure.level() {
        Level::ERROR => log!(error),
        Level::WARN => log!(warn),
        Level::INFO => log!(info),
        _ => log!(debug),
    }
}

/// What a client's misbehaviour means for the request.
fn client_failure(error: ClientError) -> Failure {
    match error {
        ClientError::Gone => Failure::new(Cause::ClientClosed, "the client went away"),
        ClientError::Slow => Failure::new(Cause::ClientTimeout, "the client was silent for too long"),
        ClientError::Malformed => Failure::bad_request("malformed body"),
    }
}

fn set_request_id(headers: &mut HeaderMap, id: &str) {
    // Ids are made of letters, digits, dot, dash and underscore.
    if let Ok(mut id) = HeaderValue::from_str(id) {
        // No two are alike: in the table of HTTP/2's header compression they would only push out others.
        id.set_sensitive(true);
        headers.insert(headers::REQUEST_ID, id);
    }
}

/// Path and query.
pub(crate) fn split_target(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}
