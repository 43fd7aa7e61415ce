//! The pair as services of the system: under the service control manager on Windows, as systemd starts them on Linux.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "service/passwords.rs"]
mod passwords;
#[cfg(target_os = "linux")]
#[path = "service/systemd.rs"]
mod systemd;

use tidegate_tests::Site;

fn site(name: &str) -> Site {
    let site = Site::new(name).app("shop", "mirror:app", &[]);
    site.write();
    site
}

/// What is done to the services of this installation, whatever their names, is done to those of the other tests as well.
#[cfg(windows)]
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Removes the services whatever becomes of the test.
#[cfg(windows)]
struct Installed(String);

#[cfg(windows)]
impl Drop for Installed {
    fn drop(&mut self) {
        for part in ["proxy", "appserver"] {
            let name = tidegate_host::service_name(&self.0, part);
            let _ = tidegate_host::stop_service(&name);
            let _ = tidegate_host::remove_service(&name);
        }
    }
}

#[cfg(windows)]
#[tokio::test]
async fn the_pair_is_installed_started_reloaded_stopped_and_removed_as_services() {
    use tidegate_tests::running::Running;

    let _alone = ALONE.lock().await;
    let site = site("service");
    let set = format!("Tg{}", std::process::id());
    let installed = Installed(set.clone());
    let config = site.config().display().to_string();
    let service = async |verb: &str, more: &[&str]| {
        let arguments = ["--config", &config, "service", verb, "--name", &set];
        let finished =
            tidegate_tests::program::tidegate(arguments.iter().chain(more).map(|word| (*word).to_owned())).await;
        println!("{verb}: {finished:?}");
        finished
    };
    assert_eq!(service("status", &[]).await.code, 1);
    assert_eq!(service("install", &["--start"]).await.code, 0);
    let mut running = Running::started_elsewhere(site).await;
    assert_eq!(running.get("/a").await.status, 200);
    let state = service("status", &[]).await;
    assert_eq!(state.code, 0);
    assert_eq!(state.stdout.matches("running").count(), 2, "{}", state.stdout);

    // What PARAMCHANGE asks for: new workers, and the new site file.
    let generation = running.workers("shop").await[0].generation;
    running.site.change("log", "{ level: debug, access: off }");
    running.site.change("limits", "{ drain_timeout: 300s }");
    running.site.write();
    assert_eq!(service("reload", &[]).await.code, 0);
    running
        .wait_status("a new generation", |status| {
            let workers = &status.pool.apps[0].workers;
            workers.iter().any(|worker| worker.generation > generation).then_some(())
        })
        .await;
    running.wait_until_ready().await;
    assert_eq!(running.get("/b").await.status, 200);

    // Nobody reads a service's standard error.
    let log = running.site.path(".tidegate/logs/tidegate-proxy.log");
    assert!(std::fs::read_to_string(&log).is_ok_and(|text| text.contains("listening")), "{}", log.display());
    let warned = async || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("now 300 s")).then_some(());
    tidegate_tests::wait::eventually("a warning of more time than the service was given", warned).await;

    assert_eq!(service("restart", &[]).await.code, 0);
    running.find_again().await;
    assert_eq!(running.get("/c").await.status, 200);

    assert_eq!(service("uninstall", &[]).await.code, 0);
    assert!(running.try_status().await.is_none(), "the app server still answers");
    let gone = service("status", &[]).await;
    assert_eq!(gone.stdout.matches("not installed").count(), 2, "{}", gone.stdout);
    drop(installed);
}

/// As an upgrade does it, which knows no names.
#[cfg(windows)]
#[tokio::test]
async fn all_services_of_the_installation_are_stopped_and_those_that_ran_started_again() {
    use tidegate_host::ServiceState;

    let _alone = ALONE.lock().await;
    let tidegate = async |arguments: &[&str]| {
        let finished = tidegate_tests::program::tidegate(arguments.iter().map(|word| (*word).to_owned())).await;
        println!("{arguments:?}: {finished:?}");
        finished
    };
    let sets = ["Tr", "Ti"].map(|set| format!("{set}{}", std::process::id()));
    let installed = sets.clone().map(Installed);
    let [running, idle] = ["ran", "idle"].map(site);
    let names = |set: &str| ["appserver", "proxy"].map(|part| tidegate_host::service_name(set, part));
    let run = |set: &str| {
        names(set).map(|name| matches!(tidegate_host::service_state(&name), Ok(ServiceState::Running { .. })))
    };
    for (site, set, more) in [(&running, &sets[0], "--start"), (&idle, &sets[1], "--keep-permissions")] {
        let config = site.config().display().to_string();
        assert_eq!(tidegate(&["--config", &config, "service", "install", "--name", set, more]).await.code, 0);
    }
    let state = tidegate(&["service", "status", "--all"]).await;
    for text in [&names(&sets[0])[1], &names(&sets[1])[0], &running.config().display().to_string()] {
        assert!(state.stdout.contains(text), "{text}: {state:?}");
    }

    let stopped = tidegate(&["service", "stop", "--all", "--remember"]).await;
    assert_eq!((stopped.code, run(&sets[0])), (0, [false, false]));
    let remembered = tidegate_host::remembered_services().unwrap();
    assert!(names(&sets[0]).iter().all(|name| remembered.contains(name)), "{remembered:?}");
    assert!(!names(&sets[1]).iter().any(|name| remembered.contains(name)), "{remembered:?}");
    assert_eq!(tidegate(&["service", "start", "--remembered"]).await.code, 0);
    assert_eq!((run(&sets[0]), run(&sets[1])), ([true, true], [false, false]));
    let left = tidegate_host::remembered_services().unwrap();
    assert!(!names(&sets[0]).iter().any(|name| left.contains(name)), "{left:?}");

    // It leaves what does not run as it is.
    assert_eq!(tidegate(&["service", "restart", "--all"]).await.code, 0);
    assert_eq!((run(&sets[0]), run(&sets[1])), ([true, true], [false, false]));
    assert_eq!(tidegate(&["service", "uninstall", "--all"]).await.code, 0);
    for name in sets.iter().flat_map(|set| names(set)) {
        assert_eq!(tidegate_host::service_state(&name).unwrap(), ServiceState::Missing, "{name}");
    }
    drop(installed);
}

/// An administrator looks before the first start.
#[cfg(windows)]
#[tokio::test]
async fn doctor_imports_the_apps_under_the_account_of_services_that_were_never_started() {
    use tidegate_host::ServiceState;
    use tidegate_tests::process;
    use tidegate_tests::wait::eventually;

    let _alone = ALONE.lock().await;
    // Each import leaves the number of its process.
    let app = |more: &str| {
        format!(
            "import os, pathlib\npathlib.Path(__file__).with_name('pids').open('a').write(f'{{os.getpid()}}\\n')\n{more}\n\
             def app(environ, start_response):\n    return []\n"
        )
    };
    let site = Site::new("before").file("before.py", app("import no_such_module")).app("shop", "before:app", &[]);
    site.write();
    let set = format!("Tb{}", std::process::id());
    let installed = Installed(set.clone());
    let command = async |arguments: &[&str]| {
        let finished = site.tidegate(&[arguments, &["--name", &set]].concat()).await;
        println!("{arguments:?}: {finished:?}");
        finished
    };
    let at_rest = || {
        for part in ["appserver", "proxy"] {
            let name = tidegate_host::service_name(&set, part);
            assert_eq!(tidegate_host::service_state(&name).unwrap(), ServiceState::Stopped, "{name}");
            assert_eq!(tidegate_host::restart_delay(&name).unwrap(), None, "{name}");
        }
    };
    assert_eq!(command(&["service", "install"]).await.code, 0);

    let broken = command(&["doctor"]).await.stdout;
    let said = broken.split("problem apps").nth(1).unwrap_or_else(|| panic!("{broken}"));
    assert!(said.contains("cannot be imported as ") && said.contains(", the service's account"), "{broken}");
    assert!(said.contains("No module named 'no_such_module'") && said.contains("install no_such_module"), "{broken}");
    at_rest();

    site.put("before.py", app(""));
    let repaired = command(&["doctor"]).await.stdout;
    let said = repaired.split("ok      apps").nth(1).unwrap_or_else(|| panic!("{repaired}"));
    assert!(said.contains("imported as ") && said.contains(", the service's account"), "{repaired}");
    assert!(said.contains("shop: ok"), "{repaired}");
    assert!(!repaired.contains("was not tried"), "{repaired}");
    at_rest();
    let status = command(&["service", "status"]).await;
    assert_eq!((status.code, status.stdout.matches("stopped").count()), (1, 2), "{status:?}");
    // Once for each look, and by nobody else.
    let pids: Vec<u32> =
        std::fs::read_to_string(site.path("pids")).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(pids.len(), 2, "{pids:?}");
    eventually("no worker is left", async || pids.iter().all(|pid| !process::is_alive(*pid)).then_some(())).await;

    // Without its errand's name nothing is done, and the site is not served either.
    let server = tidegate_host::service_name(&set, "appserver");
    tidegate_host::start_service_with(&server, &["--check-imports=nonsense".to_owned()]).unwrap();
    let ended = async || (tidegate_host::service_state(&server).unwrap() == ServiceState::Stopped).then_some(());
    eventually("the service has stopped by itself", ended).await;
    // With one that nobody comes for it can be stopped.
    tidegate_host::start_service_with(&server, &["--check-imports=0123456789abcdef".to_owned()]).unwrap();
    let runs = async || matches!(tidegate_host::service_state(&server), Ok(ServiceState::Running { .. })).then_some(());
    eventually("the service runs for its errand", runs).await;
    let busy = command(&["doctor"]).await.stdout;
    assert!(busy.contains("was not tried") && busy.contains("no app server answers"), "{busy}");
    tidegate_host::stop_service(&server).unwrap();
    eventually("the service was stopped", ended).await;
    at_rest();
    drop(installed);
}

/// The job object of the app server holds its workers, also where the service control manager is its parent.
#[cfg(windows)]
#[tokio::test]
async fn killing_the_process_of_either_service_leaves_no_python() {
    use tidegate_host::ServiceState;
    use tidegate_tests::process;
    use tidegate_tests::running::Running;
    use tidegate_tests::wait::eventually;

    let _alone = ALONE.lock().await;
    let site = site("killed");
    let set = format!("Tk{}", std::process::id());
    let installed = Installed(set.clone());
    let config = site.config().display().to_string();
    let install = ["--config", &config, "service", "install", "--start", "--name", &set];
    assert_eq!(tidegate_tests::program::tidegate(install).await.code, 0);
    let running = Running::started_elsewhere(site).await;
    let workers: Vec<u32> = running.workers("shop").await.iter().map(|worker| worker.pid).collect();
    let pid = |part: &str| match tidegate_host::service_state(&tidegate_host::service_name(&set, part)).unwrap() {
        ServiceState::Running { pid } => pid,
        other => panic!("{part} {other:?}"),
    };
    let (proxy, server) = (pid("proxy"), pid("appserver"));
    assert!(!workers.is_empty() && workers.iter().all(|pid| process::is_alive(*pid)), "{workers:?}");

    process::kill(proxy);
    eventually("the proxy is gone", async || (!process::is_alive(proxy)).then_some(())).await;
    let after: Vec<u32> = running.workers("shop").await.iter().map(|worker| worker.pid).collect();
    assert!(after == workers && workers.iter().all(|pid| process::is_alive(*pid)), "{workers:?} became {after:?}");

    process::kill(server);
    eventually("no worker is left", async || workers.iter().all(|pid| !process::is_alive(*pid)).then_some(())).await;
    drop(installed);
}

/// It would be tried for ever, with an event each time.
#[cfg(windows)]
#[tokio::test]
async fn a_service_whose_site_file_is_wrong_says_so_and_is_left_at_that() {
    use tidegate_host::ServiceState;
    use tidegate_tests::program::tidegate;
    use tidegate_tests::wait::eventually;

    let _alone = ALONE.lock().await;
    let mut site = site("wrong");
    let set = format!("Tw{}", std::process::id());
    let installed = Installed(set.clone());
    let config = site.config().display().to_string();
    assert_eq!(tidegate(["--config", &config, "service", "install", "--name", &set]).await.code, 0);
    site.change("log", "{ level: shouting }");
    site.write();
    assert_eq!(tidegate(["service", "start", "--no-wait", "--name", &set]).await.code, 0);
    let proxy = tidegate_host::service_name(&set, "proxy");
    let wrong = ServiceState::Failed { code: 78 };
    let ended = async || (tidegate_host::service_state(&proxy).unwrap() == wrong).then_some(());
    eventually("the proxy has ended", ended).await;
    assert_eq!(tidegate_host::restart_delay(&proxy).unwrap(), None);
    let started = tidegate(["--config", &config, "service", "start", "--name", &set]).await;
    assert_eq!(started.code, 78, "{started:?}");
    let stopped = tidegate(["service", "stop", "--name", &set]).await;
    assert!(stopped.code == 0 && !stopped.stdout.contains("waits up to"), "{stopped:?}");
    drop(installed);
}

#[cfg(windows)]
#[tokio::test]
async fn an_installation_keeps_the_accounts_of_the_one_before_and_two_sets_serve_one_site() {
    use tidegate_tests::program::tidegate;

    let _alone = ALONE.lock().await;
    let site = site("again");
    let sets = ["To", "Tn"].map(|set| format!("{set}{}", std::process::id()));
    let installed = sets.clone().map(Installed);
    let config = site.config().display().to_string();
    let install = async |set: &str, more: &[&str]| {
        let arguments = ["--config", &config, "service", "install", "--name", set];
        tidegate(arguments.iter().chain(more).map(|word| (*word).to_owned())).await
    };
    let settings = |set: &str, part: &str| {
        tidegate_host::service_settings(&tidegate_host::service_name(set, part)).unwrap().unwrap()
    };
    for (account, said) in [("shop", "managed service account"), (r"NoSuchDomain\shop", "there is no account")] {
        let refused = install(&sets[0], &["--account", account]).await;
        assert!(refused.code == 1 && refused.stderr.contains(said), "{refused:?}");
    }
    assert_eq!(tidegate_host::service_settings(&tidegate_host::service_name(&sets[0], "proxy")).unwrap(), None);

    for (more, account, trusts) in [
        (&["--account", "LocalService"][..], r"NT AUTHORITY\LocalService".to_owned(), false),
        (&[], r"NT AUTHORITY\LocalService".to_owned(), false),
        (&["--proxy-account", "default"], format!(r"NT SERVICE\{}Proxy", sets[0]), true),
        (&[], format!(r"NT SERVICE\{}Proxy", sets[0]), true),
        (&["--account", "default"], format!(r"NT SERVICE\{}Proxy", sets[0]), true),
        (&["--delayed"], format!(r"NT SERVICE\{}Proxy", sets[0]), true),
    ] {
        let finished = install(&sets[0], more).await;
        assert!(finished.code == 0 && finished.stdout.contains(&account), "{more:?}: {finished:?}");
        assert_eq!(settings(&sets[0], "proxy").account, account, "{more:?}");
        assert_eq!(settings(&sets[0], "appserver").arguments.contains(&"--trust".to_owned()), trusts, "{more:?}");
    }
    // From anywhere: the services know their site file.
    let elsewhere = site.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let command = tidegate_tests::program::executable("tidegate");
    let logs = tidegate_tests::program::run(command, ["logs", "--name", &sets[0]], Some(&elsewhere), &[]).await;
    assert!(logs.stderr.starts_with(&format!("site file: {config}")), "{logs:?}");

    let second = install(&sets[1], &[]).await;
    assert_eq!(second.code, 0, "{second:?}");
    drop(installed);
}

#[cfg(windows)]
#[tokio::test]
async fn a_service_that_is_started_in_a_console_says_so() {
    let site = site("console");
    let config = site.config().display().to_string();
    let program = tidegate_tests::program::executable("tidegate-proxy");
    let finished =
        tidegate_tests::program::run(program, ["--config", &config, "--service", "TidegateProxy"], None, &[]).await;
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(finished.stderr.contains("tidegate service start"), "{finished:?}");
}
