//! Compression of what the proxy sends itself: files, small ones in memory and large ones piece by piece. Called by the
//! request's story.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method};
use tidegate_contract::Cause;
use tidegate_site::Compress;

use super::{Compressors, Stream};
use crate::reply::{Body, FileBody, Reply};
use crate::request::error::Failure;

impl Compressors {
    /// The reply, compressed if it may be and the client takes it.
    pub(crate) async fn reply(
        self: &Arc<Self>,
        settings: Option<&Compress>,
        request: &HeaderMap,
        method: &Method,
        mut reply: Reply,
    ) -> io::Result<Reply> {
        if settings.is_none() {
            return Ok(reply);
        }
        let declared = reply.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let length = declared.or(reply.body.len());
        let Some(planned) = self.plan(settings, request, reply.status, &mut reply.headers, length) else {
            return Ok(reply);
        };
        reply.headers.remove(CONTENT_LENGTH);
        reply.body = match reply.body {
            _ if method == Method::HEAD => Body::Unsized,
            Body::Full(bytes) => Body::Full(self.kept_or_whole(planned, bytes).await?),
            Body::File(file) => Body::Compressed(Box::new((file, self.stream(planned)?))),
            other => other,
        };
        if let Some(length) = reply.body.len() {
            reply.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        Ok(reply)
    }
}

impl Stream {
    /// The next piece of a file, compressed; `None` when all of it was given.
    pub(crate) async fn next_of(&mut self, file: &mut FileBody) -> io::Result<Option<Bytes>> {
        while !self.is_finished() {
            let out = match file.next().await? {
                Some(piece) => self.push(piece).await?,
                None => self.finish()?,
            };
            if !out.is_empty() {
                return Ok(Some(out));
            }
        }
        Ok(None)
    }
}

/// What it means for a request.
pub(crate) fn failed(error: io::Error) -> Failure {
    Failure::new(Cause::Internal, format!("the response could not be read or compressed to its end: {error}"))
}
