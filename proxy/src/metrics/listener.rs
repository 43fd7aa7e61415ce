//! The metrics listener: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever
//! watches the service. Started by the proxy on a loopback address; never serves the site, and
//! shows nothing a client sent.
//!
//! Every connection carries one request. Scrapers come every few seconds, so that costs nothing,
//! and bounds the time a connection can be held.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::{HostMaintenance, Metrics};

const CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Header, answer and the reader's share of it.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failed accept: long enough for descriptors to come back, short for a scraper.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// For answers under way when the listener is told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

const TEXT: &str = "text/plain; charset=utf-8";
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What `/readyz` says about one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppReadiness {
    /// The app.
    pub(crate) name: String,
    /// Why it cannot serve (`starting`, `failed` ...); nothing if it can.
    pub(crate) not_ready: Option<&'static str>,
}

/// What `/readyz` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// Every app.
    pub(crate) apps: Vec<AppReadiness>,
    /// Every host. A closed one is said and makes nothing unready: a load balancer that took the server out
    /// would show its own page instead of the operator's.
    pub(crate) maintenance: Vec<HostMaintenance>,
}

/// Serves until `shutdown` becomes true or its sender is gone. `readiness` must not block.
pub(crate) async fn serve<R>(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    readiness: R,
    mut shutdown: watch::Receiver<bool>,
) where
    R: Fn() -> Readiness + Clone + Send + Sync + 'static,
{
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            break;
        };
        // Both are cancel-safe.
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (metrics, readiness) = (Arc::clone(&metrics), readiness.clone());
                connections.spawn(async move {
                    connection(stream, metrics, readiness).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "metrics listener failed to accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    // What is left is aborted when the set is dropped.
    let _ = tokio::time::timeout(STOP_TIMEOUT, finished).await;
}

async fn connection<R>(stream: TcpStream, metrics: Arc<Metrics>, readiness: R)
where
    R: Fn() -> Readiness,
{
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let answer = answer(request.method().clone(), request.uri().path().to_owned());
        let (metrics, readiness) = (&metrics, &readiness);
        async move { Ok::<_, Infallible>(respond(answer, metrics, readiness).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A scraper that is slow, or gone, is no news to anyone.
    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Metrics,
    Health,
    Readiness,
    NotFound,
    NotAllowed,
}

fn answer(method: Method, path: String) -> Answer {
    let answer = match path.as_str() {
        "/metrics" => Answer::Metrics,
        "/healthz" => Answer::Health,
        "/readyz" => Answer::Readiness,
        _ => return Answer::NotFound,
    };
    // hyper leaves out the body of an answer to HEAD.
    if method == Method::GET || method == Method::HEAD { answer } else { Answer::NotAllowed }
}

async fn respond(answer: Answer, metrics: &Arc<Metrics>, readiness: impl Fn() -> Readiness) -> Response<Full<Bytes>> {
    match answer {
        Answer::Metrics => {
            let metrics = Arc::clone(metrics);
            match tokio::task::spawn_blocking(move || metrics.encode()).await {
                Ok(Ok(body)) => response(StatusCode::OK, PROMETHEUS_TEXT, body),
                Ok(Err(error)) => {
                    tracing::error!(%error, "metrics could not be written");
                    text(StatusCode::INTERNAL_SERVER_ERROR, "metrics could not be written\n")
                }
                Err(error) => {
                    tracing::error!(%error, "metrics could not be gathered");
                    text(StatusCode::INTERNAL_SERVER_ERROR, "metrics could not be gathered\n")
                }
            }
        }
        Answer::Health => text(StatusCode::OK, "ok\n"),
        Answer::Readiness => {
            let (ready, body) = readiness_page(&readiness());
            text(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, body)
        }
        Answer::NotFound => text(StatusCode::NOT_FOUND, "try /metrics, /healthz or /readyz\n"),
        Answer::NotAllowed => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
    }
}

/// A line for each app, and whether all are ready. A site of static files only is ready.
fn readiness_page(Readiness { apps, maintenance }: &Readiness) -> (bool, String) {
    let ready = apps.iter().all(|app| app.not_ready.is_none());
    let mut page = String::from(if ready { "ready\n" } else { "not ready\n" });
    for app in apps {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{}: {}", app.name, app.not_ready.unwrap_or("ready"));
    }
    for host in maintenance.iter().filter(|host| host.is_closed) {
        let _ = writeln!(page, "closed for maintenance: {}", host.host);
    }
    (ready, page)
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    response(status, TEXT, body)
}

fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn ask(address: std::net::SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{request}\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_listener_answers_its_paths_and_ends_when_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = Metrics::new("1.2.3");
        let (stop, shutdown) = watch::channel(false);
        let readiness = || Readiness {
            apps: vec![AppReadiness { name: "shop".to_owned(), not_ready: Some("starting") }],
            maintenance: vec![
                HostMaintenance { host: "blog".to_owned(), is_closed: true },
                HostMaintenance { host: "shop".to_owned(), is_closed: false },
            ],
        };
        let server = tokio::spawn(serve(listener, metrics, readiness, shutdown));

        for (request, start, part) in [
            ("GET /metrics HTTP/1.1", "HTTP/1.1 200", "tidegate_build_info{version=\"1.2.3\"} 1"),
            ("GET /metrics?a=b HTTP/1.1", "HTTP/1.1 200", PROMETHEUS_TEXT),
            ("GET /healthz HTTP/1.1", "HTTP/1.1 200", "\r\n\r\nok\n"),
            ("GET /readyz HTTP/1.1", "HTTP/1.1 503", "not ready\nshop: starting\nclosed for maintenance: blog\n"),
            ("GET / HTTP/1.1", "HTTP/1.1 404", "/metrics"),
            ("POST /metrics HTTP/1.1", "HTTP/1.1 405", "allow: GET, HEAD"),
            ("nonsense", "HTTP/1.1 400", ""),
        ] {
            let answer = ask(address, request).await;
            assert!(answer.starts_with(start), "{request}: {answer}");
            assert!(answer.contains(part), "{request}: {answer}");
        }
        assert!(ask(address, "HEAD /healthz HTTP/1.1").await.ends_with("\r\n\r\n"));

        stop.send(true).unwrap();
        server.await.unwrap();
    }

    #[test]
    fn a_site_is_ready_when_every_app_is() {
        let app = |not_ready| AppReadiness { name: "a".to_owned(), not_ready };
        for (apps, ready) in [(vec![], true), (vec![app(None)], true), (vec![app(None), app(Some("failed"))], false)] {
            let maintenance = vec![HostMaintenance { host: "shop".to_owned(), is_closed: true }];
            assert_eq!(readiness_page(&Readiness { apps, maintenance }).0, ready);
        }
    }
}
