//! The metric families: every name, help text and label, by what they are about. docs/metrics.md says
//! the same in more words.

mod app;
mod backend;
mod body;
mod http;
mod listener;
mod process;
mod register;

use prometheus::Registry;

use self::app::App;
use self::backend::Backend;
use self::body::Body;
use self::http::Http;
use self::listener::Listener;
use self::process::Process;

#[derive(Debug)]
pub(super) struct Families {
    pub(super) registry: Registry,
    pub(super) backend: Backend,
    pub(super) app: App,
    pub(super) listener: Listener,
    pub(super) http: Http,
    pub(super) body: Body,
    pub(super) process: Process,
}

impl Families {
    pub(super) fn new() -> Self {
        let registry = Registry::new();
        Self {
            backend: Backend::new(&registry),
            app: App::new(&registry),
            listener: Listener::new(&registry),
            http: Http::new(&registry),
            body: Body::new(&registry),
            process: Process::new(&registry),
            registry,
        }
    }
}
