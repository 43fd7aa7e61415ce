//! `tidegate logs`: both programs' files merged, chosen among, and followed over rotations.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;

use tidegate_host::{Output, Spawn, Stdin};
use tidegate_tests::Site;
use tidegate_tests::program::{Log, executable};
use tidegate_tests::wait::eventually;

fn site(name: &str, log: &str) -> Site {
    Site::new(name).app("shop", "mirror:app", &[]).set("log", log)
}

/// `tidegate logs ...` that runs until it is dropped.
struct Following {
    log: Log,
    child: tidegate_host::Child,
}

impl Following {
    fn start(config: &Path, arguments: &[&str]) -> Self {
        let mut spawn = Spawn::new(executable("tidegate"));
        let all = ["--config", config.to_str().unwrap(), "logs", "--follow"];
        spawn.arguments = all.iter().chain(arguments).map(|&word| word.into()).collect();
        spawn.environment = vec![("NO_COLOR".into(), "1".into())];
        spawn.stdin = Stdin::Null;
        spawn.output = Output::Capture;
        let mut child = spawn.start().unwrap();
        Self { log: Log::of(child.take_stdout().unwrap()), child }
    }

    async fn end(mut self) {
        self.child.kill().unwrap();
        self.child.wait().await.unwrap();
    }
}

/// Waits until the lines of a request are in a file.
async fn wait_in(path: &Path, text: &str) {
    eventually(&format!("{text} in {}", path.display()), async || {
        std::fs::read_to_string(path).ok()?.contains(text).then_some(())
    })
    .await;
}

fn is_sorted(lines: &[&str]) -> bool {
    // Time stamps are text of one width.
    let stamps: Vec<&str> = lines.iter().filter_map(|line| line.get(..24)).collect();
    stamps.is_sorted()
}

#[tokio::test]
async fn both_programs_are_merged_by_time_and_chosen_among() {
    let running = site("logs merged", "{ to: logs/tidegate.log, level: debug }").start().await;
    for path in ["/first", "/second"] {
        assert_eq!(running.get(path).await.status, 200);
        wait_in(&running.site.path("logs/tidegate-proxy.log"), &format!("GET {path} ")).await;
    }
    let all = running.tidegate(&["logs"]).await;
    assert_eq!(all.code, 0, "{all:?}");
    let lines: Vec<&str> = all.stdout.lines().filter(|line| !line.starts_with("    ")).collect();
    assert!(lines.iter().any(|line| line.contains(" appserver ")), "{all:?}");
    assert!(lines.iter().any(|line| line.contains(" proxy ")), "{all:?}");
    assert!(is_sorted(&lines), "{all:?}");
    // No colour into a pipe, and nothing but lines of the logs.
    assert!(!all.stdout.contains('\x1b'), "{all:?}");

    let access = running.tidegate(&["logs", "access"]).await;
    assert!(access.stdout.lines().all(|line| line.contains(" took=")), "{access:?}");
    assert!(access.stdout.contains("GET /first ") && access.stdout.contains("GET /second "), "{access:?}");

    let last = running.tidegate(&["logs", "access", "-n", "1"]).await;
    assert_eq!(last.stdout.lines().count(), 1, "{last:?}");
    assert!(last.stdout.contains("GET /second "), "{last:?}");

    let app = running.tidegate(&["logs", "shop"]).await;
    assert!(app.stdout.lines().all(|line| line.contains("app=shop") || line.starts_with("    ")), "{app:?}");
    assert!(app.stdout.contains("worker ready"), "{app:?}");

    let bad = running.tidegate(&["logs", "--level", "warn"]).await;
    assert_eq!((bad.code, bad.stdout.contains(" INFO "), bad.stdout.contains(" DEBUG ")), (0, false, false), "{bad:?}");
    let recent = running.tidegate(&["logs", "proxy", "--since", "1h"]).await;
    assert!(recent.stdout.contains("GET /first ") && !recent.stdout.contains(" appserver "), "{recent:?}");

    let json = running.tidegate(&["logs", "--json"]).await;
    for line in json.stdout.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["time", "level", "process", "message"] {
            assert!(object[key].is_string(), "{key}: {line}");
        }
    }
    let unknown = running.tidegate(&["logs", "wiki"]).await;
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("proxy, appserver or access, or an app: shop"), "{unknown:?}");
}

#[tokio::test]
async fn rotated_files_are_followed_and_read_and_can_be_moved_and_deleted_meanwhile() {
    let log = "{ to: logs/tidegate.log, rotate: { size: 1KiB, keep: 1000 }, access: { to: logs/access.log } }";
    let mut running = site("logs follow", log).start().await;
    let path = running.site.path("logs/access.log");
    assert_eq!(running.get("/before").await.status, 200);
    wait_in(&path, "GET /before ").await;
    let following = Following::start(&running.site.config(), &["access"]);
    following.log.wait(&["GET /before "]).await;
    // Some ten lines a file: many rotations, more than one between two looks.
    let mut connection = running.http().await;
    for number in 0..200 {
        assert_eq!(connection.get(&format!("/n{number}")).await.status, 200);
    }
    following.log.wait(&["GET /n199 "]).await;
    let seen = following.log.lines();
    let numbers: Vec<String> = seen
        .iter()
        .filter_map(|line| line.split_once("GET /n")?.1.split_once(' '))
        .map(|(number, _)| number.to_owned())
        .collect();
    assert_eq!(numbers, (0..200).map(|number| number.to_string()).collect::<Vec<_>>(), "each once, in order");
    assert!(tidegate_log_asides(&path) > 5, "it was rotated");

    // Somebody moves it away, and deletes the next one.
    // It is not there while it is set aside.
    eventually("the file is moved", async || std::fs::rename(&path, path.with_extension("moved")).ok()).await;
    let next = eventually("a line in the new file", async || {
        connection.get("/moved").await;
        following.log.find(&["GET /moved "]).into_iter().next_back().filter(|_| path.exists())
    });
    next.await;
    eventually("the file is deleted", async || std::fs::remove_file(&path).ok()).await;
    eventually("a line in the file after that", async || {
        connection.get("/deleted").await;
        let shown = !following.log.find(&["GET /deleted "]).is_empty();
        (shown && path.exists()).then_some(())
    })
    .await;
    following.end().await;

    // What was set aside is read as well, whether much or little of it is asked for.
    let all = running.tidegate(&["logs", "access", "--since", "1h"]).await;
    assert!(all.stdout.contains("GET /n0 ") && all.stdout.contains("GET /n100 "), "{all:?}");
    let some = running.tidegate(&["logs", "access", "-n", "150"]).await;
    assert_eq!(some.stdout.lines().count(), 150);
    running.stop().await;
}

fn tidegate_log_asides(path: &Path) -> usize {
    let name = path.file_name().unwrap().to_str().unwrap();
    let names = std::fs::read_dir(path.parent().unwrap()).unwrap();
    names.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with(&format!("{name}."))).count()
}

#[tokio::test]
async fn a_site_without_a_log_file_is_told_which_key_makes_one() {
    let site = site("logs none", "{ access: off }");
    site.write();
    // A set of services that nobody has installed.
    let finished = site.tidegate(&["logs", "--name", "Nobody"]).await;
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(finished.stderr.contains("standard error") && finished.stderr.contains("log: { to:"), "{finished:?}");
    let finished = site.tidegate(&["logs", "access"]).await;
    assert!(finished.stderr.contains("log.access: off"), "{finished:?}");

    let mut site = site;
    site.change("log", "{ to: logs/tidegate.log, access: { to: stdout } }");
    site.write();
    let finished = site.tidegate(&["logs"]).await;
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(finished.stderr.contains("tidegate-proxy.log") && finished.stderr.contains("next:"), "{finished:?}");
    let finished = site.tidegate(&["logs", "access"]).await;
    assert!(finished.stderr.contains("log.access.to"), "{finished:?}");
}

/// systemd itself is not to be had in a test; what is asked of it, and what becomes of its answers, is.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_systemd_keeps_is_asked_of_the_journal() {
    use std::os::unix::fs::PermissionsExt as _;

    let site = site("logs journal", "{ level: info }")
        .file("bin/systemctl", "#!/bin/sh\necho LoadState=loaded\necho ActiveState=active\necho MainPID=1\n")
        .file(
            "bin/journalctl",
            "#!/bin/sh\necho \"asked $*\" >&2\necho '2026-11-22T17:00:00.000Z INFO  proxy a app=wiki'\n\
             echo '2026-11-22T17:00:01.000Z WARN  appserver b app=shop'\necho '    a stack'\necho '-- cursor: s=1'\n",
        );
    site.write();
    for name in ["bin/systemctl", "bin/journalctl"] {
        std::fs::set_permissions(site.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", site.path("bin").display(), std::env::var("PATH").unwrap());
    let config = site.config().display().to_string();
    let logs = async |more: &[&str]| {
        let all = ["--config", &config, "logs"].into_iter().chain(more.iter().copied());
        tidegate_tests::program::run(executable("tidegate"), all, None, &[("PATH", &path), ("NO_COLOR", "1")]).await
    };
    let all = logs(&[]).await;
    assert_eq!((all.code, all.stdout.lines().count()), (0, 3), "{all:?}");
    assert!(all.stderr.contains("journalctl --unit=tidegate-appserver --unit=tidegate-proxy"), "{all:?}");
    let shop = logs(&["shop", "--level", "warn"]).await;
    assert_eq!(shop.stdout, "2026-11-22T17:00:01.000Z WARN  appserver b app=shop\n    a stack\n", "{shop:?}");
    let followed = logs(&["proxy", "--follow", "-n", "1"]).await;
    assert!(followed.stderr.contains("--follow --after-cursor=s=1"), "{followed:?}");
    assert!(!followed.stderr.contains("tidegate-appserver"), "{followed:?}");
}
