//! Traffic control: who is served now, and who is told to come back. The request's story asks it before a
//! route's target is asked.
//!
//! | File | What it has |
//! |---|---|
//! | `maintenance` | hosts that are closed |
//! | `limits` | the limits of a site; what a reload leaves as it was keeps its state |
//! | `rate`, `bucket` | how many requests a client may send |
//! | `gate` | how many may be under way at once |
//! | `key` | what a limit counts by |
//! | `notice` | what operators hear of a limit |
//!
//! Who waits for a thread, and in which order, is `upstream`'s; statuses are `request/error.rs`'s.

mod bucket;
mod gate;
mod key;
mod limits;
mod maintenance;
mod notice;
mod rate;

use std::net::IpAddr;

use http::HeaderMap;

pub(crate) use self::limits::Limits;
pub(crate) use self::maintenance::Maintenance;

/// What lives as long as the proxy.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// Hosts that are closed.
    pub(crate) maintenance: Maintenance,
}

/// What limits look at in a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// The client, by a trusted proxy's word where there is one.
    pub(crate) client: IpAddr,
    /// The request's fields.
    pub(crate) headers: &'a HeaderMap,
    /// The route's path.
    pub(crate) prefix: &'a str,
}
