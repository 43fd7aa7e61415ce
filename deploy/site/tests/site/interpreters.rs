//! Environments as the package managers lay them out, and those that cannot be used.

use std::path::{Path, PathBuf};

use tidegate_site::interpreter::{self, Layout, Unusable};

use crate::files::Directory;

/// An environment called `name`, with these settings unless they are empty; the path of its interpreter.
fn environment(directory: &Directory, name: &str, settings: &str) -> PathBuf {
    let python = tidegate_host::venv_python(Path::new(name));
    if !settings.is_empty() {
        directory.write(Path::new(name).join("pyvenv.cfg"), settings.as_bytes());
    }
    directory.write(python, b"")
}

/// What a base interpreter's directory holds.
fn base(directory: &Directory) -> PathBuf {
    directory.write("base/python.exe", b"").parent().unwrap().to_owned()
}

fn refusal(result: Result<impl std::fmt::Debug, Unusable>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn package_managers_are_told_apart() {
    let directory = Directory::new();
    let home = base(&directory);
    let home = home.display();
    for (name, settings, layout) in [
        ("venv-1", format!("home = {home}\ninclude-system-site-packages = false\nversion = 3.12.1\n"), Layout::Venv),
        ("venv-2", format!("home = {home}\nimplementation = CPython\nvirtualenv = 20.26.2\n"), Layout::Virtualenv),
        ("venv-3", format!("home = {home}\nimplementation = CPython\nuv = 0.5.1\n"), Layout::Uv),
        ("venv-4", String::new(), Layout::Installation),
    ] {
        let python = environment(&directory, name, &settings);
        assert_eq!(interpreter::examine(&python).unwrap(), layout, "{name}");
        assert_eq!(interpreter::of_directory(&directory.path().join(name)).unwrap(), python, "{name}");
    }
    // Where conda puts the interpreter depends on the system.
    let [_, python] = tidegate_host::environment_pythons(Path::new("conda"));
    let python = directory.write(python, b"");
    directory.write("conda/conda-meta/history", b"");
    assert_eq!(interpreter::examine(&python).unwrap(), Layout::Conda);
    assert_eq!(interpreter::of_directory(&directory.path().join("conda")).unwrap(), python);
    assert!(interpreter::is_environment(&directory.path().join("conda")));
    assert!(!interpreter::is_environment(&directory.path().join("empty")));
}

#[test]
fn a_virtualenv_whose_base_is_gone_says_so() {
    let directory = Directory::new();
    let gone = directory.path().join("gone");
    let python = environment(&directory, "moved", &format!("home = {}\n", gone.display()));
    for said in
        [refusal(interpreter::examine(&python)), refusal(interpreter::of_directory(&directory.path().join("moved")))]
    {
        assert!(said.contains("moved was made from the Python in"), "{said}");
        assert!(said.contains(&gone.display().to_string()), "{said}");
    }
    // The site file's check says it too, by the key.
    let said = directory.problems("apps: { shop: { wsgi: a:b, python: moved } }").join("\n");
    assert!(said.contains("apps.shop.python") && said.contains("make it anew"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_virtualenv_whose_interpreter_leads_nowhere_says_where_it_led() {
    let directory = Directory::new();
    let home = base(&directory);
    directory.write("dangling/pyvenv.cfg", format!("home = {}\n", home.display()).as_bytes());
    let link = directory.path().join("dangling/bin/python");
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(home.join("python3.9"), &link).unwrap();
    let said = refusal(interpreter::of_directory(&directory.path().join("dangling")));
    assert!(said.contains("which is not there any more"), "{said}");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_says_why() {
    // Permissions do not hold root back, who runs tests in containers; a link to itself does.
    let directory = Directory::new();
    let link = directory.path().join("itself");
    std::os::unix::fs::symlink(&link, &link).unwrap();
    let said = refusal(interpreter::examine(&link));
    assert!(said.contains("itself cannot be read") && said.contains("the account that Tidegate runs under"), "{said}");
}

#[test]
fn the_stores_python_is_refused_before_it_is_looked_at() {
    for path in [
        r"C:\Users\ann\AppData\Local\Microsoft\WindowsApps\python.exe",
        r"C:\Program Files\WindowsApps\PythonSoftwareFoundation.Python.3.12_3.12.2800.0_x64__qbz5n2kfra8p0\python.exe",
    ] {
        let said = refusal(interpreter::examine(Path::new(path)));
        assert!(said.contains("Microsoft Store") && said.contains("python.org"), "{said}");
    }
    let directory = Directory::new();
    let home = directory.write("Microsoft/WindowsApps/python.exe", b"");
    let python = environment(&directory, "of-store", &format!("home = {}\n", home.parent().unwrap().display()));
    assert!(refusal(interpreter::examine(&python)).contains("Microsoft Store"));
}

#[test]
fn programs_for_32_bits_are_refused() {
    let directory = Directory::new();
    let windows = |machine: [u8; 2]| {
        let mut program = vec![0; 128];
        program[..2].copy_from_slice(b"MZ");
        program[60] = 100;
        program[100..104].copy_from_slice(b"PE\0\0");
        program[104..106].copy_from_slice(&machine);
        program
    };
    let linux = |class: u8| {
        let mut program = vec![0; 64];
        program[..4].copy_from_slice(b"\x7fELF");
        program[4] = class;
        program
    };
    for (content, narrow) in [
        (windows([0x4c, 0x01]), true),
        (windows([0x64, 0x86]), false),
        (linux(1), true),
        (linux(2), false),
        (b"#!/bin/sh\nexec python3 \"$@\"\n".to_vec(), false),
        (b"MZ".to_vec(), false),
    ] {
        let python = directory.write("program/bin/python", &content);
        let examined = interpreter::examine(&python);
        assert_eq!(matches!(examined, Err(Unusable::Narrow(_))), narrow, "{examined:?}");
    }
}

#[test]
fn what_is_not_there_is_missing() {
    let directory = Directory::new();
    let said = refusal(interpreter::examine(&directory.path().join("none")));
    assert!(said.ends_with("none does not exist"), "{said}");
    let said = refusal(interpreter::of_directory(&directory.path().join("empty")));
    assert!(said.starts_with("no "), "{said}");
}
