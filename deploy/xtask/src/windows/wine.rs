//! Wine 10: where it comes from, and how a Windows program is run in it.
//!
//! As root, Wine lives in a Debian trixie tree in the cache. Each program gets a mount namespace of its own in which the
//! checkout, the build output and the cache appear in that tree under the paths they have outside, so a path that a
//! test was compiled with means the same through Wine's drive Z:. Nothing stays mounted when the program ends.
//! Without root, a Wine 10 on PATH is used as it is.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::workspace::WINDOWS_TARGET;
use crate::{cache, machine, namespace, process};

/// Raised when the way the tree is made changes.
const TREE_VERSION: &str = "trixie wine64 1";
const PREFIX_VERSION: &str = "1";
/// The C: drive and the registry that tests and measurements share, below the cache.
const PREFIX: &str = "wine/prefix";
/// What a Wine server says when there is one for the prefix.
const SERVER_IS_RUNNING: i32 = 2;
/// Wine 8 lacks DLLs that today's Rust programs import.
const OLDEST: u32 = 10;
/// Only variables with these beginnings reach a Windows program; the rest describes this machine, not Windows.
const PASSED: [&str; 5] = ["CARGO", "TIDEGATE_", "RUST", "CI", "TERM"];

/// A Wine to run programs with.
pub(crate) struct Wine {
    source: Source,
    /// The C: drive and the registry, below the cache.
    prefix: &'static str,
}

#[derive(Clone, Copy)]
enum Source {
    /// In the cache's tree, through a mount namespace and chroot.
    Tree,
    /// On PATH.
    Installed,
}

impl Wine {
    fn new(source: Source) -> Self {
        Self { source, prefix: PREFIX }
    }

    /// This Wine with a new drive and registry of its own. Each Wine server serves one prefix, so what runs here and there
    /// does not meet.
    pub(crate) fn with_new_prefix(&self, prefix: &'static str) -> Result<Self> {
        let wine = Self { source: self.source, prefix };
        if wine.prefix()?.exists() {
            // Of a run that was cut off. There is mostly none, which is an error to this.
            server(&wine, "--kill")?.stderr(Stdio::null()).status()?;
        }
        cache::remove(&wine.prefix()?)?;
        provide_prefix(&wine)?;
        Ok(wine)
    }

    /// Where the drive and the registry are.
    pub(crate) fn prefix(&self) -> Result<PathBuf> {
        Ok(cache::directory()?.join(self.prefix))
    }

    /// Programs that use the prefix hold this lock shared; the last one out ends the Wine server.
    fn server_lock(&self) -> Result<File> {
        cache::lock_file(&Path::new(self.prefix).with_file_name("server").to_string_lossy())
    }
}

/// Finds or makes Wine.
pub(crate) fn provide() -> Result<Wine> {
    if !machine::is_root() {
        let version = process::output(process::command("wine").arg("--version")).unwrap_or_default();
        if major_version(&version).is_none_or(|major| major < OLDEST) {
            bail!(
                "Wine {OLDEST} or newer is needed: run as root (it is then installed into the cache) or install it; \
                 `--native` leaves the Windows programs out"
            );
        }
        return Ok(Wine::new(Source::Installed));
    }
    cache::provide("wine/tree", TREE_VERSION, |place| {
        println!("      installing Wine into the cache (about 1.1 GB, a minute)");
        let mut command = process::command("mmdebstrap");
        command.args(["--variant=minbase", "--include=wine64,wine,ca-certificates", "trixie"]).arg(place);
        // Elsewhere than on Debian mmdebstrap knows an address itself.
        if let Some(mirror) = machine::debian_mirror()? {
            command.arg(mirror);
        }
        process::run_quietly(&mut command)
    })
    .map(|_| Wine::new(Source::Tree))
}

/// Makes the Wine prefix (the C: drive and the registry).
pub(crate) fn provide_prefix(wine: &Wine) -> Result<()> {
    let version = cache::digest(&[TREE_VERSION, PREFIX_VERSION]);
    cache::provide_in_place(wine.prefix, &version, |place| {
        println!("      starting Wine for the first time");
        fs::create_dir_all(place)?;
        process::run_quietly(command(wine, OsStr::new("wineboot"), &["--init".into()])?.stdout(Stdio::null()))?;
        process::run_quietly(&mut server(wine, "--wait")?)
    })
    .map(|_| ())
}

/// A command that runs a Windows program with the environment and the working directory of the caller.
pub(crate) fn command(wine: &Wine, program: &OsStr, args: &[OsString]) -> Result<Command> {
    let mut command = match wine.source {
        Source::Installed => {
            let mut command = process::command("wine");
            command.env("WINEPREFIX", wine.prefix()?);
            set_wine_variables(&mut command)?;
            command
        }
        Source::Tree => enter_namespace(wine, OsStr::new("wine"))?,
    };
    command.arg(program).args(args);
    Ok(command)
}

/// A path of this machine as Windows programs name it.
pub(crate) fn windows_path(path: &Path) -> Result<String> {
    let path = path.to_str().context("the cache's path is not valid Unicode")?;
    Ok(format!("Z:{}", path.replace('/', "\\")))
}

/// Keeps one Wine server for several programs; the last holder to drop this ends it and whatever still runs in it.
pub(crate) fn keep_server(wine: &Wine) -> Result<KeptServer> {
    let lock = wine.server_lock()?;
    lock.lock_shared()?;
    // It goes to the background and ends itself ten minutes after its last program should this process be killed. Its
    // output is cut off: the end of a pipe to it would never come.
    let mut start = server(wine, "--persistent=600")?;
    let status = start.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !status.success() && status.code() != Some(SERVER_IS_RUNNING) {
        bail!("the Wine server did not start ({status})");
    }
    Ok(KeptServer { lock, end: server(wine, "--kill")? })
}

/// See [`keep_server`].
pub(crate) struct KeptServer {
    lock: File,
    end: Command,
}

impl Drop for KeptServer {
    fn drop(&mut self) {
        // A failure leaves a server that ends by itself.
        if self.lock.unlock().is_ok() && self.lock.try_lock().is_ok() {
            let _ = self.end.status();
        }
    }
}

/// Cargo's runner for Windows test programs: `xtask wine-run PROGRAM ARGS`. Assumes that all is prepared.
pub(crate) fn run_as_cargo_runner(args: &[OsString]) -> Result<ExitCode> {
    let (program, rest) = args.split_first().context("no program to run")?;
    let wine = Wine::new(if machine::is_root() { Source::Tree } else { Source::Installed });
    finish(&mut command(&wine, program, rest)?)
}

/// The setting by which cargo runs Windows programs under Wine.
pub(crate) fn runner() -> Result<String> {
    let this = std::env::current_exe()?;
    let this = this.to_str().context("the path of xtask is not valid Unicode")?;
    // Given as a list: the environment variable for it would be split at spaces.
    Ok(format!("target.{WINDOWS_TARGET}.runner=['{this}', 'wine-run']"))
}

/// Runs to the end and passes the exit code on. Wine never gets the terminal: it would draw a console window on it.
pub(crate) fn finish(command: &mut Command) -> Result<ExitCode> {
    let mut copies = Vec::new();
    if io::stdout().is_terminal() || io::stderr().is_terminal() {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let mut child = command.spawn()?;
    if let Some(mut from) = child.stdout.take() {
        copies.push(copy_in_background(move || io::copy(&mut from, &mut io::stdout())));
    }
    if let Some(mut from) = child.stderr.take() {
        copies.push(copy_in_background(move || io::copy(&mut from, &mut io::stderr())));
    }
    let status = child.wait()?;
    for copy in copies {
        // A process that the program left behind may hold the pipe open for as long as it likes.
        let _ = copy.recv_timeout(Duration::from_secs(5));
    }
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

fn copy_in_background(copy: impl FnOnce() -> io::Result<u64> + Send + 'static) -> mpsc::Receiver<()> {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        // The end of the program says more than a broken pipe here would.
        let _ = copy();
        let _ = done.send(());
    });
    finished
}

/// The second half of [`command`], alone in a new mount namespace: mounts, changes the root, becomes the program. The first
/// argument is the prefix.
pub(crate) fn run_inside_namespace(args: &[OsString]) -> Result<ExitCode> {
    let [prefix, program, rest @ ..] = args else { bail!("no program to run") };
    let cache = cache::directory()?;
    // A program given by hand may be anywhere, and its directory matters too.
    let own = Path::new(rest.first().unwrap_or(program)).parent().filter(|path| path.is_absolute()).map(Path::to_owned);
    let mut command = namespace::enter(&cache.join("wine/tree"), own.into_iter().collect())
        .context("`--native` leaves the Windows programs out")?;
    command.arg(program).args(rest).env_clear();
    for (name, value) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| PASSED.iter().any(|prefix| name.starts_with(prefix))) {
            command.env(name, value);
        }
    }
    command
        .env("PATH", "/usr/lib/wine:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        // Without a UTF-8 locale Wine cannot name files with other letters than ASCII.
        .env("LC_ALL", "C.UTF-8")
        .env("WINEPREFIX", cache.join(prefix));
    set_wine_variables(&mut command)?;
    namespace::become_program(&mut command)
}

fn set_wine_variables(command: &mut Command) -> Result<()> {
    command
        .env("WINEDEBUG", "-all")
        .env("WINEARCH", "win64")
        // Neither .NET nor a browser, which Wine would offer to download, and no entries in desktop menus.
        .env("WINEDLLOVERRIDES", "mscoree=;mshtml=;winemenubuilder.exe=d")
        // Wine looks for a display here and complains where the variable is missing.
        .env("XDG_RUNTIME_DIR", "/tmp")
        // On the PATH of Windows, where `tidegate` looks for Python.
        .env("WINEPATH", windows_path(&cache::directory()?.join(super::interpreter::PLACE))?);
    Ok(())
}

fn server(wine: &Wine, option: &str) -> Result<Command> {
    let mut command = match wine.source {
        Source::Installed => {
            let mut command = process::command("wineserver");
            command.env("WINEPREFIX", wine.prefix()?);
            command
        }
        // Debian's `wineserver` is a script that adds an option of its own.
        Source::Tree => enter_namespace(wine, OsStr::new("/usr/lib/wine/wineserver64"))?,
    };
    command.arg(option);
    Ok(command)
}

fn enter_namespace(wine: &Wine, program: &OsStr) -> Result<Command> {
    let mut command = namespace::unshared()?;
    command.args(["wine-inside", wine.prefix]).arg(program);
    Ok(command)
}

fn major_version(text: &str) -> Option<u32> {
    text.trim().strip_prefix("wine-")?.split(['.', ' ']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installed_version_is_read() {
        for (text, major) in [("wine-10.0 (Debian 10.0~repack-6)\n", Some(10)), ("wine-8.0", Some(8)), ("", None)] {
            assert_eq!(major_version(text), major, "{text:?}");
        }
    }
}
