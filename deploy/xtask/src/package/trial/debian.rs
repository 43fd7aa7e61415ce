//! The Debian package, in a copy of this system (an overlay in memory) in which systemd is the first process: installed,
//! its services started, upgraded while clients ask, and removed, all by dpkg. Takes root's rights; where systemd cannot be
//! started, its files alone are used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{LONG, LOOK, PATIENCE, adapt, flask_site, fresh, linux};
use crate::measure::load::Users;
use crate::package::{VERSION, debian};
use crate::{cache, machine, process, python, workspace};
use anyhow::{Context as _, Result, bail, ensure};

const BOOT: &str = include_str!("boot.sh");
const SITE: &str = "/srv/trial";
/// A port that only root may bind, in a network of the trial's own.
const PORT: u16 = 443;
const UNITS: [&str; 3] = ["tidegate-appserver.service", "tidegate-proxy.service", "tidegate-proxy.socket"];
/// Those of the first two.
const ACCOUNTS: [&str; 2] = ["tidegate", "tidegate-proxy"];
/// How long the users of an upgrade go on.
const LOAD: Duration = Duration::from_secs(20);

/// Runs the trial.
pub(super) fn trial(packages: &Path) -> Result<()> {
    let place = fresh("deb")?;
    let deb = packages.join(format!("tidegate_{VERSION}_amd64.deb"));
    let tools = ["unshare", "nsenter", "pivot_root", "systemd-analyze", "curl", "openssl"];
    if !may_boot() || tools.iter().any(|tool| machine::find(tool).is_none()) {
        println!("      no root, systemd or cgroups: only the package's files are tried");
        let root = place.join("root");
        process::run_quietly(process::command("dpkg-deb").arg("-x").arg(&deb).arg(&root))?;
        return linux::serves(&place, &root.join("usr/bin/tidegate"), &python::for_tests()?);
    }
    let python = python::for_tests()?;
    let load = load_program()?;
    let next = debian::make_next(&packages.join(".stage/deb"), &place)?;
    let system = System::boot(&place)?;
    installed(&system, &deb, &python)?;
    upgraded(&system, &next, &load)?;
    proxy_first(&system)?;
    account_kept(&system)?;
    removed(&system)?;
    println!("      removed: no program, no unit, no process; the site's files are there");
    Ok(())
}

/// Whether this process may make namespaces and control groups.
fn may_boot() -> bool {
    let try_namespaces = ["--mount", "--pid", "--fork", "--net", "--cgroup", "true"];
    let groups = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
    let Some(groups) = groups.into_iter().find(|groups| groups.join("cgroup.procs").exists()) else { return false };
    let own = groups.join(format!("tidegate-try-{}", std::process::id()));
    Path::new("/lib/systemd/systemd").exists()
        && process::run_quietly(process::command("unshare").args(try_namespaces)).is_ok()
        && fs::create_dir(&own).and_then(|()| fs::remove_dir(&own)).is_ok()
}

/// The load generator, which no package holds.
fn load_program() -> Result<PathBuf> {
    process::run(workspace::cargo()?.args(["build", "--locked"]).args(workspace::PROGRAMS))?;
    Ok(workspace::programs_directory(false)?.join("tidegate-load"))
}

/// The system that was started; ended when this is dropped.
struct System {
    outer: Child,
    init: u32,
    name: String,
}

impl System {
    fn boot(place: &Path) -> Result<Self> {
        let name = format!("tidegate-trial-{}", std::process::id());
        let script = place.join("boot.sh");
        fs::write(&script, BOOT)?;
        let memory = place.join("memory");
        fs::create_dir_all(&memory)?;
        let mut boot = process::command("sh");
        boot.arg(&script).arg("outer").arg(&name).arg(&memory);
        boot.arg(cache::directory()?).arg(cache::target_directory()?).stdout(Stdio::null());
        let outer = boot.spawn().context("failed to start the system of the trial")?;
        let mut system = Self { outer, init: 0, name };
        let children = format!("/proc/{0}/task/{0}/children", system.outer.id());
        system.wait("systemd", |system| {
            let child = fs::read_to_string(&children).ok()?;
            system.init = child.split_ascii_whitespace().next()?.parse().ok()?;
            let name = fs::read_to_string(format!("/proc/{}/comm", system.init)).ok()?;
            (name.trim() == "systemd" && system.quietly("systemctl", &["is-active", "trial.target"]).is_ok())
                .then_some(())
        })?;
        Ok(system)
    }

    fn wait<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> Result<T> {
        let start = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            ensure!(start.elapsed() < PATIENCE, "has not happened in time: {what}");
            ensure!(self.outer.try_wait()?.is_none(), "the system of the trial has ended");
            std::thread::sleep(LOOK);
        }
    }

    /// A command in it.
    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = process::command("nsenter");
        command.args(["--all", "--root", "--wd", "--target", &self.init.to_string(), "--", program]).args(args);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("NO_COLOR", "1");
        command
    }

    fn quietly(&self, program: &str, args: &[&str]) -> Result<String> {
        process::output(&mut self.command(program, args))
    }

    /// The same, shown.
    fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        println!("      # {program} {}", args.join(" "));
        let said = self.quietly(program, args)?;
        for line in said.lines() {
            println!("      | {}", line.trim_end());
        }
        Ok(said)
    }

    fn page(&self, path: &str) -> Result<String> {
        let url = format!("https://127.0.0.1:{PORT}{path}");
        self.quietly("curl", &["--silent", "--show-error", "--fail", "--insecure", "--max-time", "30", &url])
    }

    /// A file in it.
    fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    fn process(&self, unit: &str) -> Result<String> {
        self.quietly("systemctl", &["show", "--property=MainPID", "--value", unit])
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // Its first process goes with it, and with that one all others. Nothing can be done about what stays behind.
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        let start = Instant::now();
        while Path::new(&format!("/proc/{}", self.init)).exists() && start.elapsed() < PATIENCE {
            std::thread::sleep(LOOK);
        }
        for cgroups in ["", "unified/", "systemd/"] {
            let own = format!("/sys/fs/cgroup/{cgroups}{}", self.name);
            let _ = process::run_quietly(
                process::command("find").args([&own, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]),
            );
        }
    }
}

fn installed(system: &System, deb: &Path, python: &Path) -> Result<()> {
    system.run("dpkg", &["--install", &deb.to_string_lossy()])?;
    flask_site(&system.path(SITE))?;
    system.run("tidegate", &["init", SITE])?;
    let file = format!("{SITE}/tidegate.yaml");
    adapt(&system.path(&file), &python.to_string_lossy(), PORT, LONG)?;
    let adapted = fs::read_to_string(system.path(&file))?;
    let more = "log: { to: .tidegate/logs/trial.log }\ncertificates: [{ certificate: shop.pem, key: shop.key }]\n";
    fs::write(system.path(&file), adapted + more)?;
    let [key, certificate] = ["shop.key", "shop.pem"].map(|name| format!("{SITE}/{name}"));
    let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
    let made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=trial"];
    system.quietly("openssl", &[&made[..], &["-addext", names, "-keyout", &key, "-out", &certificate]].concat())?;
    // As certbot leaves it.
    system.quietly("chmod", &["0600", &key])?;
    system.run("tidegate", &["--config", &file, "check"])?;
    system.run("tidegate", &["--config", &file, "service", "install", "--start"])?;
    let units: Vec<String> = UNITS.iter().map(|unit| format!("/etc/systemd/system/{unit}")).collect();
    for unit in &units {
        system.quietly("systemd-analyze", &["verify", unit])?;
    }
    system.run("systemctl", &[&["is-active"], &UNITS[..]].concat())?;
    let page = system.page("/")?;
    ensure!(page.contains("version 1"), "the page says {page:?}");
    let style = system.page("/static/style.css")?;
    ensure!(style.contains("teal"), "the file says {style:?}");
    let pid = system.process(UNITS[1])?;
    let status = system.quietly("cat", &[&format!("/proc/{}/status", pid.trim())])?;
    let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim).unwrap_or_default();
    ensure!(value("CapEff:") == "0000000000000000", "the proxy has capabilities: {}", value("CapEff:"));
    ensure!(!value("Uid:").starts_with('0'), "the proxy is root's");
    println!(
        "      port {PORT} is served by a process without capabilities, of user {}",
        value("Uid:").split('\t').next().unwrap_or_default()
    );
    two_accounts(system)?;
    let doctor = system.quietly("tidegate", &["--config", &file, "doctor"]);
    let doctor = doctor.context("`tidegate doctor` finds a problem")?;
    ensure!(!doctor.contains("may not"), "{doctor}");
    for unit in &UNITS[..2] {
        system.run("systemctl", &["reload", unit])?;
    }
    Ok(())
}

/// What apps' code cannot do, because the proxy is another user's.
fn two_accounts(system: &System) -> Result<()> {
    let status = system.run("tidegate", &["service", "status"])?;
    for (unit, account) in UNITS.iter().zip(ACCOUNTS) {
        let user = system.quietly("ps", &["-o", "user:32=", "-p", system.process(unit)?.trim()])?;
        ensure!(user.trim() == account, "{unit} is {user}'s");
        ensure!(
            status.lines().any(|line| line.split_whitespace().any(|word| word == account)),
            "no {account}: {status}"
        );
    }
    let key = system.page("/key")?;
    ensure!(key == "PermissionError", "the app opens the private key: {key}");
    let proxy = system.process(UNITS[1])?;
    let file = format!("{SITE}/tidegate.yaml");
    for (what, command) in [
        ("stops the proxy", &["kill", "-0", proxy.trim()][..]),
        ("gives orders", &["tidegate", "--config", &file, "reload"]),
    ] {
        let tried = system.quietly("runuser", &[&["-u", ACCOUNTS[0], "--"], command].concat());
        ensure!(tried.is_err(), "the apps' account {what}");
    }
    println!("      apps are {}'s, the proxy is {}'s: no key, no signal, no orders for them", ACCOUNTS[0], ACCOUNTS[1]);
    Ok(())
}

/// Makes the installation what a version that knew one account left, and runs it so.
fn as_one_account(system: &System) -> Result<()> {
    let units = system.path("/etc/systemd/system");
    let server = fs::read_to_string(units.join(UNITS[0]))?;
    let directory: String =
        server.lines().filter(|line| line.starts_with("RuntimeDirectory")).map(|line| format!("{line}\n")).collect();
    for unit in &UNITS[..2] {
        let mut written = fs::read_to_string(units.join(unit))?;
        if !written.contains("RuntimeDirectory=") {
            written = written.replace("NoNewPrivileges=", &format!("{directory}NoNewPrivileges="));
        }
        for (now, then) in [
            (format!("User={}\n", ACCOUNTS[1]), format!("User={}\n", ACCOUNTS[0])),
            (format!("SupplementaryGroups={}\n", ACCOUNTS[0]), String::new()),
            (format!(" \"--trust\" \"{}\"", ACCOUNTS[0]), String::new()),
            (format!(" \"--trust\" \"{}\"", ACCOUNTS[1]), String::new()),
            ("ExecReload=+".to_owned(), "ExecReload=".to_owned()),
            ("RuntimeDirectoryMode=0750".to_owned(), "RuntimeDirectoryMode=0700".to_owned()),
            // As an older version would have written it.
            ("UMask=0027\n".to_owned(), "UMask=0077\n".to_owned()),
        ] {
            written = written.replace(&now, &then);
        }
        ensure!(written.contains("User=tidegate\n") && !written.contains("--trust"), "{written}");
        fs::write(units.join(unit), written)?;
    }
    let [state, key] = [".tidegate", "shop.key"].map(|name| format!("{SITE}/{name}"));
    system.quietly("chown", &[&format!("{0}:{0}", ACCOUNTS[0]), &key])?;
    system.quietly("chmod", &["0400", &key])?;
    system.quietly("chown", &["-R", &format!("{0}:{0}", ACCOUNTS[0]), &state])?;
    system.quietly("find", &[&state, "-type", "d", "-exec", "chmod", "0700", "{}", "+"])?;
    system.quietly("systemctl", &["daemon-reload"])?;
    system.run("systemctl", &["restart", "tidegate.target"])?;
    let key = system.page("/key")?;
    ensure!(key == "read", "under one account the app opens the private key: {key}");
    Ok(())
}

fn upgraded(system: &System, next: &Path, load: &Path) -> Result<()> {
    let units = system.path("/etc/systemd/system");
    let unit = |name: &str| fs::read_to_string(units.join(name)).with_context(|| format!("there is no {name}"));
    let written = [unit(UNITS[0])?, unit(UNITS[1])?];
    as_one_account(system)?;
    let before = [system.process(UNITS[0])?, system.process(UNITS[1])?];
    let mut users = Vec::new();
    for more in [&[][..], &["--close"]] {
        let url = format!("https://127.0.0.1:{PORT}/");
        let hold = LOAD.as_secs().to_string();
        let args = ["--json", "--users", "8", "--think", "10", "--hold", &hold, "--url", &url];
        let mut command = system.command(&load.to_string_lossy(), &[&args, more].concat());
        users.push(command.stdout(Stdio::piped()).spawn().context("failed to start tidegate-load")?);
    }
    let site = system.path(SITE);
    fs::write(site.join("app.py"), super::FLASK.replace("version 1", "version 2"))?;
    system.run("dpkg", &["--install", &next.to_string_lossy()])?;
    for (name, written) in UNITS.iter().zip(written) {
        let upgraded = unit(name)?;
        ensure!(upgraded == written, "the upgrade wrote this {name}:\n{upgraded}\nin place of\n{written}");
    }
    ensure!(
        users.iter_mut().all(|user| user.try_wait().is_ok_and(|end| end.is_none())),
        "the load ended before the upgrade"
    );
    let page = system.page("/")?;
    ensure!(page.contains("version 2"), "after the upgrade the page says {page:?}");
    let after = [system.process(UNITS[0])?, system.process(UNITS[1])?];
    ensure!(before[0] != after[0] && before[1] != after[1], "the upgrade did not restart both services");
    two_accounts(system)?;
    for user in users {
        let users = Users::of(user)?;
        let [good, failed, connections, longest] =
            [users.figure("good")?, users.figure("failed")?, users.figure("connections")?, users.figure("max_ms")?];
        ensure!(
            failed == 0.0 && good > 100.0,
            "users during the upgrade: {good} good requests, {failed} failed: {}",
            users.errors()
        );
        println!(
            "      users during the upgrade: {good} requests over {connections} connections, none failed, the longest {longest} ms"
        );
    }
    Ok(())
}

/// The app server makes the directory in which the two meet; the proxy waits for it.
fn proxy_first(system: &System) -> Result<()> {
    let file = format!("{SITE}/tidegate.yaml");
    system.run("tidegate", &["--config", &file, "service", "stop"])?;
    system.quietly("sh", &["-c", "rm -r /run/tidegate-*"])?;
    system.run("systemctl", &["start", UNITS[2], UNITS[1]])?;
    ensure!(system.page("/static/style.css")?.contains("teal"), "the proxy alone serves no files");
    let said = system.quietly("tidegate", &["--config", &file, "logs", "proxy", "--level", "warn"])?;
    ensure!(
        said.contains("no app server") && said.contains("-control.sock"),
        "the proxy does not say what it waits for: {said}"
    );
    system.run("systemctl", &["start", UNITS[0]])?;
    ensure!(system.page("/")?.contains("version"), "the proxy has not found the app server");
    Ok(())
}

/// An account for both is kept if it was chosen, or if the proxy's own could not serve the site.
fn account_kept(system: &System) -> Result<()> {
    let file = format!("{SITE}/tidegate.yaml");
    let install = |more: &[&str]| system.run("tidegate", &[&["--config", &file, "service", "install"], more].concat());
    let proxy = |expected: &str| -> Result<()> {
        let unit = fs::read_to_string(system.path("/etc/systemd/system").join(UNITS[1]))?;
        ensure!(unit.contains(&format!("User={expected}\n")), "expected {expected}: {unit}");
        Ok(())
    };
    install(&["--account", ACCOUNTS[0]])?;
    system.quietly("tidegate", &["service", "install", "--all"])?;
    proxy(ACCOUNTS[0])?;
    install(&[])?;
    proxy(ACCOUNTS[0])?;
    install(&["--account", "default"])?;
    proxy(ACCOUNTS[1])?;
    as_one_account(system)?;
    let files = format!("{SITE}/static");
    for (owner, mode, expected) in [(ACCOUNTS[0], "0700", ACCOUNTS[0]), ("root", "0755", ACCOUNTS[1])] {
        system.quietly("chown", &["-R", owner, &files])?;
        system.quietly("chmod", &[mode, &files])?;
        install(if mode == "0700" { &[] } else { &["--account", "default"] })?;
        proxy(expected)?;
    }
    system.run("systemctl", &["restart", "tidegate.target"])?;
    two_accounts(system)
}

fn removed(system: &System) -> Result<()> {
    system.run("dpkg", &["--remove", "tidegate"])?;
    if system.page("/").is_ok() {
        bail!("the site still serves after the removal");
    }
    for path in ["/usr/lib/tidegate", "/usr/bin/tidegate", "/etc/systemd/system/tidegate.target"] {
        ensure!(!system.path(path).exists(), "the removal left {path}");
    }
    for unit in UNITS {
        ensure!(!system.path("/etc/systemd/system").join(unit).exists(), "the removal left {unit}");
    }
    let left = system.quietly("sh", &["-c", "cat /proc/[0-9]*/comm"])?;
    ensure!(!left.contains("tidegate") && !left.contains("python"), "the removal left processes: {left}");
    ensure!(system.path(SITE).join("tidegate.yaml").is_file(), "the removal took data away");
    Ok(())
}
