//! The access log and the programs' own: what a line says, where it goes, and what becomes of full, old, moved and
//! unwritable files.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tidegate_tests::program::{executable, run};
use tidegate_tests::wait::eventually;
use tidegate_tests::{Running, Site};

fn site(name: &str, access: &str) -> Site {
    Site::new(name).app("shop", "mirror:app", &[]).set("log", &format!("{{ level: debug, access: {access} }}"))
}

/// Lines of a log file, or none while it is not there.
fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // What comes after the last line feed is a line that is being written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(str::to_owned).collect()
}

/// The file, and what was set aside of it, in their order.
fn with_archive(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let entries = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let mut aside: Vec<PathBuf> = entries
        .filter(|path| {
            path.file_name().unwrap().to_str().unwrap().strip_prefix(name).is_some_and(|rest| !rest.is_empty())
        })
        .collect();
    aside.sort();
    aside.push(path.to_owned());
    aside
}

async fn wait_lines(path: &Path, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines in {}", path.display()), async || {
        let found = lines(path);
        (found.len() >= count).then_some(found)
    })
    .await
}

#[tokio::test]
async fn combined_lines_are_what_log_analysers_read() {
    let access = "{ to: logs/access.log, format: combined, redact: { query: [token], headers: [user-agent] } }";
    let running = site("combined", access).start().await;
    let path = running.site.path("logs/access.log");
    let mut connection = running.http().await;
    let headers = [("Referer", "https://a.example/?token=secret&q=1\""), ("User-Agent", "hidden")];
    connection.request("GET", "/page?a=1&token=secret&b=2", &headers, b"").await;
    let sent = connection.response("GET").await.body.len();
    let line = wait_lines(&path, 1).await.remove(0);
    let (before, rest) = line.split_once(" [").unwrap();
    let (time, after) = rest.split_once("] ").unwrap();
    assert_eq!(before, "127.0.0.1 - -");
    assert_eq!((time.len(), &time[time.len() - 6..], &time[2..3]), (26, " +0000", "/"), "{time}");
    assert_eq!(
        after,
        format!(
            "\"GET /page?a=1&token=redacted&b=2 HTTP/1.1\" 200 {sent} \
             \"https://a.example/?token=redacted&q=1\\\"\" \"-\""
        )
    );
    let mut http2 = running.http2().await;
    assert_eq!(http2.get("/two").await.status, 200);
    assert!(wait_lines(&path, 2).await[1].contains("\"GET /two HTTP/2.0\" 200 "));
}

#[tokio::test]
async fn lines_on_standard_output_show_the_headers_asked_for() {
    let access = "{ to: stdout, format: json, headers: [accept-language, cookie], redact: { headers: [cookie] } }";
    let mut running = site("stdout", access).start().await;
    let mut connection = running.http().await;
    connection.request("GET", "/page", &[("Accept-Language", "de"), ("Cookie", "session=1")], b"").await;
    connection.response("GET").await;
    let line = running.proxy().stdout.wait(&["/page"]).await;
    let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(parsed["headers"], serde_json::json!({"accept-language": "de", "cookie": "redacted"}));
    assert_eq!(running.proxy().log.find(&["/page", "200"]), [""; 0]);
}

#[tokio::test]
async fn a_full_file_is_set_aside_and_no_line_is_lost() {
    let access = "{ to: logs/access.log, format: combined, rotate: { size: 2KiB, keep: 1000 } }";
    let mut running = site("rotation", access).start().await;
    let path = running.site.path("logs/access.log");
    let mut connection = running.http().await;
    for number in 0..300 {
        assert_eq!(connection.get(&format!("/page/{number}")).await.status, 200);
        // Somebody reads the log meanwhile, as a log shipper does.
        if number % 50 == 0 {
            let _reader = std::fs::File::open(&path);
            connection.get("/read").await;
        }
    }
    running.proxy().stop().await;
    let files = with_archive(&path);
    assert!(files.len() > 5, "{files:?}");
    for file in &files {
        assert!(std::fs::metadata(file).unwrap().len() <= 2048, "{}", file.display());
    }
    let all: Vec<String> = files.iter().flat_map(|file| lines(file)).filter(|line| line.contains("/page/")).collect();
    let expected: Vec<String> = (0..300).map(|number| format!("\"GET /page/{number} HTTP/1.1\"")).collect();
    assert_eq!(all.len(), expected.len());
    assert!(all.iter().zip(&expected).all(|(line, part)| line.contains(part)), "{all:?}");
}

#[tokio::test]
async fn as_many_files_are_kept_as_said_and_rotations_are_counted() {
    let access = "{ to: logs/access.log, rotate: { size: 1KiB, keep: 2, compress: on } }";
    let running = site("keep", access).start().await;
    let path = running.site.path("logs/access.log");
    let mut connection = running.http().await;
    eventually("a third rotation", async || {
        for _ in 0..10 {
            connection.get("/page").await;
        }
        (running.metric("tidegate_log_rotations_total", &[("log", "access")]).await >= 3.0).then_some(())
    })
    .await;
    eventually("two compressed files are left", async || {
        let files = with_archive(&path);
        let compressed = files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "gz")).count();
        (compressed == 2 && files.len() == 3).then_some(())
    })
    .await;
    assert_eq!(running.metric("tidegate_log_failed_total", &[("log", "access")]).await, 0.0);
}

#[tokio::test]
async fn an_old_file_is_set_aside() {
    let access = "{ to: logs/access.log, rotate: { age: 1ms } }";
    let running = site("age", access).start().await;
    let path = running.site.path("logs/access.log");
    eventually("a file was set aside", async || {
        running.get("/page").await;
        (with_archive(&path).len() > 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_file_that_was_moved_or_deleted_is_made_again() {
    let running = site("moved", "{ to: logs/access.log, format: combined, rotate: off }").start().await;
    let path = running.site.path("logs/access.log");
    running.get("/first").await;
    wait_lines(&path, 1).await;
    let moved = running.site.path("moved.log");
    std::fs::rename(&path, &moved).unwrap();
    let again = async |name: &str| {
        eventually("a new file", async || {
            running.get(name).await;
            lines(&path).iter().any(|line| line.contains(name)).then_some(())
        })
        .await;
    };
    again("/second").await;
    assert!(lines(&moved)[0].contains("/first"));
    std::fs::remove_file(&path).unwrap();
    again("/third").await;
    assert_eq!(running.metric("tidegate_log_failed_total", &[("log", "access")]).await, 0.0);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_stops_no_request() {
    let mut running = site("unwritable", "{ to: logs/access.log, format: combined }").start().await;
    let path = running.site.path("logs/access.log");
    running.get("/first").await;
    wait_lines(&path, 1).await;
    std::fs::rename(&path, running.site.path("moved.log")).unwrap();
    std::fs::create_dir(&path).unwrap();
    eventually("lines are lost", async || {
        assert_eq!(running.get("/lost").await.status, 200);
        (running.metric("tidegate_log_failed_total", &[("log", "access")]).await > 0.0).then_some(())
    })
    .await;
    running.proxy().log.wait(&["cannot write the log file", "access.log"]).await;
    std::fs::remove_dir(&path).unwrap();
    eventually("lines are written again", async || {
        running.get("/found").await;
        lines(&path).iter().any(|line| line.contains("/found")).then_some(())
    })
    .await;
    running.proxy().log.wait(&["is written again"]).await;
    assert_eq!(running.proxy().log.find(&["cannot write the log file"]).len(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_stops_no_request() {
    // A device that has no room, ever; other systems have none like it.
    let mut running = site("full", "{ to: /dev/full }").start().await;
    for _ in 0..3 {
        assert_eq!(running.get("/page").await.status, 200);
    }
    running.wait_metric("tidegate_log_failed_total", &[("log", "access")], 3.0).await;
    running.proxy().log.wait(&["cannot write the log file /dev/full", "No space left"]).await;
}

#[tokio::test]
async fn of_good_requests_one_in_so_many_is_logged_and_of_bad_ones_each() {
    let mut running = site("sample", "{ to: logs/access.log, format: combined, sample: 10 }")
        .set("hosts", "[{ routes: [{ path: /good, app: shop }] }]")
        .start()
        .await;
    let mut connection = running.http().await;
    for _ in 0..30 {
        assert_eq!(connection.get("/good").await.status, 200);
    }
    for _ in 0..3 {
        assert_eq!(connection.get("/missing").await.status, 404);
    }
    running.proxy().stop().await;
    let all = lines(&running.site.path("logs/access.log"));
    let count = |path: &str| all.iter().filter(|line| line.contains(path)).count();
    assert_eq!((count("/good"), count("/missing")), (3, 3), "{all:?}");
}

/// Requests until told to stop; says how many were answered.
async fn ask(running: &Running, stop: &AtomicBool, answered: &AtomicU32) {
    let mut connection = running.http().await;
    while !stop.load(Ordering::Relaxed) {
        assert_eq!(connection.get("/counted").await.status, 200);
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_reload_changes_the_log_and_loses_no_line() {
    let mut running = site("reload", "{ to: logs/a.log, format: combined }").start().await;
    let (stop, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    let settings = [
        "{ to: logs/b.log, format: json }",
        "{ to: logs/b.log, format: text }",
        "{ to: stdout, format: combined }",
        "{ to: log }",
        "{ to: logs/a.log, format: combined, rotate: { size: 8KiB, keep: 1000 } }",
    ];
    let reloads = async {
        for access in settings {
            let before = answered.load(Ordering::Relaxed);
            eventually("clients are served", async || (answered.load(Ordering::Relaxed) > before + 20).then_some(()))
                .await;
            let log = format!("log: {{ level: debug, access: {access} }}");
            let yaml = running.site.yaml();
            let changed: Vec<&str> =
                yaml.lines().map(|line| if line.starts_with("log: ") { log.as_str() } else { line }).collect();
            std::fs::write(running.site.config(), changed.join("\n")).unwrap();
            let finished = running.tidegate(&["reload"]).await;
            assert_eq!(finished.code, 0, "{finished:?}");
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(reloads, ask(&running, &stop, &answered), ask(&running, &stop, &answered));
    running.proxy().stop().await;
    let mut all: Vec<String> =
        with_archive(&running.site.path("logs/a.log")).iter().flat_map(|file| lines(file)).collect();
    assert!(all.iter().all(|line| line.starts_with("127.0.0.1 - - [")), "{all:?}");
    let both = lines(&running.site.path("logs/b.log"));
    let is_json = |line: &&String| serde_json::from_str::<serde_json::Value>(line).is_ok();
    let (json, text) = (both.iter().take_while(is_json).count(), both.iter().skip_while(is_json).count());
    assert!(json > 0 && text > 0 && json + text == both.len(), "{json} {text}");
    all.extend(both);
    let log = running.proxy().log.clone();
    let stdout = running.proxy().stdout.clone();
    let expected = answered.load(Ordering::Relaxed) as usize;
    let files = all.iter().filter(|line| line.contains("/counted")).count();
    // The pipes are read by the test itself, which may be a moment behind the end of the process.
    eventually("every request is in one of the logs", async || {
        let piped = log.find(&["\"GET /counted"]).len() + stdout.find(&["/counted"]).len();
        assert!(files + piped <= expected, "{files} {piped} {expected}");
        (files + piped == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn both_programs_write_files_of_their_own() {
    let site = Site::new("files")
        .app("shop", "mirror:app", &[])
        .set("log", "{ level: debug, to: logs/tidegate.log, rotate: { size: 4KiB, keep: 100 } }");
    let mut running = site.start().await;
    for _ in 0..50 {
        assert_eq!(running.get("/page").await.status, 200);
    }
    running.stop().await;
    let read = |name: &str| -> Vec<String> {
        with_archive(&running.site.path(name)).iter().flat_map(|file| lines(file)).collect()
    };
    let (proxy, appserver) = (read("logs/tidegate-proxy.log"), read("logs/tidegate-appserver.log"));
    assert!(with_archive(&running.site.path("logs/tidegate-proxy.log")).len() > 1);
    assert!(proxy.iter().any(|line| line.contains("listening")) && proxy.last().unwrap().contains("stopped"));
    assert_eq!(proxy.iter().filter(|line| line.contains("\"GET /page")).count(), 50);
    assert!(appserver.iter().any(|line| line.contains("app server started")), "{appserver:?}");
    for program in [running.proxy().log.lines(), running.appserver().log.lines()] {
        assert_eq!(program, [""; 0]);
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_is_told_at_the_start() {
    for (log, key) in [("{ access: { to: file/access.log } }", "log.access"), ("{ to: file/tidegate.log }", "log.to")] {
        let site = Site::new("refused").file("file", "in the way").app("shop", "mirror:app", &[]).set("log", log);
        site.write();
        let config = site.config().display().to_string();
        let finished = run(executable("tidegate-proxy"), ["--config", &config], None, &[]).await;
        assert_eq!(finished.code, 1, "{finished:?}");
        assert!(finished.stderr.contains(key), "{finished:?}");
    }
}
