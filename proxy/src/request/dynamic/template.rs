//! What an attempt at a worker is made from: the client's request without what concerns its connection
//! alone, and the internal header. Made once for each request, and again for one that is repeated: a copy
//! of the fields that only a repetition needs would cost every request.

use std::time::Duration;

use http::header::{EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use tidegate_contract::{Dispatch, INTERNAL_HEADER};

use super::super::error::Failure;
use super::super::{Facts, forwarded, headers, set_request_id};
use crate::listener::Origin;
use crate::policy::Passage;
use crate::upstream::{Deadlines, Lease, RequestBody};

/// Fields that are added at the most: the id, where it came from, traces, the internal one.
const ADDED: usize = 9;

/// What an attempt's request is made from.
pub(super) struct Template {
    method: Method,
    uri: Uri,
    pub(super) headers: HeaderMap,
    dispatch: Dispatch,
}

impl Template {
    pub(super) fn new(
        request: &http::request::Parts,
        origin: &Origin,
        facts: &Facts,
        passage: &Passage<'_>,
    ) -> Result<Self, Failure> {
        let mut headers = request.headers.clone();
        headers.reserve(ADDED);
        headers::strip_request(&mut headers);
        if !facts.origin.by_trusted_proxy {
            headers::strip_client_identity(&mut headers);
        }
        headers.remove(TRANSFER_ENCODING);
        if facts.version != Version::HTTP_11 {
            headers.remove(EXPECT);
        }
        // The authority of an absolute target wins (RFC 9112 section 3.2.2), and HTTP/2 has no other.
        if let Ok(host) = HeaderValue::from_str(&facts.host) {
            headers.insert(HOST, host);
        }
        set_request_id(&mut headers, &facts.id);
        if let Some(trace_context) = &facts.trace_context {
            trace_context.apply(&mut headers);
        }
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
            mount: passage.mount.to_owned(),
            request_id: facts.id.clone(),
            original: (passage.target != facts.target).then(|| facts.target.clone()),
            user: passage.user.map(str::to_owned),
            client_certificate: origin.client_certificate.clone(),
        };
        let uri: Uri = passage.target.parse().map_err(|_| Failure::bad_request("unusable target"))?;
        Ok(Self { method: request.method.clone(), uri, headers, dispatch })
    }

    /// The request with this body.
    pub(super) fn into_request(self, body: RequestBody) -> (http::Request<RequestBody>, Dispatch) {
        let Self { method, uri, headers, dispatch } = self;
        let mut request = http::Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        (request, dispatch)
    }
}

/// Tells the worker of the lease what it has to know.
pub(super) fn address(
    request: &mut http::Request<RequestBody>,
    dispatch: &mut Dispatch,
    lease: &Lease,
    deadlines: Deadlines,
) {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    dispatch.number = lease.dispatch();
    dispatch.timeout_ms = millis(deadlines.head);
    dispatch.idle_ms = millis(deadlines.idle);
    // Every field is digits, an address, a checked prefix or a checked id.
    if let Ok(value) = HeaderValue::from_str(&dispatch.encode()) {
        request.headers_mut().insert(INTERNAL_HEADER, value);
    }
}
