//! Warm-up: requests to a worker that has imported its app, over its own local socket, before the
//! proxy hears of it. Called by `worker`; decides nothing about what a failure means.

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tidegate_contract::{Cause, Dispatch, INTERNAL_HEADER, Outcome};
use tidegate_host::Endpoint;
use tidegate_site::App;
use tokio::time::{self, Instant};

use crate::launch::milliseconds;

/// As many as the proxy takes from a worker.
const MOST_HEADERS: usize = 256;

/// Why a worker does not count as ready.
#[derive(Debug, Error)]
pub(crate) enum WarmUpError {
    #[error("GET {path} was answered {status}, not below 500")]
    Status { path: String, status: StatusCode },
    #[error("GET {path} failed: {}", .cause.label())]
    Failed { path: String, cause: Cause },
    #[error("GET {path} got no answer within start_timeout")]
    Silent { path: String },
    #[error("GET {path} failed: {error}")]
    Io { path: String, error: std::io::Error },
    #[error("GET {path} failed: {error}")]
    Http { path: String, error: hyper::Error },
}

/// Asks for each path of the app's `warm_up` in turn.
pub(crate) async fn run(app: &App, endpoint: &Endpoint, until: Instant) -> Result<(), WarmUpError> {
    for path in &app.warm_up {
        let answer = time::timeout_at(until, ask(path, endpoint, until)).await;
        let (status, cause) = answer.unwrap_or_else(|_| Err(WarmUpError::Silent { path: path.clone() }))?;
        if let Some(cause) = cause {
            return Err(WarmUpError::Failed { path: path.clone(), cause });
        }
        if status >= StatusCode::INTERNAL_SERVER_ERROR {
            return Err(WarmUpError::Status { path: path.clone(), status });
        }
    }
    Ok(())
}

/// One request on a connection of its own, to the last byte of the answer: then its thread is back.
async fn ask(path: &str, endpoint: &Endpoint, until: Instant) -> Result<(StatusCode, Option<Cause>), WarmUpError> {
    let io = |error| WarmUpError::Io { path: path.to_owned(), error };
    let http = |error| WarmUpError::Http { path: path.to_owned(), error };
    let stream = tidegate_host::connect(endpoint, until).await.map_err(io)?;
    let mut builder = http1::Builder::new();
    builder.max_headers(MOST_HEADERS);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(http)?;
    let request = request(path, until).map_err(|error| io(std::io::Error::other(error)))?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(http)?;
        let (head, mut body) = response.into_parts();
        while let Some(frame) = body.frame().await {
            frame.map_err(http)?;
        }
        let outcome = head.headers.get(INTERNAL_HEADER).and_then(|value| Outcome::parse(value.to_str().ok()?).ok());
        Ok((head.status, outcome.and_then(|outcome| outcome.cause)))
    };
    // The exchange ends the connection when it drops its sender; an error of one is one of both.
    let (answer, _) = tokio::join!(exchange, connection);
    answer
}

fn request(path: &str, until: Instant) -> Result<Request<Empty<Bytes>>, http::Error> {
    let timeout_ms = milliseconds(until.saturating_duration_since(Instant::now()));
    let dispatch = Dispatch {
        // The proxy begins elsewhere; nobody counts this one's slot.
        number: 0,
        timeout_ms,
        idle_ms: timeout_ms,
        // An app that sends browsers to https is to show its page, not the redirect.
        https: true,
        client: std::net::Ipv4Addr::LOCALHOST.into(),
        client_port: 0,
        server_port: 443,
        version: 11,
        mount: String::new(),
        request_id: "warm-up".to_owned(),
        original: None,
        user: None,
        client_certificate: None,
    };
    Request::get(path)
        .header(http::header::HOST, "localhost")
        .header(http::header::USER_AGENT, "tidegate-warm-up")
        .header(INTERNAL_HEADER, dispatch.encode())
        .body(Empty::new())
}
