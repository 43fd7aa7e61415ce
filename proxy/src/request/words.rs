//! What people are told of a failure. Called by `pages` and `custom`; gives nothing away about what runs
//! behind the proxy.

use http::StatusCode;
use tidegate_contract::Cause;

use super::error::Failure;

/// The status's name; 499 has none in the registry.
pub(super) fn name(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

/// What happened, for people. Gives nothing away about what runs behind the proxy.
pub(super) fn sentence(failure: &Failure) -> &str {
    if let Some(message) = &failure.message {
        return message;
    }
    match failure.cause {
        Some(Cause::WorkerTimeout) => "The application took too long to answer.",
        Some(Cause::WorkerDied) => "The application stopped before it had answered.",
        Some(Cause::WorkerUnreachable) => "The application cannot be reached at the moment.",
        Some(Cause::WorkerInvalid) => "The application gave an answer that cannot be passed on.",
        Some(Cause::QueueFull | Cause::QueueTimeout) => {
            "More requests are waiting than can be served now. Please try again in a moment."
        }
        Some(Cause::BufferFull) => "The server has no room for the request at the moment. Please try again later.",
        Some(Cause::NoBackend) => "The application is not running at the moment. Please try again later.",
        Some(Cause::Draining) => "The server is shutting down. Please try again in a moment.",
        Some(Cause::Maintenance) => "The site is closed for maintenance. Please try again later.",
        Some(Cause::ClientClosed) => "The connection was closed before the answer was ready.",
        Some(Cause::ClientTimeout) => "The request took too long to arrive.",
        Some(Cause::RateLimited) => "There were too many requests in a short time. Please slow down.",
        Some(Cause::ConcurrencyLimited) => {
            "More requests of this kind are running than may run at once. Please try again in a moment."
        }
        Some(Cause::Forbidden) => "This address is not open to you.",
        Some(Cause::AppError | Cause::Internal) => "Something went wrong on the server. The request was not completed.",
        Some(Cause::TooLarge | Cause::BadRequest) | None => by_status(failure.status),
    }
}

/// What a status means, where nothing else is known.
pub(super) fn by_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "This address is only for those who say who they are.",
        403 => "This address is not open to you.",
        404 => "There is nothing at this address.",
        405 => "This address does not take requests of that kind.",
        412 => "What you asked to change has changed in the meantime.",
        413 => "The request's content is larger than this server accepts.",
        414 => "The address is longer than this server accepts.",
        416 => "The requested part lies outside the file.",
        421 => "This server has no site of that name.",
        431 => "The request's header is larger than this server accepts.",
        501 => "The request asks for something that this server does not do.",
        500.. => "Something went wrong on the server. The request was not completed.",
        _ => "The request could not be understood.",
    }
}
