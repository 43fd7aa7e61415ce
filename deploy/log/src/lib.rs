//! Log lines of app server and proxy: one record a line on standard error or in a file, as text for people
//! or JSON for machines, stamped in UTC.
//!
//! `format`, `record` and `escape` make lines; `output`, `file` and `archive` put them in their place, the proxy's
//! access log too; `tally` counts what happens there.
//!
//! Called once by each program's `main` after the site file is checked, and again when a
//! reload brings other settings. Never writes a control character that came from outside, so
//! that nobody can forge a record or steer a terminal.

mod archive;
mod escape;
mod file;
mod format;
mod output;
mod record;
mod tally;

use std::fmt::Arguments;
use std::io::{self, IsTerminal as _};
use std::panic::PanicHookInfo;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tidegate_site::{Level, Log, LogFormat, Rotate};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::{Layer as _, Registry};

use crate::format::Format;

pub use crate::archive::{Aside, set_aside};
pub use crate::file::LogFile;
pub use crate::output::Output;
pub use crate::tally::Tally;

/// Target of what the apps print. It is written whatever the level: an app's own logging has
/// already decided what matters.
pub const APP_OUTPUT: &str = "tidegate_app_output";

/// Fields of these names hold several lines; text shows them below the record, indented.
pub const BLOCKS: [&str; 3] = ["stack", "traceback", "details"];

struct Installed {
    filter: Handle<Targets, Registry>,
    format: &'static Format,
    output: Output,
    tally: Arc<Tally>,
    /// Where the lines go now.
    place: Mutex<Option<(PathBuf, Option<Rotate>)>>,
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// Sends every `tracing` event of this process to its log, under the name `process`. A further call changes level, format
/// and place. An error says that the log's file cannot be opened; its lines go there all the same, as soon as it can.
pub fn init(process: &'static str, log: &Log) -> io::Result<()> {
    let installed = INSTALLED.get_or_init(|| install(process, log));
    installed.format.set_json(log.format == LogFormat::Json);
    // Fails only when the subscriber is gone, which is global and never dropped.
    let _ = installed.filter.reload(targets(log.level));
    let place = log.file_of(process).map(|path| (path, log.rotate));
    let mut current = installed.place.lock();
    if *current == place {
        return Ok(());
    }
    let mut file =
        place.clone().map(|(path, rotate)| LogFile::new(path, rotate, Arc::clone(&installed.tally), report_on_stderr));
    let opened = file.as_mut().map_or(Ok(()), LogFile::open);
    installed.format.set_colours(file.is_none() && colours());
    installed.output.redirect(file);
    *current = place;
    opened
}

/// Where this process's lines go, and will go after a reload.
pub fn output() -> Output {
    INSTALLED.get().map_or_else(Output::stderr, |installed| installed.output.clone())
}

/// What happened to this process's lines.
pub fn tally() -> Arc<Tally> {
    INSTALLED.get().map(|installed| Arc::clone(&installed.tally)).unwrap_or_default()
}

fn install(process: &'static str, log: &Log) -> Installed {
    let format: &'static Format = Box::leak(Box::new(Format::new(process, colours())));
    let (filter, handle) = reload::Layer::new(targets(log.level));
    let output = Output::stderr();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(output.clone())
        .with_ansi(false)
        .log_internal_errors(false)
        .event_format(format::Shared(format))
        .with_filter(filter);
    // An earlier subscriber can only be a test's own, which then sees the events.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(layer));
    std::panic::set_hook(Box::new(log_panic));
    Installed { filter: handle, format, output, tally: Arc::default(), place: Mutex::default() }
}

/// The log that cannot be written is no place to say so.
fn report_on_stderr(message: Arguments<'_>) {
    eprintln!("{message}");
}

/// Libraries speak from `warn` on: their details help nobody who did not write them.
fn targets(level: Level) -> Targets {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("tidegate", level)
        .with_target(APP_OUTPUT, LevelFilter::INFO)
}

/// Whether to colour: a terminal that says what it is. A Windows console that does not
/// understand escape sequences sets neither variable.
fn colours() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let capable = set("WT_SESSION") || std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    std::io::stderr().is_terminal() && capable && !set("NO_COLOR")
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let text = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    tracing::error!(place, thread, "panicked: {text}");
}
