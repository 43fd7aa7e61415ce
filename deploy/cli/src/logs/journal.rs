//! Log lines that systemd keeps: asks `journalctl` for them and shows them like those of files. Called by `logs` where
//! the services of a site have no log file.

use std::collections::VecDeque;
use std::time::SystemTime;

use tidegate_host::{Output, Signal, Signals, Spawn};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::time::timeout;

use super::record::Record;
use super::records::{Only, Records};
use super::{LOOK, Look, USUAL, print};
use crate::args;
use crate::failure::Failure;

/// Before the place in the journal from which to go on.
const CURSOR: &str = "-- cursor: ";

/// Shows what these services have logged.
pub(super) async fn show(services: &[String], arguments: &args::Logs, only: &Only, look: Look) -> Result<(), Failure> {
    let Some((program, options)) = tidegate_host::journal_command(services) else {
        return Err(Failure::new("this system keeps no journal of services"));
    };
    let mut journal = Journal {
        program,
        options,
        signals: Signals::install().map_err(|error| Failure::new(format!("failed to handle Ctrl-C: {error}")))?,
        look,
        cursor: None,
    };
    let mut past = vec!["--show-cursor".to_owned()];
    if let Some(since) = arguments.since {
        let since = SystemTime::now().checked_sub(since).unwrap_or(SystemTime::UNIX_EPOCH);
        past.push(format!("--since=@{}", since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()));
    }
    // journalctl counts lines before any are chosen, and those of a stack one by one: so they are counted here.
    let most = arguments.lines.or(arguments.since.is_none().then_some(USUAL));
    if *only == Only::default()
        && let Some(most) = most
    {
        past.push(format!("--lines={}", most.saturating_mul(LINES_PER_RECORD)));
    }
    let mut kept = VecDeque::new();
    let went_on = journal
        .read(&past, only, |record| {
            if most.is_some_and(|most| kept.len() == most) {
                kept.pop_front();
            }
            if most != Some(0) {
                kept.push_back(record);
            }
            Ok(true)
        })
        .await?;
    for record in kept {
        if !print(&record, look)? {
            return Ok(());
        }
    }
    if !arguments.follow || !went_on {
        return Ok(());
    }
    let from = journal.cursor.take().map_or("--lines=0".to_owned(), |cursor| format!("--after-cursor={cursor}"));
    journal.read(&["--follow".to_owned(), from], only, |record| print(&record, look)).await.map(drop)
}

/// So many lines of the journal hold a record, stacks included, unless most records are stacks.
const LINES_PER_RECORD: usize = 20;

struct Journal {
    program: &'static str,
    options: Vec<String>,
    signals: Signals,
    look: Look,
    /// Where what was read ends.
    cursor: Option<String>,
}

impl Journal {
    /// Reads records until the end, Ctrl-C, or until `each` wants no more; says whether it was the end.
    async fn read(
        &mut self,
        more: &[String],
        only: &Only,
        mut each: impl FnMut(Record) -> Result<bool, Failure>,
    ) -> Result<bool, Failure> {
        let program = self.program;
        let options: Vec<String> = self.options.iter().chain(more).cloned().collect();
        eprintln!("{} {program} {}", self.look.style.quiet("from the journal:"), options.join(" "));
        let mut spawn = Spawn::new(program);
        spawn.arguments = options.into_iter().map(Into::into).collect();
        spawn.output = Output::Capture;
        let mut child = spawn.start().map_err(|error| {
            Failure::new(format!("failed to run {program}: {error}")).next("run that command where systemd's tools are")
        })?;
        let (Some(out), Some(mut err)) = (child.take_stdout(), child.take_stderr()) else { return Ok(true) };
        let complaint = tokio::spawn(async move {
            let mut text = String::new();
            // What it has said until then is shown.
            let _ = err.read_to_string(&mut text).await;
            text
        });
        let mut lines = BufReader::new(out).lines();
        let mut records = Records::new(only.clone());
        loop {
            // Both are cancel-safe.
            let line = tokio::select! {
                line = timeout(LOOK, lines.next_line()) => line,
                signal = self.signals.next() => {
                    if signal == Signal::Stop {
                        return Ok(false);
                    }
                    continue;
                }
            };
            let (record, ended) = match line {
                Err(_) => (records.flush(), false),
                Ok(Ok(Some(line))) => match line.strip_prefix(CURSOR) {
                    Some(cursor) => {
                        self.cursor = Some(cursor.to_owned());
                        (None, false)
                    }
                    None => (records.feed(line), false),
                },
                Ok(Ok(None)) => (records.flush(), true),
                Ok(Err(error)) => return Err(Failure::new(format!("failed to read the journal: {error}"))),
            };
            if let Some(record) = record
                && !each(record)?
            {
                return Ok(false);
            }
            if ended {
                break;
            }
        }
        match child.wait().await {
            Ok(exit) if exit.success() => Ok(true),
            Ok(exit) => {
                let said = complaint.await.unwrap_or_default();
                Err(Failure::new(format!("{program} ended with {exit}\n{}", said.trim_end()))
                    .next("run this as root, or as a member of the group systemd-journal"))
            }
            Err(error) => Err(Failure::new(error.to_string())),
        }
    }
}
