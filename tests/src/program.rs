//! One program of Tidegate as a child of the test, with its log. The programs are found beside the directory of the
//! test's own executable, where cargo builds them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tidegate_host::{Child, Exit, Output, Spawn, Stdin};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::sync::watch;

use crate::wait::bounded;

/// A program's executable.
///
/// # Panics
/// When it was not built.
pub fn executable(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    // .../debug/deps/pair-0123 -> .../debug
    let directory = this.parent().and_then(Path::parent).unwrap();
    let program = directory.join(tidegate_host::program_name(name));
    assert!(program.is_file(), "{} is missing: run `cargo build --workspace`", program.display());
    program
}

/// The Python that runs the tests' apps: the one with Flask and Django if `cargo xtask test` says where it is.
///
/// # Panics
/// When there is none at all.
pub fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("TIDEGATE_TEST_PYTHON") {
        return python.into();
    }
    let found = tidegate_host::python_names().iter().find_map(|name| tidegate_host::find_program(name));
    found.expect("no Python on PATH; `cargo xtask test` brings one")
}

/// Makes sure that the tests' Python has this package.
///
/// # Panics
/// When it has not: a test that skips itself proves nothing.
pub async fn require(package: &str) {
    let finished = run(python(), ["-c", &format!("import {package}")], None, &[]).await;
    assert_eq!(finished.code, 0, "{} has no {package}: run `cargo xtask test`", python().display());
}

/// What a program has logged so far.
#[derive(Debug, Clone)]
pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    news: watch::Receiver<usize>,
}

impl Log {
    /// What comes from this stream, from now on.
    pub fn of(output: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (sender, news) = watch::channel(0);
        let collected = Arc::clone(&lines);
        tokio::spawn(async move {
            let mut reader = BufReader::new(output);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                collected.lock().unwrap().push(text);
                sender.send_modify(|count| *count += 1);
            }
        });
        Self { lines, news }
    }

    /// Every line so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The lines that hold every one of these texts.
    pub fn find(&self, texts: &[&str]) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| texts.iter().all(|text| line.contains(text))).cloned().collect()
    }

    /// Waits for a line that holds every one of these texts: the first.
    pub async fn wait(&self, texts: &[&str]) -> String {
        let mut news = self.news.clone();
        let found = async {
            loop {
                news.borrow_and_update();
                if let Some(line) = self.find(texts).into_iter().next() {
                    return line;
                }
                if news.changed().await.is_err() {
                    // The program has ended; nothing more will come.
                    std::future::pending::<()>().await;
                }
            }
        };
        bounded(&format!("a log line with {texts:?}"), found).await
    }
}

/// A program that runs until it is told to stop.
#[derive(Debug)]
pub struct Program {
    /// Its name, for messages.
    pub name: &'static str,
    /// Its standard error.
    pub log: Log,
    /// Its standard output.
    pub stdout: Log,
    child: Child,
}

impl Program {
    /// Starts a long-running program on a site file.
    pub fn start(name: &'static str, config: &Path) -> Self {
        Self::start_with(name, config, &[])
    }

    /// Starts it with more variables in its environment.
    pub fn start_with(name: &'static str, config: &Path, variables: &[(&str, &str)]) -> Self {
        let mut spawn = Spawn::new(executable(name));
        spawn.environment = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        spawn.arguments = vec!["--config".into(), config.into(), "--stop-on-stdin-eof".into()];
        spawn.stdin = Stdin::Pipe;
        spawn.output = Output::Capture;
        let mut child = spawn.start().unwrap();
        let log = Log::of(child.take_stderr().unwrap());
        let stdout = Log::of(child.take_stdout().unwrap());
        Self { name, log, stdout, child }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, and goes on.
    pub fn ask_to_stop(&mut self) {
        self.child.close_stdin();
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> Exit {
        bounded(&format!("the end of {}", self.name), self.child.wait()).await.unwrap()
    }

    /// Waits for its end, for as long as it takes.
    pub async fn wait_for_good(&mut self) -> Exit {
        self.child.wait().await.unwrap()
    }

    /// Asks it to stop and waits for its end.
    pub async fn stop(&mut self) -> Exit {
        self.ask_to_stop();
        self.wait().await
    }

    /// Kills it (and what it started) and waits until it is gone.
    pub async fn kill(&mut self) {
        self.child.kill().unwrap();
        self.wait().await;
    }
}

/// How a program that ends by itself ended, and what it said.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a program to its end.
pub async fn run<A: Into<OsString>>(
    program: impl Into<PathBuf>,
    arguments: impl IntoIterator<Item = A>,
    directory: Option<&Path>,
    environment: &[(&str, &str)],
) -> Finished {
    let mut spawn = Spawn::new(program);
    spawn.arguments = arguments.into_iter().map(Into::into).collect();
    spawn.directory = directory.map(Path::to_owned);
    spawn.environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
    spawn.output = Output::Capture;
    let mut child = spawn.start().unwrap();
    let (mut out, mut err) = (child.take_stdout().unwrap(), child.take_stderr().unwrap());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let finish = async {
        let (out, err) = tokio::join!(out.read_to_end(&mut stdout), err.read_to_end(&mut stderr));
        out.and(err).unwrap();
        child.wait().await.unwrap()
    };
    let exit = bounded(&format!("the end of {}", spawn.program.display()), finish).await;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
    Finished { code: exit.code.unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}

/// Runs the `tidegate` command to its end.
pub async fn tidegate<A: Into<OsString>>(arguments: impl IntoIterator<Item = A>) -> Finished {
    run(executable("tidegate"), arguments, None, &[("NO_COLOR", "1")]).await
}
