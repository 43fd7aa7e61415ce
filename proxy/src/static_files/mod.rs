//! Answers a request with a file below a route's root. Called by the request's story for routes to
//! files. Reads top to bottom: which file is meant, is it known or has the disk to be asked, then
//! `answer.rs`, or what the route has for what is no file. Never tells why there is nothing to see.

mod answer;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzz;
mod listing;
mod look;
mod media;
mod names;
mod opened;
mod path;
mod range;
mod route;
mod store;
mod validator;

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tidegate_contract::Cause;

use self::look::{Found, Look};
use self::route::StaticRoute;
use self::store::{Known, Place};
use crate::negotiate::vary_on;
use crate::reply::{Body, Reply};
use crate::request::error::Failure;
use crate::request::pages::{Form, form};

pub(crate) use self::route::StaticRoutes;

/// A request for a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StaticRequest<'a> {
    /// The method.
    pub(crate) method: &'a Method,
    /// The raw path after the route's prefix: empty, or starts with `/`.
    pub(crate) rest: &'a str,
    /// The whole raw path and query, for redirects.
    pub(crate) target: &'a str,
    /// The request's fields.
    pub(crate) headers: &'a HeaderMap,
}

/// What comes of a request for a file.
#[derive(Debug)]
pub(crate) enum Served {
    /// The answer.
    Reply(Reply),
    /// It is for the route's app.
    Pass,
}

/// Answers a request for a file below the route's root.
pub(crate) async fn serve(route: &Arc<StaticRoute>, request: &StaticRequest<'_>) -> Result<Served, Failure> {
    if request.method != Method::GET && request.method != Method::HEAD {
        return if route.has_app { Ok(Served::Pass) } else { Err(Failure::method_not_allowed("GET, HEAD")) };
    }
    let path = match path::named(request.rest, route.hidden) {
        Ok(path) => path,
        Err(_) if route.has_app => return Ok(Served::Pass),
        Err(refused) if refused.may_be_a_page() => return page(route, request, refused.to_string()).await,
        Err(refused) => return Err(Failure::not_found(refused.to_string())),
    };
    match &*find(route, path).await? {
        Found::File(forms) => answer::file(route, forms, request).await.map(Served::Reply),
        Found::Directory => redirect(request.target).map(Served::Reply),
        Found::Listing(listing) => Ok(Served::Reply(listing.reply(request))),
        Found::Nothing if route.has_app => Ok(Served::Pass),
        Found::Nothing => page(route, request, "no such file").await,
    }
}

/// The route's fallback, for a browser that wants a page: the page's own script knows what the path
/// means. Whatever else is asked for (scripts, pictures, data) is not there, and a page in its place
/// would hide that.
async fn page(
    route: &Arc<StaticRoute>,
    request: &StaticRequest<'_>,
    missing: impl Into<Cow<'static, str>>,
) -> Result<Served, Failure> {
    if let Some(fallback) = &route.fallback
        && form(request.headers) == Form::Html
        && let Found::File(forms) = &*find(route, fallback.clone()).await?
    {
        let mut reply = answer::file(route, forms, request).await?;
        vary_on(&mut reply.headers, "Accept");
        return Ok(Served::Reply(reply));
    }
    Err(Failure::not_found(missing))
}

/// What is at a place: known, or asked of the disk.
async fn find(route: &Arc<StaticRoute>, path: String) -> Result<Arc<Found>, Failure> {
    let before = match route.store.as_ref().map(|store| store.known(Place { route: route.number, path: &path })) {
        Some(Known::Fresh(found)) => return Ok(found),
        Some(Known::Stale(found)) => Some(found),
        Some(Known::Nothing) | None => None,
    };
    let route = Arc::clone(route);
    // Whatever becomes of the request, the next one has something of the look.
    let look = tokio::task::spawn_blocking(move || {
        route.looks.inc();
        let found = Arc::new(Look { route: &route, before: before.as_deref() }.at(&path)?);
        if let Some(store) = &route.store {
            store.keep(Place { route: route.number, path: &path }, Arc::clone(&found));
            route.kept.set(i64::try_from(store.size()).unwrap_or(i64::MAX));
        }
        Ok(found)
    });
    look.await.unwrap_or_else(|panic| Err(Failure::new(Cause::Internal, format!("looking for a file: {panic}"))))
}

/// 308 to the same path with a slash at its end. The location is relative and starts with `./`, so
/// that no path of a client's making (`//host`, `/\host`) can lead to another site.
fn redirect(target: &str) -> Result<Reply, Failure> {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let last = path.rsplit('/').next().unwrap_or("");
    let location = HeaderValue::try_from(format!("./{last}/{query}"))
        .map_err(|_| Failure::not_found("a target that cannot be a location"))?;
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(LOCATION, location);
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    Ok(Reply { status: StatusCode::PERMANENT_REDIRECT, headers, body: Body::Empty })
}

#[cfg(test)]
mod tests;
