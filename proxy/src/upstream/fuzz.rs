//! What the fuzz target `response` runs: a worker's bytes as `connection::bare` reads them, however they are cut, beside what
//! hyper reads. Built for fuzzing and for tests alone.

use futures_util::FutureExt as _;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::body::RequestBody;
use super::connection::bare::Bare;

/// Status and body.
type Answer = (u16, Vec<u8>);

/// Room for whatever is written before anything is read.
const ROOM: usize = 1 << 20;

/// Any bytes as a worker's response: the same however they are cut, and where there is one, hyper reads that one.
pub fn response(data: &[u8]) {
    let Some((method, data)) = data.split_first() else { return };
    let method = if method.is_ascii_uppercase() { Method::HEAD } else { Method::GET };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    runtime.block_on(async {
        let whole = ours(&method, &[data]).await;
        for cut in [1, data.len() / 2, data.len().saturating_sub(1)] {
            let (first, second) = data.split_at(cut.min(data.len()));
            assert_eq!(ours(&method, &[first, second]).await, whole, "cut at {cut}");
        }
        if let Some(answer) = whole {
            assert_eq!(hypers(&method, data).await, Some(answer));
        }
    });
}

async fn ours(method: &Method, pieces: &[&[u8]]) -> Option<Answer> {
    let (stream, mut worker) = duplex(ROOM);
    let mut bare = Bare::new(stream);
    let mut request = Request::new(RequestBody::empty());
    *request.method_mut() = method.clone();
    let read = async {
        let head = bare.call(&request).await.ok()?;
        let mut body = Vec::new();
        while let Some(piece) = bare.next().await {
            body.extend_from_slice(&piece.ok()?);
        }
        assert!(bare.is_end());
        Some((head.status.as_u16(), body))
    };
    tokio::join!(read, say(&mut worker, pieces)).0
}

async fn hypers(method: &Method, data: &[u8]) -> Option<Answer> {
    let (stream, mut worker) = duplex(ROOM);
    let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let mut request = Request::new(Empty::<bytes::Bytes>::new());
    *request.method_mut() = method.clone();
    let read = async {
        let response = send.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.into_body().collect().await.ok()?.to_bytes().to_vec()))
    };
    let read = async {
        tokio::select! {
            read = read => read,
            // It never ends before what is read is.
            _ = connection.then(|_| std::future::pending::<()>()) => None,
        }
    };
    let pieces = [data];
    tokio::join!(read, say(&mut worker, &pieces)).0
}

/// Writes the pieces when the request has come, each when the last one has been read, and the end.
async fn say(worker: &mut DuplexStream, pieces: &[&[u8]]) {
    // hyper takes what comes without a request for a fault.
    let _ = worker.read(&mut [0; 256]).await;
    for piece in pieces {
        // The other end may have seen enough.
        let _ = worker.write_all(piece).await;
        tokio::task::yield_now().await;
    }
    let _ = worker.shutdown().await;
}
