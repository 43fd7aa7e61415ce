//! What an app says of its pool beyond its size: when workers are recycled, how one is replaced, how
//! much memory it may have, and what has to answer before it counts as ready.

use crate::check::{SHORTEST, every};
use crate::checked::{Recycle, Replace};
use crate::defaults;
use crate::raw::{Node, Table};
use crate::units;

/// Keys of `recycle`.
pub(crate) const RECYCLE: &[&str] = &["requests", "lifetime", "memory"];

const PATHS: &str = "a list of paths such as [/health]";
/// Beyond it each start of a worker would be a load test.
const MOST_WARM_UPS: usize = 64;
/// An interpreter that has imported nothing takes half of it.
const LEAST_MEMORY: u64 = 32 << 20;
/// Beyond it a unit is mistyped.
const MOST_MEMORY: u64 = 16 << 40;
/// Longer than other durations may be: leaks that are recycled away may take weeks to matter.
const LONGEST_LIFETIME: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);

/// The part of an app's settings that is read here.
pub(crate) struct Pool {
    pub(crate) recycle: Recycle,
    pub(crate) replace: Replace,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) warm_up: Vec<String>,
}

impl Pool {
    /// What holds where nothing is said.
    pub(crate) fn default() -> Self {
        Self {
            recycle: defaults::RECYCLE,
            replace: defaults::REPLACE,
            memory_limit: defaults::MEMORY_LIMIT,
            warm_up: Vec::new(),
        }
    }
}

/// Reads these keys of an app.
pub(crate) fn read(app: &Table<'_>) -> Option<Pool> {
    let default = Pool::default();
    let recycle = app.read("recycle", default.recycle, |node| recycle(&node));
    let replace = app.read("replace", default.replace, |node| {
        node.choice(&[("overlap", Replace::Overlap), ("stop_first", Replace::StopFirst)])
    });
    let memory_limit =
        app.read("memory_limit", default.memory_limit, |node| node.size(LEAST_MEMORY..=MOST_MEMORY).map(Some));
    let warm_up = app.read("warm_up", default.warm_up, |node| warm_up(&node));
    if let (Some(Recycle { memory: Some(recycled), .. }), Some(Some(limit))) = (&recycle, &memory_limit)
        && *recycled > limit / 5 * 4
    {
        // A worker grows on until its replacement is ready, and the figure has a jitter of a tenth.
        let message = format!(
            "{}: expected at most 80 % of memory_limit, {}",
            units::show_size(*recycled),
            units::show_size(*limit)
        );
        app.problems().add(&format!("{}.memory", app.path("recycle")), message);
        return None;
    }
    Some(Pool { recycle: recycle?, replace: replace?, memory_limit: memory_limit?, warm_up: warm_up? })
}

fn recycle(node: &Node<'_>) -> Option<Recycle> {
    let table = node.table(RECYCLE)?;
    let default = defaults::RECYCLE;
    let requests = table.read("requests", default.requests, |node| node.integer(1..=1_000_000_000_000).map(Some));
    let lifetime =
        table.read("lifetime", default.lifetime, |node| node.duration(SHORTEST..=LONGEST_LIFETIME).map(Some));
    let memory = table.read("memory", default.memory, |node| node.size(LEAST_MEMORY..=MOST_MEMORY).map(Some));
    Some(Recycle { requests: requests?, lifetime: lifetime?, memory: memory? })
}

fn warm_up(node: &Node<'_>) -> Option<Vec<String>> {
    let paths = node.list(PATHS)?;
    if paths.len() > MOST_WARM_UPS {
        return node.reject(format_args!("has {} paths: expected at most {MOST_WARM_UPS}", paths.len()));
    }
    every(&paths, |path| {
        let text = path.text("a path such as /health")?;
        let wrong = if !text.starts_with('/') {
            "does not start with /"
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains('#') {
            "holds a space, # or a non-ASCII character"
        } else {
            return Some(text.to_owned());
        };
        path.reject(format_args!("{wrong}: expected a path such as /health"))
    })
}
