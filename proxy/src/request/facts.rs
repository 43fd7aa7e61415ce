//! Who asks for what, as far as the header alone tells. Made once at the beginning of a request's story.

use std::sync::Arc;

use http::header::HOST;
use http::{Method, Version};
use tidegate_contract::ClientCertificate;
use tidegate_site::Protocol;

use super::trace_context::TraceContext;
use super::{forwarded, headers};
use crate::listener::Origin;
use crate::session::Exchange;
use crate::shared::Live;

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

impl Facts {
    /// What the header of this request says.
    pub(super) fn of(exchange: &Exchange, origin: &Origin, live: &Live) -> Self {
        let request = exchange.request();
        let host = match request.uri.authority() {
            Some(authority) => authority.as_str(),
            None => request.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
        };
        Self {
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
}
