//! Answers a request with a file below a route's root. Called by the request's story for routes to
//! files. Reads top to bottom: which file is meant, is it known or has the disk to be asked, then
//! `answer.rs`. Never tells why there is nothing to see.

mod answer;
mod look;
mod media;
mod opened;
mod path;
mod range;
mod route;
mod store;
mod validator;

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tidegate_contract::Cause;

use self::look::{Found, Look};
use self::route::StaticRoute;
use self::store::{Known, Place};
use crate::reply::{Body, Reply};
use crate::request::error::Failure;

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

/// The reply to a request for a file below the route's root.
pub(crate) async fn serve(route: &Arc<StaticRoute>, request: &StaticRequest<'_>) -> Result<Reply, Failure> {
    if request.method != Method::GET && request.method != Method::HEAD {
        return Err(Failure::method_not_allowed("GET, HEAD"));
    }
    let path = path::named(request.rest).map_err(|refused| Failure::not_found(refused.to_string()))?;
    match &*find(route, path).await? {
        Found::File(opened) => answer::file(route, opened, request).await,
        Found::Directory => redirect(request.target),
        Found::Nothing => Err(Failure::not_found("no such file")),
    }
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
