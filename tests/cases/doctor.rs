//! `tidegate doctor`: a healthy site has no problem; a broken one has a finding that says what and what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::net::TcpListener;

use serde_json::Value;
use tidegate_tests::authority::Authority;
use tidegate_tests::program::Finished;
#[cfg(target_os = "linux")]
use tidegate_tests::program::{executable, run};
use tidegate_tests::wait::eventually;
use tidegate_tests::{Site, process};

/// A set of services that nobody has installed.
const NOBODYS: &str = "Nobody";

/// What one look has found.
struct Looked {
    finished: Finished,
    findings: Vec<Value>,
}

impl Looked {
    fn of(finished: Finished) -> Self {
        let json: Value = serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:?}"));
        let findings = json["findings"].as_array().unwrap().clone();
        for finding in &findings {
            let is_good = finding["verdict"] == "ok" || finding["verdict"] == "unknown";
            assert!(is_good || finding["next"].as_str().is_some_and(|next| !next.is_empty()), "{finding}");
        }
        let problems = findings.iter().filter(|finding| finding["verdict"] == "problem").count();
        assert_eq!(json["problems"], problems);
        let unknown = findings.iter().filter(|finding| finding["verdict"] == "unknown").count();
        assert_eq!(json["unknown"], unknown);
        let says_unknown = |finding: &&Value| finding["text"].as_str().unwrap().starts_with("unknown");
        assert_eq!(findings.iter().filter(says_unknown).count(), 0, "{findings:#?}");
        assert_eq!(finished.code != 0, problems > 0, "{finished:?}");
        Self { finished, findings }
    }

    /// Asserts that there is a finding of this verdict and topic with these words in its text, and in its next step.
    fn has(&self, verdict: &str, topic: &str, text: &str, next: &str) {
        let is_it = |finding: &Value| {
            let holds = |key: &str, part: &str| finding[key].as_str().unwrap_or_default().contains(part);
            finding["verdict"] == verdict && finding["topic"] == topic && holds("text", text) && holds("next", next)
        };
        assert!(self.findings.iter().any(is_it), "no {verdict} {topic} {text} {next}: {:#?}", self.findings);
    }

    fn problems(&self) -> Vec<&Value> {
        self.findings.iter().filter(|finding| finding["verdict"] == "problem").collect()
    }
}

async fn doctor(site: &Site, more: &[&str]) -> Looked {
    Looked::of(site.tidegate(&[&["doctor", "--json", "--name", NOBODYS], more].concat()).await)
}

fn site(name: &str) -> Site {
    Site::new(&format!("doctor {name}")).app("shop", "mirror:app", &[])
}

#[tokio::test]
async fn a_healthy_site_has_no_problem_whether_it_runs_or_not() {
    let site = site("healthy");
    site.write();
    let looked = doctor(&site, &[]).await;
    assert!(looked.problems().is_empty(), "{:#?}", looked.findings);
    looked.has("ok", "apps", "imported as ", "");
    looked.has("unknown", "workers", "does not run now", "");
    looked.has("ok", "clock", "it agrees with the file system", "");
    #[cfg(windows)]
    looked.has("ok", "code page", "UTF-8 (65001), as the programs' manifest asks", "");
    // Nothing is left behind in the site's directory.
    let mut left: Vec<_> =
        std::fs::read_dir(site.directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.retain(|name| name != "__pycache__");
    left.sort();
    assert_eq!(left, ["mirror.py", "tidegate.yaml"]);

    let mut running = site.start().await;
    let looked = doctor(&running.site, &[]).await;
    assert!(looked.problems().is_empty(), "{:#?}", looked.findings);
    looked.has("ok", "apps", "the running app server's account", "");
    looked.has("ok", "workers", "shop: 1 run, none had to be replaced", "");
    let people = running.tidegate(&["doctor", "--name", NOBODYS]).await;
    assert_eq!(people.code, 0, "{people:?}");
    assert!(people.stdout.contains("\nno problem"), "{people:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_wrong_site_file_is_a_problem_for_each_wrong_key() {
    let site = site("wrong").set("listeners", "none").set("metrics", "5");
    site.write();
    let looked = doctor(&site, &[]).await;
    assert_eq!(looked.finished.code, 78, "{:?}", looked.finished);
    looked.has("problem", "site file", "listeners", "correct the file");
    looked.has("problem", "site file", "metrics", "correct the file");
}

#[tokio::test]
async fn a_port_that_another_program_has_is_named_with_its_holder() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let site = site("port").set("listeners", &format!("[{{ address: '{address}', protocol: http }}]"));
    site.write();
    let looked = doctor(&site, &["--no-import"]).await;
    looked.has("problem", "listener", &address.to_string(), "another port");
    looked.has("problem", "listener", &format!("process {}", std::process::id()), "stop that program");
}

#[tokio::test]
async fn certificates_and_their_keys_are_looked_at() {
    let authority = Authority::new("doctor");
    let (ours, others) = (authority.server(&["shop.example"]), authority.server(&["shop.example"]));
    let site = site("key")
        .file("tls.pem", &ours.certificate)
        .file("key.pem", &others.key)
        .set("certificates", "[{ certificate: tls.pem, key: key.pem }]");
    site.write();
    let looked = doctor(&site, &["--no-import"]).await;
    looked.has("problem", "certificate", "key", "under `certificates`");

    site.put("tls.pem", authority.old_server(&["shop.example"]).certificate);
    let looked = doctor(&site, &["--no-import"]).await;
    assert!(!looked.problems().is_empty(), "{:#?}", looked.findings);
    let expired = authority.old_server(&["shop.example"]);
    site.put("tls.pem", &expired.certificate);
    site.put("key.pem", &expired.key);
    let looked = doctor(&site, &["--no-import"]).await;
    looked.has("problem", "certificate", "expired", "`tidegate reload`");
}

#[tokio::test]
async fn an_app_that_cannot_be_imported_says_what_is_missing() {
    let site = site("import").file("broken.py", "import no_such_module.deeper\n").app("shop", "broken:app", &[]);
    site.write();
    let looked = doctor(&site, &[]).await;
    looked.has("problem", "apps", "No module named 'no_such_module'", "install no_such_module into");
    looked.has("problem", "apps", "cannot be imported as ", "");
}

#[tokio::test]
async fn an_interpreter_that_is_gone_is_explained() {
    let site = site("python").file("good.py", "def app(environ, start_response):\n    return []\n");
    let gone = site.path("gone");
    let settings = format!("home = {}\n", gone.display());
    let site = site.file(".venv/pyvenv.cfg", settings).app("shop", "good:app", &[("python", "auto")]);
    site.write();
    let looked = doctor(&site, &[]).await;
    looked.has("problem", "apps", "which is not there any more", "make the environment anew");
}

#[tokio::test]
async fn buffers_without_a_place_and_without_room_are_found() {
    let site = site("buffers").file("file", "").set("limits", "{ buffer_dir: file/buffers }");
    site.write();
    let looked = doctor(&site, &["--no-import"]).await;
    looked.has("problem", "buffers", "cannot be written to", "limits.buffer_dir");
    let site = site.set("limits", "{ buffer_disk: 16TiB, buffer_dir: place }");
    site.write();
    let looked = doctor(&site, &["--no-import"]).await;
    looked.has("warning", "disk", "limits.buffer_disk may take 16384.0 GiB", "lower limits.buffer_disk");
}

#[tokio::test]
async fn a_running_site_tells_of_crashes_and_of_code_that_has_become_wrong() {
    let mut running = site("crashed").start().await;
    process::kill(running.workers("shop").await[0].pid);
    running
        .wait_status("the worker is replaced", |status| {
            let app = &status.pool.apps[0];
            app.restarts.iter().any(|(_, count)| *count > 0).then_some(())
        })
        .await;
    running.wait_until_ready().await;
    // What serves goes on; the next start would fail.
    running.site.put("mirror.py", "def broken(:\n");
    let looked = doctor(&running.site, &[]).await;
    looked.has("warning", "workers", "died 1", "tidegate logs shop --level warn");
    looked.has("problem", "apps", "SyntaxError", "last line");

    running.proxy().kill().await;
    running.wait_status("the proxy is missed", |status| status.proxy.is_none().then_some(())).await;
    let looked = doctor(&running.site, &["--no-import"]).await;
    looked.has("problem", "proxy", "nobody can reach the site", "tidegate logs proxy");
    running.appserver().stop().await;
}

#[tokio::test]
async fn busy_threads_waiting_requests_and_those_turned_away_are_found() {
    let site = Site::new("doctor load");
    let settings = [("threads", "1"), ("queue", "{ size: 1, timeout: 60s }")];
    let mut running = site.app("shop", "slow:app", &settings).start().await;
    let shop = [("app", "shop")];
    doctor(&running.site, &["--no-import"]).await.has("ok", "load", "shop: 0 of 1 threads are busy, no request", "");

    let mut first = running.http().await;
    first.request("GET", "/hold/first?gate", &[], b"").await;
    eventually("the only thread is held", async || {
        let top: Value = serde_json::from_str(&running.tidegate(&["top", "--json"]).await.stdout).unwrap();
        let request = &top["workers"][0]["inspection"]["requests"][0];
        (request["at"]["function"] == "path_hold").then_some(())
    })
    .await;
    let mut second = running.http().await;
    second.request("GET", "/hold/second?gate", &[], b"").await;
    running.wait_metric("tidegate_app_queue_depth", &shop, 1.0).await;
    running.get("/quick").await.assert_failure(503, "queue_full");
    running.wait_metric("tidegate_app_failures_total", &[("app", "shop"), ("cause", "queue_full")], 1.0).await;

    let looked = doctor(&running.site, &["--no-import"]).await;
    looked.has("warning", "load", "shop: all threads are busy (1 of 1), 1 request waits for one", "`tidegate top`");
    looked.has("warning", "load", "the oldest: GET /hold/first for ", "`threads.max`");
    looked.has("warning", "load", "failed since the proxy started: queue_full 1", "`tidegate top`");

    running.site.put("gate", "");
    first.response("GET").await.assert_text(200, "first");
    second.response("GET").await.assert_text(200, "second");
    running.stop().await;
}

/// The modes of files are Linux'; on Windows the lists of a file are looked at in `deploy/host`'s own tests.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_secret_that_everybody_can_read_is_found() {
    use std::os::unix::fs::PermissionsExt;

    let pair = Authority::new("doctor").server(&["shop.example"]);
    let site = site("secret")
        .file("tls.pem", &pair.certificate)
        .file("key.pem", &pair.key)
        .file("secrets.env", "PASSWORD=1\n")
        .set("certificates", "[{ certificate: tls.pem, key: key.pem }]")
        .app("shop", "mirror:app", &[("environment_file", "secrets.env")]);
    site.write();
    let mode = |name: &str, mode| std::fs::set_permissions(site.path(name), PermissionsExt::from_mode(mode)).unwrap();
    for (key, secrets, problems) in [(0o644, 0o604, 2), (0o640, 0o600, 0)] {
        mode("key.pem", key);
        mode("secrets.env", secrets);
        let looked = doctor(&site, &["--no-import"]).await;
        assert_eq!(looked.problems().len(), problems, "{:#?}", looked.findings);
        if problems > 0 {
            looked.has("problem", "rights", "key.pem: everybody may read", "chmod o-rwx");
            looked.has("problem", "rights", "secrets.env: everybody may read", "chmod o-rwx");
        }
    }
}

/// Windows has no such limit.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn too_few_open_files_for_the_connections_that_are_allowed_are_found() {
    let site = site("files");
    site.write();
    let tidegate = executable("tidegate").display().to_string();
    let config = site.config().display().to_string();
    let limited = "ulimit -n 1500; exec \"$0\" --config \"$1\" doctor --json --no-import --name Nobody";
    let finished = run("sh", ["-c", limited, &tidegate, &config], None, &[]).await;
    Looked::of(finished).has("warning", "open files", "may open 1500", "LimitNOFILE");
}

/// A systemd that says what a case wants to hear; a real one cannot be had in a test.
#[cfg(target_os = "linux")]
async fn doctor_with_systemd(site: &Site, shown: &str, more: &[&str]) -> Looked {
    use std::os::unix::fs::PermissionsExt;

    site.put("shown", shown);
    site.put("bin/systemctl", "#!/bin/sh\ncat \"$TEST_SHOWN\"\n");
    std::fs::set_permissions(site.path("bin/systemctl"), PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", site.path("bin").display(), std::env::var("PATH").unwrap());
    let config = site.config().display().to_string();
    let all = ["--config", &config, "doctor", "--json"].into_iter().chain(more.iter().copied());
    let shown = site.path("shown").display().to_string();
    let variables = [("PATH", path.as_str()), ("TEST_SHOWN", &shown), ("NO_COLOR", "1")];
    Looked::of(run(executable("tidegate"), all, None, &variables).await)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn units_that_ended_that_are_stopped_and_that_may_do_everything_are_found() {
    let site = site("units");
    site.write();
    let command = format!("ExecStart={{ path=x ; argv[]=x --config {} ; }}", site.config().display());
    let unit = |user: &str, enabled: &str, state: &str, code: u32| {
        format!(
            "LoadState=loaded\nUser={user}\nUnitFileState={enabled}\n{command}\nActiveState={state}\n\
             ExecMainStatus={code}\nMainPID=7\n"
        )
    };
    for (shown, verdict, text, next) in [
        (unit("tidegate", "enabled", "failed", 78), "problem", "the site file was wrong", "tidegate check"),
        (unit("tidegate", "enabled", "failed", 1), "problem", "ended with code 1", "tidegate logs --level warn"),
        (unit("tidegate", "enabled", "inactive", 0), "warning", "is stopped", "tidegate service start"),
        (unit("tidegate", "disabled", "active", 0), "warning", "only when it is asked to", "tidegate service install"),
        (unit("", "enabled", "active", 0), "warning", "runs as root, which may do everything", "an account of its own"),
        (unit("tidegate", "enabled", "active", 0), "ok", "runs as tidegate, process 7", ""),
        (unit("a", "enabled", "active", 0).replace("tidegate.yaml", "b.yaml"), "warning", "another site", "--name"),
    ] {
        let looked = doctor_with_systemd(&site, &shown, &["--no-import"]).await;
        looked.has(verdict, "services", text, next);
    }
    std::fs::create_dir(site.path(".tidegate")).unwrap();
    let looked = doctor_with_systemd(&site, &unit("nobody", "enabled", "inactive", 0), &[]).await;
    if tidegate_host::machine::is_administrator() {
        // Whether that account may read the programs and this Python depends on where they are; that it was asked does not.
        let apps = looked.findings.iter().find(|finding| finding["topic"] == "apps").unwrap();
        assert!(apps["text"].as_str().unwrap().contains("as nobody, the service's account"), "{apps}");
        looked.has("problem", "rights", "nobody may not write to", "chown -R nobody");
        // A Python of one person's own, as an installation for one user is on Windows.
        let base = site.path("of one user");
        std::fs::create_dir(&base).unwrap();
        std::fs::set_permissions(&base, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        site.put("env/bin/python", "");
        site.put("env/pyvenv.cfg", format!("home = {}\n", base.display()));
        let site = site.app("shop", "mirror:app", &[("python", "env")]);
        site.write();
        let looked = doctor_with_systemd(&site, &unit("nobody", "enabled", "inactive", 0), &["--no-import"]).await;
        looked.has("problem", "rights", &format!("nobody may not read {}", base.display()), "");
    } else {
        looked.has("warning", "apps", "nobody was not tried", "root");
    }
}

/// Services are installed by their names, whoever looks at them.
#[cfg(windows)]
#[tokio::test]
async fn services_are_looked_at_and_apps_are_imported_under_their_account() {
    let site = site("services");
    site.write();
    let set = format!("Dr{}", std::process::id());
    let command = async |arguments: &[&str]| site.tidegate(&[arguments, &["--name", &set]].concat()).await;
    let installed = command(&["service", "install", "--start"]).await;
    let running = command(&["doctor", "--json"]).await;
    let logged = command(&["logs"]).await;
    let ended = command(&["service", "stop"]).await;
    let stopped = command(&["doctor", "--json"]).await;
    let removed = command(&["service", "uninstall"]).await;
    assert_eq!([installed.code, ended.code, removed.code], [0; 3], "{installed:?} {ended:?} {removed:?}");
    let (running, stopped) = (Looked::of(running), Looked::of(stopped));
    running.has("ok", "services", &format!("{set}Appserver runs as NT SERVICE\\{set}Appserver"), "");
    running.has("ok", "apps", "the running app server's account", "");
    // Without a word in the site file services log to files, which is where they are looked for.
    assert!(logged.stdout.contains(" proxy ") && logged.stdout.contains(" appserver "), "{logged:?}");
    stopped.has("warning", "services", "is stopped", "tidegate service start");
    stopped.has("ok", "apps", ", the service's account", "");
}
