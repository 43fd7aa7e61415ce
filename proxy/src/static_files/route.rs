//! The routes to files of a configuration, made ready at start and at every reload: header values made,
//! and one store for what is found below all of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::HeaderValue;
use prometheus::{IntCounter, IntGauge};
use tidegate_contract::Cause;
use tidegate_site::{Files, Site, Target};

use super::media;
use super::store::Store;
use crate::metrics::FileMetrics;
use crate::request::error::Failure;

/// Every route to files of a site.
#[derive(Debug)]
pub(crate) struct StaticRoutes {
    /// By their numbers.
    routes: Vec<Arc<StaticRoute>>,
}

/// A route to files.
#[derive(Debug)]
pub(crate) struct StaticRoute {
    /// Its number among all, for the store.
    pub(super) number: usize,
    /// The directory.
    pub(super) root: PathBuf,
    /// The file served for a directory.
    pub(super) index: Option<String>,
    /// What was found; `None` if the operator wants nothing kept.
    pub(super) store: Option<Arc<Store>>,
    /// Looks at the disk.
    pub(super) looks: IntCounter,
    /// Bytes in the store.
    pub(super) kept: IntGauge,
    cache_control: Option<HeaderValue>,
}

impl StaticRoutes {
    /// The routes of a site.
    pub(crate) fn new(site: &Site, metrics: &FileMetrics) -> Self {
        let capacity = site.limits.static_cache;
        let store = (capacity > 0).then(|| Arc::new(Store::new(capacity)));
        let routes = site.hosts.iter().flat_map(|host| &host.routes).filter_map(|route| match &route.target {
            Target::Files(files) => Some(Arc::new(StaticRoute::new(files, store.clone(), metrics))),
            Target::App(_) | Target::Redirect(_) => None,
        });
        Self { routes: routes.collect() }
    }

    /// The route made of this one of the site.
    pub(crate) fn of(&self, files: &Files) -> Result<&Arc<StaticRoute>, Failure> {
        self.routes.get(files.number).ok_or_else(|| Failure::new(Cause::Internal, "a route to files is not there"))
    }
}

impl StaticRoute {
    /// A checked route, made ready.
    pub(super) fn new(files: &Files, store: Option<Arc<Store>>, metrics: &FileMetrics) -> Self {
        Self {
            number: files.number,
            root: files.root.clone(),
            index: files.index.clone(),
            store,
            looks: metrics.looks.clone(),
            kept: metrics.kept.clone(),
            cache_control: files.cache_control.as_deref().and_then(|value| HeaderValue::from_str(value).ok()),
        }
    }

    /// Content-Type of a file by its name.
    pub(super) fn media(&self, name: &str) -> HeaderValue {
        media::of(Path::new(name))
    }

    /// Cache-Control of a file by its name.
    pub(super) fn cache_control(&self, _name: &str) -> Option<HeaderValue> {
        self.cache_control.clone()
    }
}
