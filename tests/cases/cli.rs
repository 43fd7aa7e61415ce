//! The `tidegate` command as an operator uses it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::Site;
use tidegate_tests::program::{python, require, tidegate};
use tidegate_tests::site::{apps, quoted};

/// `tidegate init` in the site's directory, with this test's Python and free ports put into what it wrote.
async fn init(site: &Site) -> String {
    let directory = site.directory().display().to_string();
    let finished = tidegate(["init", &directory]).await;
    assert_eq!(finished.code, 0, "{finished:?}");
    let written = std::fs::read_to_string(site.config()).unwrap();
    let mut ours = String::new();
    for line in written.lines().filter(|line| !line.trim_start().starts_with("python:")) {
        ours.push_str(&line.replace("[::]:8443", "127.0.0.1:0").replace("[::]:8080", "127.0.0.1:0"));
        ours.push('\n');
        if line.trim_start().starts_with("wsgi:") {
            ours.push_str(&format!("    python: {}\n", quoted(&python().display().to_string())));
        }
    }
    ours.push_str("metrics: off\n");
    std::fs::write(site.config(), ours).unwrap();
    written
}

#[tokio::test]
async fn init_writes_a_file_for_flask_that_check_accepts() {
    require("flask").await;
    let site = Site::new("init flask").file("app.py", "from flask import Flask\n\napp = Flask(__name__)\n");
    let written = init(&site).await;
    assert!(written.contains("app:app"), "{written}");
    let finished = site.tidegate(&["check"]).await;
    assert_eq!(finished.code, 0, "{finished:?}");
    // It never writes over a file without being told to.
    let again = tidegate(["init", &site.directory().display().to_string()]).await;
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.stderr.contains("--force"), "{again:?}");
}

#[tokio::test]
async fn init_writes_a_file_for_django_that_check_accepts() {
    require("django").await;
    let site = Site::new("init django").copy(&apps().join("djangosite"), "");
    let written = init(&site).await;
    assert!(written.contains("mysite.wsgi:application"), "{written}");
    let finished = site.tidegate(&["check"]).await;
    assert_eq!(finished.code, 0, "{finished:?}");
}

#[tokio::test]
async fn a_site_file_that_is_not_there_is_said_to_be_missed_in_which_directory() {
    let site = Site::new("nowhere").file("readme", "");
    let directory = site.directory();
    let command = tidegate_tests::program::executable("tidegate");
    let finished = tidegate_tests::program::run(command, ["check"], Some(directory), &[]).await;
    assert_eq!(finished.code, 78, "{finished:?}");
    let name = directory.file_name().unwrap().to_str().unwrap();
    for text in [name, "tidegate init", "--config"] {
        assert!(finished.stderr.contains(text), "{text}: {finished:?}");
    }
}

#[tokio::test]
async fn check_shows_the_traceback_of_an_app_that_cannot_be_imported() {
    let site = Site::new("check import").file("broken.py", "def deeper():\n    import no_such_module\n\ndeeper()\n");
    let site = site.app("shop", "broken:app", &[]);
    site.write();
    let finished = site.tidegate(&["check"]).await;
    assert_eq!(finished.code, 1, "{finished:?}");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    for text in ["Traceback", "in deeper", "No module named 'no_such_module'", "shop"] {
        assert!(said.contains(text), "{text}: {said}");
    }
}

#[tokio::test]
async fn check_explains_an_interpreter_that_cannot_be_used() {
    let site = Site::new("check python").file("good.py", "def app(environ, start_response):\n    return []\n");
    let gone = site.path("gone");
    let settings = format!("home = {}\n", gone.display());
    let site = site.file(".venv/pyvenv.cfg", settings).app("shop", "good:app", &[("python", "auto")]);
    site.write();
    let finished = site.tidegate(&["check"]).await;
    assert_eq!(finished.code, 1, "{finished:?}");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(said.contains("which is not there any more") && said.contains(&gone.display().to_string()), "{said}");
}

#[tokio::test]
async fn check_names_the_interpreter_of_an_app_and_finds_a_place_for_bodies() {
    let site = Site::new("check places").file("file", "").app("shop", "mirror:app", &[]);
    site.write();
    let finished = site.tidegate(&["check"]).await;
    assert_eq!(finished.code, 0, "{finished:?}");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(said.contains("shop: ok, ") && said.contains(&python().display().to_string()), "{said}");
    assert!(finished.stdout.contains("buffers"), "{said}");

    let site = site.set("limits", "{ buffer_dir: file/buffers }");
    site.write();
    let finished = site.tidegate(&["check"]).await;
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(finished.stdout.contains("limits.buffer_dir"), "{finished:?}");
}

#[tokio::test]
async fn a_wrong_file_ends_every_program_with_78_and_the_key() {
    let site = Site::new("wrong").app("shop", "mirror:app", &[("threads", "none")]);
    site.write();
    for arguments in [&["check"][..], &["up"], &["reload"]] {
        let finished = site.tidegate(arguments).await;
        assert_eq!(finished.code, 78, "{arguments:?}: {finished:?}");
        assert!(finished.stderr.contains("apps.shop.threads"), "{arguments:?}: {finished:?}");
    }
    for name in ["tidegate-proxy", "tidegate-appserver"] {
        let program = tidegate_tests::program::executable(name);
        let finished = tidegate_tests::program::run(program, ["--config".into(), site.config()], None, &[]).await;
        assert_eq!(finished.code, 78, "{name}: {finished:?}");
        assert!(finished.stderr.contains("apps.shop.threads"), "{name}: {finished:?}");
    }
}

#[tokio::test]
async fn status_shows_workers_listeners_and_that_nothing_runs() {
    let mut running = Site::new("status").app("shop", "slow:app", &[("processes", "2")]).start().await;
    let finished = running.tidegate(&["status"]).await;
    assert_eq!(finished.code, 0, "{finished:?}");
    let heading = finished.stdout.lines().find(|line| line.starts_with("APP")).unwrap_or_default();
    assert!(["WORKER", "PHASE", "PID", "RESTARTS"].iter().all(|column| heading.contains(column)), "{finished:?}");
    for worker in running.workers("shop").await {
        let pid = worker.pid.to_string();
        let row = finished.stdout.lines().find(|line| line.contains(&pid)).unwrap_or_default();
        assert!(row.starts_with("shop") && row.contains("ready"), "{finished:?}");
    }
    assert!(finished.stdout.contains(&format!(":{}", running.https_address().port())), "{finished:?}");

    let json = running.tidegate(&["status", "--json"]).await;
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(report["pool"]["apps"][0]["workers"].as_array().unwrap().len(), 2);

    running.stop().await;
    let finished = running.tidegate(&["status"]).await;
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(finished.stderr.contains("no Tidegate runs this site"), "{finished:?}");
}
