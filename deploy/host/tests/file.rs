//! Files below a root, and private files.

#![allow(clippy::unwrap_used, reason = "tests")]

mod scratch;

use std::fs;
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;

use scratch::Scratch;
use tidegate_host::file::{create_temporary, open_within};
use tidegate_host::write_private;

fn site() -> Scratch {
    let scratch = Scratch::new();
    let root = scratch.0.join("root");
    fs::create_dir_all(root.join("css")).unwrap();
    fs::write(root.join("css").join("site.css"), "inside").unwrap();
    fs::write(scratch.0.join("secret"), "outside").unwrap();
    scratch
}

fn read(scratch: &Scratch, relative: &str) -> Result<String, ErrorKind> {
    let mut text = String::new();
    let mut file = open_within(&scratch.0.join("root"), Path::new(relative)).map_err(|error| error.kind())?;
    file.read_to_string(&mut text).unwrap();
    Ok(text)
}

#[test]
fn files_below_the_root_are_opened_and_nothing_else() {
    let site = site();
    assert_eq!(read(&site, "css/site.css").unwrap(), "inside");
    for name in ["", ".", "css", "css/", "missing", "missing/site.css", "../secret", "css/../../secret", "/etc/passwd"]
    {
        assert_eq!(read(&site, name), Err(ErrorKind::NotFound), "{name}");
    }
    assert_eq!(read(&site, "css/site.css/x"), Err(ErrorKind::NotFound));
    assert_eq!(read(&site, &"long".repeat(200)), Err(ErrorKind::NotFound));
}

#[test]
fn an_open_file_can_be_deleted() {
    let site = site();
    let path = site.0.join("root").join("css").join("site.css");
    let mut file = open_within(&site.0.join("root"), Path::new("css/site.css")).unwrap();
    fs::remove_file(&path).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "inside");
}

#[test]
fn a_temporary_file_is_gone_when_it_is_closed() {
    let scratch = Scratch::new();
    let path = scratch.0.join("body");
    let mut file = create_temporary(&path).unwrap();
    file.write_all(b"kept").unwrap();
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "kept");
    drop(file);
    assert!(!path.exists());
    fs::write(&path, "taken").unwrap();
    assert_eq!(create_temporary(&path).map_err(|error| error.kind()).err(), Some(ErrorKind::AlreadyExists));
}

#[test]
fn private_files_are_replaced_and_leave_nothing_else_behind() {
    let scratch = Scratch::new();
    let path = scratch.0.join("development.key");
    for contents in ["first", "second"] {
        write_private(&path, contents.as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), contents);
    }
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);
    assert!(write_private(&scratch.0.join("missing").join("key"), b"x").is_err());
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    #[test]
    fn private_files_are_their_owners_only() {
        let scratch = Scratch::new();
        let path = scratch.0.join("key");
        fs::write(&path, "readable by all").unwrap();
        write_private(&path, b"secret").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn links_are_followed_only_to_what_is_below_the_root() {
        let site = site();
        let root = site.0.join("root");
        symlink("css/site.css", root.join("relative")).unwrap();
        symlink(root.join("css").join("site.css"), root.join("absolute")).unwrap();
        symlink(root.join("css"), root.join("directory")).unwrap();
        symlink("../root/css/site.css", root.join("out-and-in")).unwrap();
        for name in ["relative", "absolute", "directory/site.css", "out-and-in"] {
            assert_eq!(read(&site, name).as_deref(), Ok("inside"), "{name}");
        }
        symlink("../secret", root.join("leak")).unwrap();
        symlink(site.0.join("secret"), root.join("leak-absolute")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        for name in ["leak", "leak-absolute", "up/secret", "loop", "dangling"] {
            assert_eq!(read(&site, name), Err(ErrorKind::NotFound), "{name}");
        }
    }

    #[test]
    fn a_root_that_is_itself_a_link_is_served() {
        let site = site();
        fs::rename(site.0.join("root"), site.0.join("release-1")).unwrap();
        symlink("release-1", site.0.join("root")).unwrap();
        symlink(site.0.join("release-1/css/site.css"), site.0.join("release-1/absolute")).unwrap();
        assert_eq!(read(&site, "css/site.css").unwrap(), "inside");
        assert_eq!(read(&site, "absolute").unwrap(), "inside");
    }

    #[test]
    fn fifos_and_devices_are_refused_without_waiting() {
        let site = site();
        let root = site.0.join("root");
        assert!(Command::new("mkfifo").arg(root.join("fifo")).status().unwrap().success());
        symlink(root.join("fifo"), root.join("fifo-absolute")).unwrap();
        symlink("/dev/zero", root.join("zero")).unwrap();
        for name in ["fifo", "fifo-absolute", "zero"] {
            assert_eq!(read(&site, name), Err(ErrorKind::NotFound), "{name}");
        }
    }
}

#[cfg(windows)]
mod windows {
    use super::*;

    #[test]
    fn a_file_has_one_name_only() {
        let site = site();
        let names =
            ["CSS/site.css", "css/SITE.CSS", "css/site.css.", "css/site.css ", "css/site.css::$DATA", "NUL", "CON"];
        for name in names {
            assert_eq!(read(&site, name), Err(ErrorKind::NotFound), "{name}");
        }
    }
}

/// Only root can make files look like another account's.
#[cfg(unix)]
#[test]
fn what_another_account_put_in_our_place_goes_and_nothing_else() {
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    use tidegate_host::file::expel;

    if !tidegate_host::machine::is_administrator() {
        return;
    }
    let scratch = Scratch::new();
    let shared = |mode| fs::set_permissions(&scratch.0, fs::Permissions::from_mode(mode)).unwrap();
    let [own, theirs, link, target] = ["own", "theirs", "link", "target"].map(|name| scratch.0.join(name));
    for path in [&own, &theirs, &target] {
        fs::write(path, "x").unwrap();
    }
    symlink(&target, &link).unwrap();
    for path in [&theirs, &link] {
        lchown(path, Some(12_345), Some(12_345)).unwrap();
    }
    for mode in [0o770, 0o1777] {
        shared(mode);
        assert!(!expel(&theirs).unwrap() && theirs.exists(), "{mode:o}");
    }
    shared(0o1770);
    for (path, expected) in [(&own, false), (&theirs, true), (&link, true), (&scratch.0.join("none"), false)] {
        assert_eq!(expel(path).unwrap(), expected, "{}", path.display());
    }
    assert!(own.exists() && target.exists() && !theirs.exists() && fs::symlink_metadata(&link).is_err());
}
