//! A request's story, top to bottom: who asks, is it well formed, which route, then a file or an
//! app, and at the end the log. Called by `session` for every exchange.
//!
//! Nothing here reads or writes a socket except through the exchange, and no status of a failure
//! is chosen here: see `error`.

mod conclude;
mod custom;
mod dynamic;
pub(crate) mod error;
mod facts;
mod forwarded;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzz;
pub(crate) mod guard;
mod hand_over;
mod headers;
pub(crate) mod pages;
pub(crate) mod route;
mod trace_context;
mod words;

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tidegate_contract::Cause;
use tidegate_site::{AppRoute, ErrorPages, Files, Protocol, Rules, Target};

use self::conclude::conclude;
pub(crate) use self::conclude::{Trace, refuse_unread};
use self::error::Failure;
pub(crate) use self::facts::Facts;
use crate::compress;
use crate::listener::Origin;
use crate::policy::{self, Asked, Outgoing, Passage, Verdict};
use crate::reply::{Body, Reply};
use crate::session::{ClientError, Exchange, Head, Length};
use crate::shared::{Live, Shared};
use crate::static_files::{self, Served, StaticRequest};
use crate::traffic::Subject;

/// Answers one request. Says whether its response is complete; else the exchange is to be aborted.
pub(crate) async fn answer(exchange: &mut Exchange, origin: &Origin, shared: &Arc<Shared>, live: &Live) -> bool {
    let started = Instant::now();
    let facts = Facts::of(exchange, origin, live);
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
