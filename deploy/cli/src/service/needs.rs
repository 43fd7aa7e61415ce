//! What each service's account reads and writes of a site. Asked by `doctor`, and before an installation gives the proxy an account
//! that it did not have.

use std::collections::BTreeMap;
use std::path::Path;

use tidegate_site::{Site, Target};

/// What the app server's account uses, and whether it writes there.
pub(crate) fn of_server(site: &Site) -> BTreeMap<&Path, bool> {
    let apps = site.apps.iter();
    let read = apps.flat_map(|app| [Some(&app.directory), app.environment_file.as_ref()]).flatten();
    of_both(site).chain(read.map(|path| (path.as_path(), false))).collect()
}

/// What the proxy's account uses.
pub(crate) fn of_proxy(site: &Site) -> BTreeMap<&Path, bool> {
    let routes = site.hosts.iter().flat_map(|host| &host.routes);
    let roots = routes.filter_map(|route| match &route.target {
        Target::Files(files) => Some(files.root.as_path()),
        _ => None,
    });
    let certificates = site.certificates.iter().flat_map(|certificate| certificate.files()).map(|path| path.as_path());
    let clients = site.listeners.iter().filter_map(|listener| listener.client_certificates.as_ref());
    let authorities = clients.flat_map(|clients| clients.files()).map(|path| path.as_path());
    let read = roots.chain(certificates).chain(authorities).map(|path| (path, false));
    let buffers = std::iter::once((site.limits.buffer.directory.as_path(), true));
    of_both(site).chain(read).chain(buffers).collect()
}

fn of_both(site: &Site) -> impl Iterator<Item = (&Path, bool)> {
    [(site.file.as_path(), false), (site.state_dir.as_path(), true)].into_iter()
}
