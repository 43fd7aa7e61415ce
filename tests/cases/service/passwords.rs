//! Services whose account has a password.

use super::site;
#[cfg(windows)]
use super::{ALONE, Installed};

/// What it starts with these bytes on standard input says, and its exit code.
async fn with_input(arguments: Vec<String>, input: &'static [u8]) -> (i32, String) {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let run = move || {
        let mut command = Command::new(tidegate_tests::program::executable("tidegate"));
        command.args(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that reads nothing may have ended by now.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        println!("{arguments:?}: {said}");
        (output.status.code().unwrap_or(-1), said)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Wine tries no password and keeps none; its one user is the account.
#[cfg(windows)]
#[tokio::test]
async fn an_account_with_a_password_is_installed_with_it_and_kept_without() {
    use tidegate_host::ServiceState;

    let _alone = ALONE.lock().await;
    let site = site("password");
    let set = format!("Tp{}", std::process::id());
    let installed = Installed(set.clone());
    let own = tidegate_host::machine::own_account();
    let (_, name) = own.rsplit_once('\\').unwrap();
    let install = async |more: &[&str], input| {
        let config = site.config().display().to_string();
        let all = ["--config", &config, "service", "install", "--name", &set].into_iter().chain(more.iter().copied());
        with_input(all.map(str::to_owned).collect(), input).await
    };
    let accounts = || {
        ["appserver", "proxy"].map(|part| {
            let settings = tidegate_host::service_settings(&tidegate_host::service_name(&set, part)).unwrap();
            settings.map(|settings| (settings.account, settings.arguments.contains(&"--trust".to_owned())))
        })
    };
    let dotted = format!(r".\{name}");
    for (more, input, said) in [
        (&["--account", &own][..], &b"secret\n"[..], "there is no console to ask for it"),
        (&["--account", &own, "--password-stdin"], b"", "no password on standard input"),
        (&["--account", &own, "--password-stdin"], b"se\0cret\n", "has a NUL"),
        (&["--account", "LocalService", "--password-stdin"], b"secret\n", "without a password"),
        (&["--account", "default", "--password-stdin"], b"secret\n", "without a password"),
    ] {
        let (code, text) = install(more, input).await;
        assert!(code == 1 && text.contains(said), "{more:?}: {code} {text}");
        assert_eq!(accounts(), [None, None], "{more:?}");
    }
    let (code, text) = install(&["--account", &dotted, "--password-stdin"], b"S3cret word\r\n").await;
    assert!(code == 0 && text.contains(&format!("made, as {own}")) && !text.contains("S3cret"), "{text}");
    let expected = || [(); 2].map(|()| Some((own.clone(), false)));
    assert_eq!(accounts(), expected());
    // Neither its name nor its password has to be said again.
    for more in [&["--account", dotted.as_str()][..], &["--start"]] {
        let (code, text) = install(more, b"").await;
        assert!(code == 0 && text.contains(&format!("updated, as {own}")), "{more:?}: {text}");
        assert_eq!(accounts(), expected(), "{more:?}");
    }
    let server = tidegate_host::service_name(&set, "appserver");
    assert!(matches!(tidegate_host::service_state(&server).unwrap(), ServiceState::Running { .. }));
    let (code, text) = install(&["--account", "default"], b"").await;
    assert_eq!(code, 0, "{text}");
    assert!(accounts()[0].as_ref().is_some_and(|(account, trusts)| account.starts_with("NT SERVICE") && *trusts));
    drop(installed);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_service_of_linux_needs_a_password() {
    let site = site("no password");
    let words = |more: &[&str]| -> Vec<String> {
        let config = site.config().display().to_string();
        let units = site.path("units").display().to_string();
        let all = ["--config", &config, "service", "install", "--unit-dir", &units].into_iter();
        all.chain(more.iter().copied()).map(str::to_owned).collect()
    };
    let (code, said) = with_input(words(&["--account", "nobody", "--password-stdin"]), b"secret\n").await;
    assert!(code == 1 && said.contains("without a password") && said.contains("on Linux"), "{code} {said}");
    let (code, said) = with_input(words(&["--password-stdin"]), b"secret\n").await;
    assert!(code == 2 && said.contains("--account"), "{code} {said}");
}
