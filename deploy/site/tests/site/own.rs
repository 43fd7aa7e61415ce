//! What cannot be Tidegate's own directory.

use crate::files::Directory;

const SITE: &str = "apps: { shop: { wsgi: \"a:b\", directory: app, python: venv, environment_file: app-secrets/env } }\n\
                    certificates: [{ certificate: certs/site.pem, key: keys/site.key }]\n";

fn directory() -> Directory {
    let directory = Directory::new();
    for file in ["app/a.py", "app-secrets/env", "keys/site.key"] {
        directory.write(file, b"");
    }
    directory
}

#[test]
fn a_directory_that_holds_what_is_somebody_elses_is_refused_with_the_reason() {
    for (setting, value, words) in [
        ("state_dir: .", "state_dir: \".\": ", "holds the site file"),
        ("state_dir: ./none/..", "state_dir: \"./none/..\": ", "holds the site file"),
        ("state_dir: ..", "state_dir: \"..\": ", ""),
        ("state_dir: app", "state_dir: \"app\": ", "holds the app's directory"),
        ("state_dir: venv", "state_dir: \"venv\": ", "holds the app's Python"),
        ("state_dir: app-secrets", "state_dir: \"app-secrets\": ", "holds environment of an app"),
        ("state_dir: keys", "state_dir: \"keys\": ", "holds private key"),
        ("state_dir: certs", "state_dir: \"certs\": ", "holds the certificate file"),
        ("limits: { buffer_dir: app }", "limits.buffer_dir: ", "holds the app's directory"),
        ("limits: { buffer_dir: . }", "limits.buffer_dir: ", "holds the site file"),
    ] {
        let problems = directory().problems(format!("{SITE}{setting}\n"));
        let [problem] = &problems[..] else { panic!("{setting}: {problems:?}") };
        assert!(problem.starts_with(value) && problem.contains(words), "{problem}");
        assert!(problem.ends_with("expected a directory that nothing else uses, such as .tidegate"), "{problem}");
    }
}

#[test]
fn the_root_and_what_everybody_shares_are_refused() {
    let directory = directory();
    let root = directory.path().ancestors().last().unwrap().display().to_string();
    for (path, words) in [
        (root, "is the root of a file system"),
        (
            std::env::temp_dir().ancestors().last().unwrap().join(".").display().to_string(),
            "is the root of a file system",
        ),
    ] {
        for key in ["state_dir: PATH", "limits: { buffer_dir: PATH }"] {
            let problems = directory.problems(format!("{SITE}{}\n", key.replace("PATH", &format!("'{path}'"))));
            assert!(problems.len() == 1 && problems[0].contains(words), "{problems:?}");
        }
    }
}

#[test]
fn one_of_its_own_is_taken_wherever_it_is() {
    let directory = directory();
    let beside = directory.path().with_extension("state");
    for setting in [
        "state_dir: state",
        "state_dir: app/state",
        &format!("state_dir: '{}'", beside.display()),
        "limits: { buffer_dir: app/b }",
    ] {
        assert!(directory.load(format!("{SITE}{setting}\n")).is_ok(), "{setting}");
    }
}
