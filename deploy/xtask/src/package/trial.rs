//! `cargo xtask try-packages`: installs what `package` makes, as an administrator would, and uses it. The Windows
//! packages in Wine with Windows' own Python: a Flask site by the MSI, as services, with an upgrade and a removal; a
//! Django site by the zip; the wheel's programs in a directory like a virtual environment's. The Linux packages: the
//! wheel in a virtual environment, the Debian package's files.
//!
//! Everything is put into directories of the cache and Wine's own drive, and removed again.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::{VERSION, msi};
use crate::progress::Plan;
use crate::windows::{self, Prepared, wine};
use crate::{Arguments, cache, machine, process, python, workspace};

/// How long something that is on its way may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(200);

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut plan = Plan::default();
    add_steps(&mut plan, !arguments.has("--debug"));
    plan.run()
}

/// Adds the verb's steps to a plan; `ci` has them too.
pub(crate) fn add_steps(plan: &mut Plan<'_>, release: bool) {
    plan.step("packages", move || super::make_all(release));
    if windows::possible_here() {
        plan.step("Windows packages, in Wine", windows_packages);
    }
    if cfg!(unix) {
        plan.step("wheel in a virtual environment", wheel);
    }
    if machine::find("dpkg-deb").is_some() {
        plan.step("Debian package", debian);
    }
}

fn package(name: &str) -> Result<PathBuf> {
    Ok(cache::target_directory()?.join("package").join(name))
}

/// An empty directory of the cache.
fn fresh(name: &str) -> Result<PathBuf> {
    let place = cache::directory()?.join("trial").join(name);
    cache::remove(&place)?;
    fs::create_dir_all(&place)?;
    Ok(place)
}

/// A port that nobody uses now.
fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

const FLASK: &str = "\
import time
from flask import Flask

app = Flask(__name__)


@app.get('/')
def home():
    return 'version 1'


@app.get('/slow')
def slow():
    time.sleep(600)
    return 'never'
";

/// A Flask site with a static file.
fn flask_site(place: &Path) -> Result<()> {
    fs::create_dir_all(place.join("static"))?;
    fs::write(place.join("app.py"), FLASK)?;
    fs::write(place.join("static/style.css"), "body { color: teal }\n")?;
    Ok(())
}

/// What `init` wrote, with a port, a Python and a deadline of this trial's.
fn adapt(file: &Path, python: &str, port: u16) -> Result<()> {
    let written = fs::read_to_string(file).with_context(|| format!("init wrote no {}", file.display()))?;
    let mut ours = String::new();
    let replaced = |line: &str| ["python:", "request_timeout:"].iter().any(|key| line.trim_start().starts_with(key));
    for line in written.lines().filter(|line| !replaced(line)) {
        ours.push_str(&line.replace("[::]:8443", &format!("127.0.0.1:{port}")).replace("[::]:8080", "127.0.0.1:0"));
        ours.push('\n');
        if line.trim_start().starts_with("wsgi:") {
            ours.push_str(&format!("    python: '{python}'\n    request_timeout: 1s\n"));
        }
    }
    ours.push_str("metrics: off\n");
    fs::write(file, ours)?;
    Ok(())
}

/// What a URL of the site answers: status and body.
fn fetch(port: u16, path: &str) -> Result<(u16, String)> {
    let out = process::output(process::command("curl").args([
        "--silent",
        "--insecure",
        "--max-time",
        "30",
        "--write-out",
        "\n%{http_code}",
        &format!("https://127.0.0.1:{port}{path}"),
    ]))?;
    let (body, status) = out.rsplit_once('\n').context("curl wrote no status")?;
    Ok((status.parse()?, body.to_owned()))
}

fn expect(port: u16, path: &str, status: u16, text: &str) -> Result<()> {
    let (found, body) = fetch(port, path)?;
    ensure!(found == status && body.contains(text), "GET {path}: {found} {body:?}, expected {status} with {text:?}");
    println!("      GET {path}: {found}");
    Ok(())
}

/// Waits until a page says something else than before.
fn wait_for(port: u16, path: &str, text: &str) -> Result<()> {
    let start = Instant::now();
    while !fetch(port, path).is_ok_and(|(status, body)| status == 200 && body.contains(text)) {
        ensure!(start.elapsed() < PATIENCE, "{path} does not say {text:?}");
        std::thread::sleep(LOOK);
    }
    println!("      GET {path}: {text:?}");
    Ok(())
}

/// Wine, and the drive C: in it.
struct Windows {
    prepared: Prepared,
    drive: PathBuf,
}

impl Windows {
    /// Runs a program, shows what it says, and gives it back.
    fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        println!("      > {program} {}", args.join(" "));
        let args: Vec<_> = args.iter().map(Into::into).collect();
        let said = process::output(&mut wine::command(&self.prepared.wine, OsStr::new(program), &args)?)?;
        for line in said.lines() {
            println!("      | {}", line.trim_end());
        }
        Ok(said)
    }

    /// `tidegate doctor` of a site that serves. It may find problems with rights alone: Wine keeps no access lists.
    fn doctor(&self, tidegate: &str, site: &str, set: &str) -> Result<()> {
        println!("      > {tidegate} doctor");
        let args = ["--config", site, "doctor", "--name", set].map(Into::into);
        let output = wine::command(&self.prepared.wine, OsStr::new(tidegate), &args)?.output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        for line in said.lines() {
            println!("      | {}", line.trim_end());
        }
        let is_wrong = |line: &&str| line.starts_with("problem ") && !line.starts_with("problem rights ");
        ensure!(said.contains("ok      apps"), "tidegate doctor did not come to the end");
        ensure!(!said.lines().any(|line| is_wrong(&line)), "tidegate doctor found a problem");
        Ok(())
    }

    /// A trial that was cut off leaves an installation behind.
    fn remove_leftovers(&self) -> Result<()> {
        for version in [msi::NEXT, VERSION] {
            let code = msi::product_code(version).into();
            let args = ["/x".into(), code, "/qn".into()];
            // Mostly there is none, which is an error to the installer.
            wine::command(&self.prepared.wine, OsStr::new("msiexec"), &args)?.stdout(Stdio::null()).status()?;
        }
        Ok(())
    }

    fn msiexec(&self, what: &str, package: &Path, more: &[&str]) -> Result<()> {
        let package = wine::windows_path(package)?;
        self.run("msiexec", &[&[what, &package, "/qn"], more].concat()).map(drop)
    }

    /// Site file, port and Python of a new site at `C:\ProgramData\NAME`.
    fn site(&self, tidegate: &str, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<(String, u16)> {
        let place = self.drive.join("ProgramData").join(name);
        cache::remove(&place)?;
        fill(&place)?;
        let directory = format!(r"C:\ProgramData\{name}");
        self.run(tidegate, &["init", &directory])?;
        let port = free_port()?;
        adapt(&place.join("tidegate.yaml"), &wine::windows_path(&self.prepared.python)?, port)?;
        Ok((format!(r"{directory}\tidegate.yaml"), port))
    }
}

fn windows_packages() -> Result<()> {
    let prepared = windows::prepare()?;
    let _server = wine::keep_server(&prepared.wine)?;
    // Starts what Wine starts once; its output is cut off, since the end of a pipe to it would never come.
    let mut first = wine::command(&prepared.wine, OsStr::new("cmd"), &["/c".into(), "exit".into()])?;
    process::run(first.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let drive = cache::directory()?.join("wine/prefix/drive_c");
    let windows = Windows { prepared, drive };
    by_msi(&windows)?;
    by_files(&windows, "zip", "Zip")?;
    by_files(&windows, "wheel", "Wheel")
}

/// The whole life of an installation by MSI.
fn by_msi(windows: &Windows) -> Result<()> {
    const TIDEGATE: &str = r"C:\Program Files\Tidegate\tidegate.exe";
    let program = windows.drive.join("Program Files/Tidegate/tidegate.exe");
    windows.remove_leftovers()?;
    windows.msiexec("/i", &package(&msi::file_name(VERSION))?, &[])?;
    ensure!(program.is_file(), "the MSI installed no {}", program.display());
    let (site, port) = windows.site(TIDEGATE, "tidegate-trial", flask_site)?;
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
    let next = msi::make_next(&package(".stage/msi")?, &fresh("msi")?)?;
    // Windows tells the old package that this is an upgrade, and it leaves its services alone (UPGRADINGPRODUCTCODE). Wine
    // does not, so they go, and SITE brings them back.
    windows.msiexec("/i", &next, &[&format!("SITE={site}")])?;
    wait_for(port, "/", "version 2")?;
    ensure!(fs::read(place.join("tidegate.yaml"))? == before, "the upgrade changed the site file");

    tidegate(&["service", "stop"])?;
    ensure!(fetch(port, "/").is_err(), "the site still serves");
    tidegate(&["service", "start"])?;
    expect(port, "/", 200, "version 2")?;
    windows.msiexec("/x", &next, &[])?;
    ensure!(fetch(port, "/").is_err(), "the site still serves after the removal");
    ensure!(!program.exists(), "the removal left {}", program.display());
    for service in ["TidegateProxy", "TidegateAppserver"] {
        ensure!(windows.run("sc", &["query", service]).is_err(), "the removal left the service {service}");
    }
    ensure!(place.join("tidegate.yaml").is_file() && place.join("app.py").is_file(), "the removal took data away");
    println!("      removed: no program, no service; the site's files are there");
    cache::remove(&place)
}

/// A Django site run by files that are just there: from the zip, or from the wheel.
fn by_files(windows: &Windows, kind: &str, set: &str) -> Result<()> {
    let place = windows.drive.join(format!("tidegate-{kind}"));
    cache::remove(&place)?;
    let (archive, inside) = match kind {
        "zip" => (format!("tidegate-{VERSION}-windows-x86_64.zip"), format!("tidegate-{VERSION}-windows-x86_64")),
        // What pip does with it: the scripts go to Scripts.
        _ => (format!("tidegate-{VERSION}-py3-none-win_amd64.whl"), format!("tidegate-{VERSION}.data/scripts")),
    };
    let unpack = fresh(kind)?;
    process::run_quietly(
        process::command(python::of_machine()?).args(["-m", "zipfile", "-e"]).arg(package(&archive)?).arg(&unpack),
    )?;
    fs::create_dir_all(&place)?;
    fs::rename(unpack.join(inside), place.join("Scripts")).or_else(|_| copy(&unpack, &place.join("Scripts"), kind))?;
    let program = format!(r"C:\tidegate-{kind}\Scripts\tidegate.exe");
    let name = format!("tidegate-trial-{kind}");
    let django = workspace::root()?.join("tests/apps/djangosite");
    let (site, port) = windows.site(&program, &name, |place| copy_tree(&django, place))?;
    let tidegate = |args: &[&str]| windows.run(&program, &[&["--config", &site], args].concat());
    tidegate(&["check"])?;
    tidegate(&["service", "install", "--start", "--name", set])?;
    expect(port, "/admin/login/?next=/admin/", 200, "Django administration")?;
    windows.doctor(&program, &site, set)?;
    tidegate(&["service", "uninstall", "--name", set])?;
    ensure!(fetch(port, "/").is_err(), "the site still serves");
    cache::remove(&windows.drive.join("ProgramData").join(&name))?;
    cache::remove(&place)
}

/// Where a rename is not possible because cache and drive are on two file systems.
fn copy(from: &Path, to: &Path, kind: &str) -> Result<(), std::io::Error> {
    let inside = fs::read_dir(from)?.next().ok_or_else(|| std::io::Error::other(format!("the {kind} is empty")))??;
    copy_tree(&inside.path(), to).map_err(std::io::Error::other)
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// `pip install`, then the commands in the virtual environment.
fn wheel() -> Result<()> {
    let place = fresh("venv")?;
    let venv = place.join("venv");
    // With the packages of the tests' environment, Flask among them.
    let tests = python::for_tests()?;
    process::run_quietly(process::command(&tests).args(["-m", "venv"]).arg(&venv))?;
    let wheel = fs::read_dir(package("")?)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.to_string_lossy().contains("manylinux"))
        .context("there is no wheel for this system")?;
    process::run_quietly(
        process::command(venv.join("bin/pip")).args(["install", "--quiet", "--no-index"]).arg(&wheel),
    )?;
    serves(&place, &venv.join("bin/tidegate"), &tests)
}

/// The package's files where dpkg would put them, below a directory.
fn debian() -> Result<()> {
    let place = fresh("deb")?;
    let root = place.join("root");
    process::run_quietly(
        process::command("dpkg-deb").arg("-x").arg(package(&format!("tidegate_{VERSION}_amd64.deb"))?).arg(&root),
    )?;
    serves(&place, &root.join("usr/bin/tidegate"), &python::for_tests()?)
}

/// `init`, `check`, `up`, a page, and the end.
fn serves(place: &Path, tidegate: &Path, python: &Path) -> Result<()> {
    let directory = place.join("site");
    flask_site(&directory)?;
    process::run_quietly(process::command(tidegate).arg("init").arg(&directory))?;
    let (file, port) = (directory.join("tidegate.yaml"), free_port()?);
    adapt(&file, python.to_str().context("the path of Python is not valid Unicode")?, port)?;
    process::run_quietly(process::command(tidegate).arg("--config").arg(&file).arg("check"))?;
    let mut up = process::command(tidegate)
        .arg("--config")
        .arg(&file)
        .args(["up", "--quiet"])
        .stderr(Stdio::null())
        .spawn()
        .context("failed to start `tidegate up`")?;
    let served = wait_for(port, "/", "version 1").and_then(|()| expect(port, "/static/style.css", 200, "teal"));
    // The pair goes with the command that started it.
    up.kill()?;
    up.wait()?;
    served?;
    let start = Instant::now();
    while fetch(port, "/").is_ok() {
        if start.elapsed() > PATIENCE {
            bail!("the site still serves after its end");
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}
