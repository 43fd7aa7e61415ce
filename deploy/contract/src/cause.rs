//! The causes of failure. Which status, log level and page belongs to each is decided in the
//! proxy's `request/error.rs` alone.

use serde::{Deserialize, Serialize};

/// Why a request failed: the `cause` label in metrics, in the access log and in error pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The request passed its deadline in the worker.
    WorkerTimeout,
    /// The worker's end closed before a full response.
    WorkerDied,
    /// Endpoint missing, refused, or busy past the connect deadline.
    WorkerUnreachable,
    /// Malformed or oversized response from the worker.
    WorkerInvalid,
    /// The admission queue is full.
    QueueFull,
    /// Waited in the admission queue past its deadline.
    QueueTimeout,
    /// The body could not be buffered: the disk or its quota is full.
    BufferFull,
    /// Nothing serves the app: it failed to start, or the app server has gone.
    NoBackend,
    /// Shutting down.
    Draining,
    /// Switched off by the operator.
    Maintenance,
    /// The client went away first.
    ClientClosed,
    /// The client sent its header or body too slowly.
    ClientTimeout,
    /// Body, header or target over its limit.
    TooLarge,
    /// Ambiguous or malformed request.
    BadRequest,
    /// Over a rate limit.
    RateLimited,
    /// As many requests as a concurrency limit allows are under way.
    ConcurrencyLimited,
    /// The client's address is not let in.
    Forbidden,
    /// The application raised before it sent headers.
    AppError,
    /// A fault of Tidegate's own.
    Internal,
}

impl Cause {
    /// Every cause, for metrics that show zero before the first failure.
    pub const ALL: [Self; 19] = [
        Self::WorkerTimeout,
        Self::WorkerDied,
        Self::WorkerUnreachable,
        Self::WorkerInvalid,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::BufferFull,
        Self::NoBackend,
        Self::Draining,
        Self::Maintenance,
        Self::ClientClosed,
        Self::ClientTimeout,
        Self::TooLarge,
        Self::BadRequest,
        Self::RateLimited,
        Self::ConcurrencyLimited,
        Self::Forbidden,
        Self::AppError,
        Self::Internal,
    ];

    /// The label as metrics, logs and the internal header show it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::WorkerTimeout => "worker_timeout",
            Self::WorkerDied => "worker_died",
            Self::WorkerUnreachable => "worker_unreachable",
            Self::WorkerInvalid => "worker_invalid",
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::BufferFull => "buffer_full",
            Self::NoBackend => "no_backend",
            Self::Draining => "draining",
            Self::Maintenance => "maintenance",
            Self::ClientClosed => "client_closed",
            Self::ClientTimeout => "client_timeout",
            Self::TooLarge => "too_large",
            Self::BadRequest => "bad_request",
            Self::RateLimited => "rate_limited",
            Self::ConcurrencyLimited => "concurrency_limited",
            Self::Forbidden => "forbidden",
            Self::AppError => "app_error",
            Self::Internal => "internal",
        }
    }

    /// The cause with this label.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.label() == label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_leads_back_to_its_cause() {
        for cause in Cause::ALL {
            assert_eq!(Cause::from_label(cause.label()), Some(cause));
        }
    }
}
