//! How a child process is to be started. Made by whoever wants one; what it becomes is a [`Child`].

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Child, sys};

/// A child process to be. It inherits this process's environment.
#[derive(Debug, Clone)]
pub struct Spawn {
    /// The program: a path, or a name searched for on PATH.
    pub program: PathBuf,
    /// Its arguments, without the program's name.
    pub arguments: Vec<OsString>,
    /// Working directory; this process's if not set.
    pub directory: Option<PathBuf>,
    /// Variables to add or replace.
    pub environment: Vec<(OsString, OsString)>,
    /// Standard input.
    pub stdin: Stdin,
    /// Standard output and standard error.
    pub output: Output,
    /// Memory that the system refuses to exceed.
    pub memory_limit: Option<MemoryLimit>,
}

/// A bound on a child's memory. An allocation beyond it fails; nothing is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimit {
    /// Bytes that may be allocated: on Linux by each process, as private memory that can be written to
    /// (RLIMIT_DATA); on Windows by all together, as memory that is committed (the job object's limit).
    ///
    /// Not RLIMIT_AS, which counts libraries and address space that is only reserved: the heaps of a
    /// process with many threads reserve gigabytes that they never use. RLIMIT_RSS has no effect.
    pub bytes: u64,
    /// What the stacks of its threads may grow to. Added on Linux, which counts a stack in full from
    /// the start; Windows counts what was used of it.
    pub stacks: u64,
}

/// Standard input of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// Empty.
    Null,
    /// A pipe on which nothing is written; its end ([`Child::close_stdin`]) is the message.
    Pipe,
}

/// Standard output and error of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// This process's own.
    Inherit,
    /// Pipes, to be read through [`Child::take_stdout`] and [`Child::take_stderr`].
    Capture,
}

impl Spawn {
    /// A program without arguments, with empty standard input and inherited output.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            directory: None,
            environment: Vec::new(),
            stdin: Stdin::Null,
            output: Output::Inherit,
            memory_limit: None,
        }
    }

    /// Starts it. Blocks for as long as the system takes to start a process.
    pub fn start(&self) -> io::Result<Child> {
        let started = sys::spawn(self)
            .map_err(|error| crate::context(error, format_args!("failed to start {}", self.program.display())))?;
        Child::of(started)
    }

    /// What both systems do alike to start it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.stdin(match self.stdin {
            Stdin::Null => Stdio::null(),
            Stdin::Pipe => Stdio::piped(),
        });
        if self.output == Output::Capture {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        command
    }
}
