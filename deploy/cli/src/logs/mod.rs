//! `tidegate logs`: what the programs of a site have logged, both merged by time, and what they log from now on. `sources`
//! finds the files, `tail` reads and follows them, `record` understands their lines, `records` gathers and chooses them,
//! `journal` asks systemd where there are no files. It only reads, and holds no file in a way that keeps others from moving
//! or deleting it.

mod journal;
mod record;
mod records;
mod sources;
mod tail;

use std::collections::VecDeque;
use std::io::{self, Write as _, stdout};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tidegate_host::{Signal, Signals};
use tokio::time::sleep;

use self::record::Record;
use self::records::{Only, Records};
use self::sources::{Found, Source};
use self::tail::Tail;
use crate::args;
use crate::failure::Failure;
use crate::style::Style;

/// Between two looks at files that nobody has written to.
const LOOK: Duration = Duration::from_millis(200);

/// How many records are shown to somebody who does not say it: a few screens.
const USUAL: usize = 100;

/// How much of the end of a file is read for the last records, before more is.
const FIRST_WINDOW: u64 = 1 << 20;

/// How much more when that was not enough.
const WIDER: u64 = 16;

/// How records are shown.
#[derive(Debug, Clone, Copy)]
struct Look {
    json: bool,
    style: Style,
}

/// Runs the command.
pub(crate) async fn run(config: &Path, arguments: &args::Logs, style: Style) -> Result<(), Failure> {
    let site = tidegate_site::load(config).map_err(|error| Failure::configuration(config, &error))?;
    let look = Look { json: arguments.json, style };
    // The system's clock may not go back to where --since leads.
    let since = arguments.since.map(|since| SystemTime::now().checked_sub(since).unwrap_or(SystemTime::UNIX_EPOCH));
    let most = arguments.lines.or((since.is_none()).then_some(USUAL));
    match sources::find(&site, arguments)? {
        Found::Files(files) => show_files(&files, arguments, since, most, look).await,
        Found::Journal { services, only } => journal::show(&services, arguments, &only, look).await,
    }
}

async fn show_files(
    sources: &[Source],
    arguments: &args::Logs,
    since: Option<SystemTime>,
    most: Option<usize>,
    look: Look,
) -> Result<(), Failure> {
    if !arguments.follow && sources.iter().all(|source| !source.path.exists()) {
        let paths: Vec<_> = sources.iter().map(|source| source.path.display().to_string()).collect();
        return Err(Failure::new(format!("nothing has been logged yet: there is no {}", paths.join(" and no ")))
            .next("start the site with `tidegate service start` or `tidegate up`, or add --follow to wait for it"));
    }
    let mut streams = match most {
        Some(most) => {
            let (streams, records) = last(sources, since, most)?;
            for record in records {
                if !print(&record, look)? {
                    return Ok(());
                }
            }
            streams
        }
        None => {
            let mut streams = open(sources, since, None)?;
            while let Some(record) = next(&mut streams)? {
                if !print(&record, look)? {
                    return Ok(());
                }
            }
            streams
        }
    };
    if !arguments.follow {
        return Ok(());
    }
    let mut signals = Signals::install().map_err(|error| Failure::new(format!("failed to handle Ctrl-C: {error}")))?;
    loop {
        for stream in &mut streams {
            stream.tail.follow();
        }
        while let Some(record) = next(&mut streams)? {
            if !print(&record, look)? {
                return Ok(());
            }
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            signal = signals.next() => {
                if signal == Signal::Stop {
                    return Ok(());
                }
            }
        }
    }
}

/// One source as it is read: its next record is kept, so that sources can be merged by time.
struct Stream {
    tail: Tail,
    records: Records,
    next: Option<Record>,
    path: String,
}

fn open(sources: &[Source], since: Option<SystemTime>, window: Option<u64>) -> Result<Vec<Stream>, Failure> {
    let open = |source: &Source| {
        let path = source.path.display().to_string();
        let tail = Tail::open(&source.path, since, window).map_err(|error| unreadable(&path, &error))?;
        Ok(Stream { tail, records: Records::new(Only { since, ..source.only.clone() }), next: None, path })
    };
    sources.iter().map(open).collect()
}

/// The earliest record of all streams that have one now.
fn next(streams: &mut [Stream]) -> Result<Option<Record>, Failure> {
    for stream in streams.iter_mut().filter(|stream| stream.next.is_none()) {
        stream.next = stream.records.next(|| stream.tail.line()).map_err(|error| unreadable(&stream.path, &error))?;
    }
    let with_one = streams.iter_mut().filter(|stream| stream.next.is_some());
    let first = with_one.min_by_key(|stream| stream.next.as_ref().map(|record| record.time));
    Ok(first.and_then(|stream| stream.next.take()))
}

/// The last records of all sources, and the streams behind them. Large files are not read as a whole for that: what is
/// shown has to be later than where each part that was read begins.
fn last(
    sources: &[Source],
    since: Option<SystemTime>,
    most: usize,
) -> Result<(Vec<Stream>, VecDeque<Record>), Failure> {
    let mut window = FIRST_WINDOW;
    loop {
        let mut streams = open(sources, since, Some(window))?;
        let mut kept = VecDeque::new();
        while let Some(record) = next(&mut streams)? {
            if kept.len() == most {
                kept.pop_front();
            }
            if most > 0 {
                kept.push_back(record);
            }
        }
        let cut = streams.iter().filter(|stream| stream.tail.is_cut());
        let begun: Option<Vec<i64>> = cut.map(|stream| stream.records.begun()).collect();
        let enough = begun.is_some_and(|begun| {
            let latest = begun.into_iter().max().unwrap_or(i64::MIN);
            let first = kept.front().map_or(i64::MAX, |record: &Record| record.time);
            latest == i64::MIN
                || (kept.len() == most && first >= latest)
                || since.is_some_and(|since| is_before(latest, since))
        });
        if enough {
            return Ok((streams, kept));
        }
        window = window.saturating_mul(WIDER);
    }
}

/// Whether a record's time is before a moment.
fn is_before(time: i64, moment: SystemTime) -> bool {
    let moment = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i128::from(time) < i128::try_from(moment.as_millis()).unwrap_or(i128::MAX)
}

/// Shows a record; false when nobody reads any more.
fn print(record: &Record, look: Look) -> Result<bool, Failure> {
    let text = if look.json { record.json() } else { record.text(look.style) };
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(format!("failed to write: {error}"))),
    }
}

fn unreadable(path: &str, error: &io::Error) -> Failure {
    let next = if error.kind() == io::ErrorKind::PermissionDenied {
        "run this as administrator (root), or as the account that runs the site"
    } else {
        "look at the file and its directory"
    };
    Failure::new(format!("cannot read {path}: {error}")).next(next)
}
