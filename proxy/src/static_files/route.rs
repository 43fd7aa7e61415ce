//! The routes to files of a configuration, made ready at start and at every reload, and
//! one store for what is found below all of them.

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;
use prometheus::{IntCounter, IntGauge};
use tidegate_contract::Cause;
use tidegate_site::{CacheRule, Files, Site, Target};

use super::media::Types;
use super::names;
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
    /// The files served for a directory.
    pub(super) index: Vec<String>,
    /// What a path may lack at its end.
    pub(super) suffixes: Vec<String>,
    /// The file for pages that are none.
    pub(super) fallback: Option<String>,
    /// Whether an app answers what is no file.
    pub(super) has_app: bool,
    /// Whether directories may be shown.
    pub(super) listing: bool,
    /// Whether names may begin with a dot.
    pub(super) hidden: bool,
    /// Whether compressed neighbours count.
    pub(super) precompressed: bool,
    /// Content types.
    pub(super) types: Types,
    /// What was found; `None` if the operator wants nothing kept.
    pub(super) store: Option<Arc<Store>>,
    /// Looks at the disk.
    pub(super) looks: IntCounter,
    /// Bytes in the store.
    pub(super) kept: IntGauge,
    cache_control: Vec<CacheRule>,
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
            suffixes: files.suffixes.clone(),
            fallback: files.fallback.clone(),
            has_app: files.app.is_some(),
            listing: files.listing,
            hidden: files.hidden,
            precompressed: files.precompressed,
            types: Types { own: files.types.clone(), charset: files.charset.clone() },
            store,
            looks: metrics.looks.clone(),
            kept: metrics.kept.clone(),
            cache_control: files.cache_control.clone(),
        }
    }

    /// Cache-Control of a file by its name below the root.
    pub(super) fn cache_control(&self, name: &str) -> Option<HeaderValue> {
        self.cache_control.iter().find(|rule| names::holds(&rule.names, name)).map(|rule| rule.value.clone())
    }
}
