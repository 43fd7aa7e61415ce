//! Where lines go: standard error, standard output, or a file. Shared by everything that writes to the same place, so
//! that lines never mix. Called by the subscriber for each event and by the proxy for its access log.

use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use crate::file::LogFile;

/// A place for lines; clones mean the same place.
#[derive(Debug, Clone)]
pub struct Output(Arc<Mutex<Target>>);

#[derive(Debug)]
enum Target {
    Stderr,
    Stdout,
    File(LogFile),
}

impl Output {
    /// Standard error.
    pub fn stderr() -> Self {
        Self::to(Target::Stderr)
    }

    /// Standard output.
    pub fn stdout() -> Self {
        Self::to(Target::Stdout)
    }

    /// A file.
    pub fn file(file: LogFile) -> Self {
        Self::to(Target::File(file))
    }

    fn to(target: Target) -> Self {
        Self(Arc::new(Mutex::new(target)))
    }

    /// Sends everything that comes from now on to this file, or to standard error.
    pub(crate) fn redirect(&self, file: Option<LogFile>) {
        *self.0.lock() = file.map_or(Target::Stderr, Target::File);
    }
}

impl Write for Output {
    /// Takes all of `lines`, which are whole lines.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.write_all(lines)?;
        Ok(lines.len())
    }

    fn write_all(&mut self, lines: &[u8]) -> io::Result<()> {
        match &mut *self.0.lock() {
            Target::Stderr => io::stderr().lock().write_all(lines),
            Target::Stdout => io::stdout().lock().write_all(lines),
            Target::File(file) => {
                file.append(lines);
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &*self.0.lock() {
            Target::Stdout => io::stdout().flush(),
            // Neither has a buffer.
            Target::Stderr | Target::File(_) => Ok(()),
        }
    }
}

impl MakeWriter<'_> for Output {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
