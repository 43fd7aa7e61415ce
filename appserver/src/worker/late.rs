//! A request that takes too long, as its worker tells of it. Logged by `life`.

use super::Job;

pub(super) struct Late {
    pub(super) request_id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) age_ms: u64,
    pub(super) stack: Option<String>,
    pub(super) no_stack: Option<String>,
}

impl Late {
    /// One record; `what` says whether it goes on.
    pub(super) fn log(self, job: &Job, pid: u32, what: &str) {
        let Self { request_id, method, path, age_ms, stack, no_stack } = self;
        tracing::warn!(
            app = %job.app.name,
            worker = job.slot,
            pid,
            request_id,
            method,
            path,
            age_ms,
            stack,
            no_stack,
            "{what}"
        );
    }
}
