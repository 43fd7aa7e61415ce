//! The Windows packages, installed in Wine and used with Windows' own Python.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::page::{expect, fetch, wait_for};
use super::transcript::{self, say};
use super::{FLASK, LONG, PATIENCE, SHORT, adapt, copy_tree, flask_site, free_port, fresh};
use crate::package::{VERSION, msi};
use crate::windows::{self, Prepared, wine};
use crate::{cache, process, python, workspace};

/// Of the trial's own Wine.
const PREFIX: &str = "trial/wine/prefix";

/// Wine, and the drive C: in it.
struct Windows<'a> {
    prepared: Prepared,
    drive: PathBuf,
    packages: &'a Path,
}

impl Windows<'_> {
    fn quietly(&self, program: &str, args: &[&str]) -> Result<String> {
        let args: Vec<_> = args.iter().map(Into::into).collect();
        process::output(&mut wine::command(&self.prepared.wine, OsStr::new(program), &args)?)
    }

    /// Runs a program, shows what it says, and gives it back.
    fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        say(&format!("> {program} {}", args.join(" ")));
        let said = self.quietly(program, args)?;
        for line in said.lines() {
            say(&format!("| {}", line.trim_end()));
        }
        Ok(said)
    }

    /// An installation for a site whose file is wrong fails, and leaves nothing.
    fn refuses_a_wrong_site(&self, package: &Path, program: &Path) -> Result<()> {
        let site = self.drive.join("ProgramData/tidegate-wrong.yaml");
        fs::write(&site, "version: 1\nlisteners: nonsense\n")?;
        let refused = self.msiexec("/i", package, &[r"SITE=C:\ProgramData\tidegate-wrong.yaml"]);
        ensure!(refused.is_err(), "the MSI installed services for a wrong site file");
        ensure!(!program.exists(), "the installation that failed left {}", program.display());
        self.has_no_service("Tidegate")?;
        say("refused: the site file is wrong; no program and no service is left");
        fs::remove_file(site).map_err(Into::into)
    }

    fn has_no_service(&self, set: &str) -> Result<()> {
        for part in ["Proxy", "Appserver"] {
            let service = format!("{set}{part}");
            ensure!(self.quietly("sc", &["query", &service]).is_err(), "there is still a service {service}");
        }
        Ok(())
    }

    /// The machine's PATH, for programs that start from now on.
    fn path(&self) -> Result<String> {
        let key = r"HKLM\System\CurrentControlSet\Control\Session Manager\Environment";
        self.quietly("reg", &["query", key, "/v", "PATH"])
    }

    /// `tidegate doctor` of a site that serves. It may find problems with rights alone: Wine keeps no access lists.
    fn doctor(&self, tidegate: &str, site: &str, set: &str) -> Result<()> {
        let args = ["--config", site, "doctor", "--name", set];
        say(&format!("> {tidegate} {}", args.join(" ")));
        let output = wine::command(&self.prepared.wine, OsStr::new(tidegate), &args.map(Into::into))?.output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        for line in said.lines() {
            say(&format!("| {}", line.trim_end()));
        }
        let is_wrong = |line: &&str| line.starts_with("problem ") && !line.starts_with("problem rights ");
        ensure!(said.contains("ok      apps"), "tidegate doctor did not come to the end");
        ensure!(!said.lines().any(|line| is_wrong(&line)), "tidegate doctor found a problem");
        Ok(())
    }

    fn msiexec(&self, what: &str, package: &Path, more: &[&str]) -> Result<()> {
        let package = wine::windows_path(package)?;
        self.run("msiexec", &[&[what, &package, "/qn"], more].concat()).map(drop)
    }

    /// Site file, port and Python of a new site at `C:\ProgramData\NAME`.
    fn site(
        &self,
        tidegate: &str,
        name: &str,
        timeout: &str,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<(String, u16)> {
        let place = self.drive.join("ProgramData").join(name);
        cache::remove(&place)?;
        fill(&place)?;
        let directory = format!(r"C:\ProgramData\{name}");
        self.run(tidegate, &["init", &directory])?;
        let port = free_port()?;
        adapt(&place.join("tidegate.yaml"), &wine::windows_path(&self.prepared.python)?, port, timeout)?;
        Ok((format!(r"{directory}\tidegate.yaml"), port))
    }
}

pub(super) fn trial(packages: &Path) -> Result<()> {
    let mut prepared = windows::prepare()?;
    // Wine's installer cannot take back what a trial that was cut off has installed by half.
    prepared.wine = prepared.wine.with_new_prefix(PREFIX)?;
    let server = wine::keep_server(&prepared.wine)?;
    // Starts what Wine starts once; its output is cut off, since the end of a pipe to it would never come.
    let mut first = wine::command(&prepared.wine, OsStr::new("cmd"), &["/c".into(), "exit".into()])?;
    process::run(first.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let drive = prepared.wine.prefix()?.join("drive_c");
    let python = prepared.python.parent().context("Python has a directory")?;
    transcript::replace(wine::windows_path(python)?, r"C:\Python313");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_uppercase();
    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    transcript::replace(format!(r"{host}\{user}"), r"HOST\USER");
    for directory in [packages, &cache::directory()?.join("trial/msi")] {
        transcript::replace(format!("{}\\", wine::windows_path(directory)?), "");
    }
    let windows = Windows { prepared, drive, packages };
    by_msi(&windows)?;
    by_files(&windows, "zip", "Zip")?;
    by_files(&windows, "wheel", "Wheel")?;
    drop(server);
    cache::remove(&windows.prepared.wine.prefix()?)
}

/// The whole life of an installation by MSI.
fn by_msi(windows: &Windows<'_>) -> Result<()> {
    const TIDEGATE: &str = r"C:\Program Files\Tidegate\tidegate.exe";
    let program = windows.drive.join("Program Files/Tidegate/tidegate.exe");
    let package = windows.packages.join(msi::file_name(VERSION));
    windows.refuses_a_wrong_site(&package, &program)?;
    windows.msiexec("/i", &package, &[])?;
    ensure!(program.is_file(), "the MSI installed no {}", program.display());
    ensure!(windows.path()?.contains(r"C:\Program Files\Tidegate"), "the MSI put no directory on PATH");
    let (site, port) = windows.site(TIDEGATE, "tidegate-trial", SHORT, flask_site)?;
    let place = windows.drive.join("ProgramData/tidegate-trial");
    let tidegate = |args: &[&str]| windows.run(TIDEGATE, &[&["--config", &site], args].concat());

    tidegate(&["check"])?;
    tidegate(&["service", "install", "--start"])?;
    expect(port, "/", 200, "version 1")?;
    expect(port, "/static/style.css", 200, "teal")?;
    tidegate(&["status"])?;
    expect(port, "/slow", 502, "")?;
    fs::write(place.join("app.py"), FLASK.replace("version 1", "version 2"))?;
    tidegate(&["service", "reload"])?;
    wait_for(port, "/", "version 2")?;
    windows.doctor(TIDEGATE, &site, "Tidegate")?;
    tidegate(&["logs", "--level", "warn", "-n", "3"])?;
    ensure!(windows.drive.join("Program Files/Tidegate/selftest.ps1").is_file(), "the MSI installed no scripts");

    let before = fs::read(place.join("tidegate.yaml"))?;
    let next = msi::make_next(&windows.packages.join(".stage/msi"), &fresh("msi")?)?;
    // Windows tells the old package that this is an upgrade, and it leaves its services alone (UPGRADINGPRODUCTCODE). Wine
    // does not, so they go, and SITE brings them back.
    windows.msiexec("/i", &next, &[&format!("SITE={site}")])?;
    wait_for(port, "/", "version 2")?;
    ensure!(fs::read(place.join("tidegate.yaml"))? == before, "the upgrade changed the site file");

    stops(&tidegate, port)?;
    tidegate(&["service", "start"])?;
    expect(port, "/", 200, "version 2")?;
    django(windows, TIDEGATE, "tidegate-trial-msi", "Django")?;
    // The package removes the services of every site, whatever their names.
    fs::copy(place.join("tidegate.yaml"), place.join("second.yaml"))?;
    let second = r"C:\ProgramData\tidegate-trial\second.yaml";
    windows.run(TIDEGATE, &["--config", second, "service", "install", "--name", "Second"])?;
    windows.msiexec("/x", &next, &[])?;
    ensure!(fetch(port, "/").is_err(), "the site still serves after the removal");
    let directory = windows.drive.join("Program Files/Tidegate");
    ensure!(!directory.exists(), "the removal left {}", directory.display());
    ensure!(!windows.path()?.contains("Tidegate"), "the removal left its directory on PATH");
    let left = windows.quietly("tasklist", &[])?.to_lowercase();
    ensure!(!left.contains("tidegate") && !left.contains("python"), "the removal left processes: {left}");
    windows.has_no_service("Tidegate")?;
    windows.has_no_service("Second")?;
    let kept = |what: &[&str]| what.iter().all(|name| place.join(name).exists());
    ensure!(kept(&["tidegate.yaml", "app.py", ".tidegate/logs"]), "the removal took data away");
    say("removed: no program, no service, no process; the site's files and what was kept for it are there");

    windows.msiexec("/i", &next, &[&format!("SITE={site}")])?;
    wait_for(port, "/", "version 2")?;
    windows.msiexec("/x", &next, &["REMOVEDATA=1"])?;
    windows.has_no_service("Tidegate")?;
    ensure!(!place.join(".tidegate").exists(), "the removal left data, although it was asked not to");
    ensure!(kept(&["tidegate.yaml", "app.py"]), "the removal took the site away");
    say("removed: what was kept for the site as well; its own files are there");
    cache::remove(&place)
}

/// A Django site run by files that are just there: from the zip, or from the wheel.
fn by_files(windows: &Windows<'_>, kind: &str, set: &str) -> Result<()> {
    let place = windows.drive.join(format!("tidegate-{kind}"));
    cache::remove(&place)?;
    let (archive, inside) = match kind {
        "zip" => (format!("tidegate-{VERSION}-windows-x86_64.zip"), format!("tidegate-{VERSION}-windows-x86_64")),
        // What pip does with it: the scripts go to Scripts.
        _ => (format!("tidegate-{VERSION}-py3-none-win_amd64.whl"), format!("tidegate-{VERSION}.data/scripts")),
    };
    let unpack = fresh(kind)?;
    process::run_quietly(
        process::command(python::of_machine()?)
            .args(["-m", "zipfile", "-e"])
            .arg(windows.packages.join(archive))
            .arg(&unpack),
    )?;
    fs::create_dir_all(&place)?;
    fs::rename(unpack.join(inside), place.join("Scripts")).or_else(|_| copy(&unpack, &place.join("Scripts"), kind))?;
    let program = format!(r"C:\tidegate-{kind}\Scripts\tidegate.exe");
    django(windows, &program, &format!("tidegate-trial-{kind}"), set)?;
    cache::remove(&place)
}

/// A stop while a request is under way: it is answered first, and the stop takes no longer than it has to.
fn stops(tidegate: &impl Fn(&[&str]) -> Result<String>, port: u16) -> Result<()> {
    let pause = std::thread::spawn(move || fetch(port, "/pause"));
    // The request is there when its effect on the next one is.
    wait_for(port, "/paused", "yes")?;
    let start = Instant::now();
    tidegate(&["service", "stop"])?;
    ensure!(start.elapsed() < PATIENCE, "the stop took {} s", start.elapsed().as_secs());
    let paused = pause.join().map_err(|_| anyhow::anyhow!("asking for a page panicked"))??;
    ensure!(paused == (200, "paused".to_owned()), "the stop cut a request off: {paused:?}");
    ensure!(fetch(port, "/").is_err(), "the site still serves");
    say("GET /pause, asked for before the stop: 200");
    Ok(())
}

/// A Django project, from `init` to the end of its services.
fn django(windows: &Windows<'_>, program: &str, name: &str, set: &str) -> Result<()> {
    let project = workspace::root()?.join("tests/apps/djangosite");
    let python = wine::windows_path(&windows.prepared.python)?;
    let (site, port) = windows.site(program, name, LONG, |place| {
        copy_tree(&project, place)?;
        let manage = format!(r"C:\ProgramData\{name}\manage.py");
        windows.run(&python, &[&manage, "collectstatic", "--noinput"]).map(drop)
    })?;
    let tidegate = |args: &[&str]| windows.run(program, &[&["--config", &site], args].concat());
    tidegate(&["check"])?;
    tidegate(&["service", "install", "--start", "--name", set])?;
    expect(port, "/admin/login/?next=/admin/", 200, "Django administration")?;
    expect(port, "/static/admin/css/base.css", 200, "body")?;
    windows.doctor(program, &site, set)?;
    tidegate(&["service", "uninstall", "--name", set])?;
    ensure!(fetch(port, "/").is_err(), "the site still serves");
    cache::remove(&windows.drive.join("ProgramData").join(name))
}

/// Where a rename is not possible because cache and drive are on two file systems.
fn copy(from: &Path, to: &Path, kind: &str) -> Result<(), std::io::Error> {
    let inside = fs::read_dir(from)?.next().ok_or_else(|| std::io::Error::other(format!("the {kind} is empty")))??;
    copy_tree(&inside.path(), to).map_err(std::io::Error::other)
}
