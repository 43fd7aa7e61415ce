//! `state_dir` and `limits.buffer_dir` are Tidegate's own: `service install` gives them, with all that is below, to the
//! services' accounts. So neither may be, or hold, what is somebody else's. Called when the rest of the site is checked.

use crate::checked::Site;
use crate::raw::Table;

const EXPECTED: &str = "expected a directory that nothing else uses, such as .tidegate";

/// Records a problem for each that cannot be Tidegate's.
pub(crate) fn check(root: &Table<'_>, site: &Site) {
    if let Some(why) = site.not_own(&site.state_dir) {
        match root.get("state_dir") {
            Some(node) => {
                let _: Option<()> = node.reject(format_args!("{why}: {EXPECTED}"));
            }
            None => add(root, "state_dir", &site.state_dir, &why),
        }
    }
    let buffers = &site.limits.buffer.directory;
    if !buffers.starts_with(&site.state_dir)
        && let Some(why) = site.not_own(buffers)
    {
        add(root, "limits.buffer_dir", buffers, &why);
    }
}

fn add(root: &Table<'_>, key: &str, value: &std::path::Path, why: &str) {
    root.problems().add(key, format!("{:?}: {why}: {EXPECTED}", value.display().to_string()));
}
