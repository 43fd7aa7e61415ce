//! A request for an app: take in its body, wait for a worker, send the request, send the response
//! back.
//!
//! A worker has the request for as long as its app takes, not for as long as the client takes. While
//! the request waits or runs the client is watched; one that has gone leaves the queue. One retry at
//! the most, and only where the app cannot have seen the request or may see it twice.

mod attempts;
mod feed;
mod intake;
mod relay;
mod respond;
mod template;

use std::sync::Arc;

use tidegate_contract::Cause;
use tidegate_site::AppRoute;
use tokio::time::Instant;

use self::attempts::{Attempts, Unanswered, refused};
use self::intake::Intake;
use self::respond::Response;
use self::template::Template;
use super::error::Failure;
use super::hand_over::HandOver;
use super::{Facts, Trace};
use crate::buffer::Spool;
use crate::listener::Origin;
use crate::policy::{self, Passage};
use crate::session::Exchange;
use crate::shared::{Live, Shared};
use crate::upstream::{App, Deadlines};

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
    /// Answers, or gives back the file that the app named for an answer.
    pub(super) async fn run(self, route: &AppRoute, passage: &Passage<'_>) -> Result<Option<HandOver>, Failure> {
        self.trace.app = Some(Arc::clone(&route.app));
        let missing = || Failure::new(Cause::Internal, format!("no app {:?}", route.app));
        let app = self.shared.apps.find(&route.app).ok_or_else(missing)?;
        let started = Instant::now();
        let result = self.serve(&app, route, passage).await;
        app.metrics.finished(started.elapsed());
        if let Err(failure) = &result
            && let Some(cause) = failure.cause
        {
            app.metrics.failed(cause);
        }
        result
    }

    async fn serve(self, app: &Arc<App>, route: &AppRoute, passage: &Passage<'_>) -> Result<Option<HandOver>, Failure> {
        let Self { exchange, origin, shared, live, facts, trace } = self;
        let settings = live.site.app(&route.app);
        let settings = settings.ok_or_else(|| Failure::new(Cause::Internal, format!("no app {:?}", route.app)))?;
        let limits = &live.site.limits.buffer;

        // Before the client is told to go on, and before a long upload that would be in vain.
        if exchange.is_rest_long()
            && let Some(cause) = app.refusal(route.priority)
        {
            return Err(refused(cause));
        }
        let template_of = |exchange: &Exchange| {
            let mut template = Template::new(exchange.request(), origin, facts, passage)?;
            policy::edit_request(passage.rules, &mut template.headers);
            Ok::<_, Failure>(template)
        };
        let mut template = template_of(exchange)?;
        let intake = Intake { route, facts, limits, buffers: &shared.buffers };
        let (supply, mut feed) = intake.run(exchange, &mut template.headers, trace).await?;
        let mut attempts = Attempts {
            app,
            method: &facts.method,
            supply,
            priority: route.priority,
            queue_timeout: settings.queue.timeout,
            timeout_status: settings.timeout_status,
            deadlines: Deadlines { head: route.request_timeout, idle: settings.stream_idle_timeout },
            started: feed.start.take(),
            informed: feed.inform.take(),
            trace,
            unreachable: 0,
            died: None,
        };
        let answered = loop {
            let answered = tokio::select! {
                biased;
                answered = attempts.run(template) => answered,
                failure = feed.run(exchange) => Err(failure.into()),
            };
            match answered {
                Ok(answer) => break Ok(answer),
                Err(Unanswered::Failed(failure)) => break Err(failure),
                Err(Unanswered::Repeat) => {
                    template = template_of(exchange)?;
                    attempts.supply.frame(&mut template.headers);
                }
            }
        };
        // From here on the request is not repeated: its body may go.
        drop(attempts);
        trace.received = feed.received;
        let response = Response {
            exchange,
            feed: &mut feed,
            facts,
            timeout_status: settings.timeout_status,
            spool: Spool::for_response(&shared.buffers, limits),
            buffering: route.buffering,
            rules: passage.rules,
            compressors: &shared.compressors,
        };
        let result = response.send(answered?, trace).await;
        trace.received = feed.received;
        result
    }
}
