//! Who may write where services' code lies, and what is the services' alone: refused, reported, and not imported with an
//! administrator's rights. Access lists of Windows are tested in `deploy/host`; Wine keeps none.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tidegate_tests::Site;

/// Without `state_dir` there is nothing that could be given away by mistake.
#[tokio::test]
async fn a_state_directory_that_holds_the_site_is_refused() {
    let site = Site::new("places state").app("shop", "mirror:app", &[]).set("state_dir", ".");
    site.write();
    for command in
        [&["check", "--no-import"][..], &["service", "install"], &["doctor", "--no-import", "--name", "Nobody"]]
    {
        let refused = site.tidegate(command).await;
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert_eq!(refused.code, 78, "{refused:?}");
        assert!(said.contains("state_dir: \".\": holds the site file"), "{said}");
    }
}

#[cfg(target_os = "linux")]
mod modes {
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use tidegate_tests::Site;
    use tidegate_tests::program::{Finished, executable, run};

    fn site(name: &str) -> Site {
        let site = Site::new(&format!("places {name}"))
            .app("shop", "mirror:app", &[("environment_file", "secrets.env")])
            .file("secrets.env", "PASSWORD=1\n");
        site.write();
        mode(&site, "", 0o755);
        mode(&site, "secrets.env", 0o640);
        site
    }

    fn mode(site: &Site, name: &str, mode: u32) {
        let place = if name.is_empty() { site.directory().to_owned() } else { site.path(name) };
        std::fs::set_permissions(place, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Nothing is installed: it is refused before.
    #[tokio::test]
    async fn services_are_not_installed_where_everybody_may_write() {
        let site = site("install");
        mode(&site, "", 0o757);
        let refused = with_systemd(&site, "LoadState=not-found\n", &["service", "install", "--name", "Nobody"]).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        let directory = site.directory().display().to_string();
        assert!(refused.stderr.contains(&format!("everybody may write to {directory}")), "{refused:?}");
        assert!(refused.stderr.contains(&format!("chmod go-w '{directory}'")), "{refused:?}");
        assert!(refused.stderr.contains("--keep-permissions"), "{refused:?}");
        assert!(!std::path::Path::new("/etc/systemd/system/nobody-proxy.service").exists());
    }

    #[tokio::test]
    async fn an_administrators_check_does_not_import_what_others_may_write() {
        let site = site("check");
        let is_root = tidegate_host::machine::is_administrator();
        let imports = async || {
            let checked = site.tidegate(&["check"]).await;
            assert_eq!(checked.code, 0, "{checked:?}");
            let is_warned = checked.stdout.contains("not imported: ") && checked.stdout.contains("--no-import");
            assert_ne!(checked.stdout.contains("imported as a worker would"), is_warned, "{checked:?}");
            !is_warned
        };
        assert!(imports().await);
        mode(&site, "", 0o757);
        assert_eq!(imports().await, !is_root, "everybody may write");
        mode(&site, "", 0o755);
        if is_root {
            chown(site.path("mirror.py"), Some(12_345), None).unwrap();
            assert!(imports().await, "what is in the app's directory is not looked at");
            chown(site.directory(), Some(12_345), None).unwrap();
            assert!(!imports().await, "somebody else owns the app's directory");
        }
    }

    /// A systemd that says of each unit what a case wants to hear; a real one cannot be had in a test.
    async fn with_systemd(site: &Site, shown: &str, command: &[&str]) -> Finished {
        site.put("shown", shown);
        site.put("bin/systemctl", "#!/bin/sh\ncat \"$TEST_SHOWN\"\n");
        mode(site, "bin/systemctl", 0o755);
        let path = format!("{}:{}", site.path("bin").display(), std::env::var("PATH").unwrap());
        let (config, shown) = (site.config().display().to_string(), site.path("shown").display().to_string());
        let arguments = ["--config", &config].into_iter().chain(command.iter().copied());
        let variables = [("PATH", path.as_str()), ("TEST_SHOWN", &shown), ("NO_COLOR", "1")];
        run(executable("tidegate"), arguments, None, &variables).await
    }

    async fn doctor(site: &Site) -> Finished {
        let command = format!("ExecStart={{ path=x ; argv[]=x --config {} ; }}", site.config().display());
        let shown = format!("LoadState=loaded\nUser=nobody\nUnitFileState=enabled\n{command}\nActiveState=inactive\n");
        with_systemd(site, &shown, &["doctor", "--no-import"]).await
    }

    #[tokio::test]
    async fn the_doctor_names_whoever_was_let_in_since() {
        let site = site("doctor");
        std::fs::create_dir(site.path(".tidegate")).unwrap();
        mode(&site, ".tidegate", 0o750);
        let directory = site.directory().display().to_string();
        let code = format!("problem rights       everybody may write to {directory}");
        let state = format!("problem rights       state directory {directory}/.tidegate: everybody may read");
        let secret = format!("problem rights       environment of an app {directory}/secrets.env: everybody may read");
        let finished = doctor(&site).await;
        for text in [&code, &state, &secret] {
            assert!(!finished.stdout.contains(text.as_str()), "{finished:?}");
        }
        for (name, before, after, text) in
            [("", 0o755, 0o757, &code), (".tidegate", 0o750, 0o755, &state), ("secrets.env", 0o640, 0o644, &secret)]
        {
            mode(&site, name, after);
            let finished = doctor(&site).await;
            assert!(finished.code == 1 && finished.stdout.contains(text.as_str()), "{text}: {finished:?}");
            mode(&site, name, before);
        }
    }
}
