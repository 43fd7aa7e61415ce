//! Traffic control: who is served now, who is told to come back. The request's story asks it before a route's
//! target is asked; the state behind the answers lives as long as the proxy, so that a reload forgets nobody.
//!
//! Who waits for a thread, and in which order, is `upstream`'s; statuses are `request/error.rs`'s.

mod maintenance;

pub(crate) use self::maintenance::Maintenance;

/// What lives as long as the proxy.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// Hosts that are closed.
    pub(crate) maintenance: Maintenance,
}
