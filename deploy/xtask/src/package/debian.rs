//! The Debian package: programs in /usr/lib/tidegate, the command in /usr/bin. Services are made by `tidegate service
//! install`, for a site of the operator's; an upgrade restarts them, a removal removes them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Files, VERSION};
use crate::process;

const AFTER: &str = include_str!("../../../linux/postinst");
const BEFORE: &str = include_str!("../../../linux/prerm");

/// Makes it.
pub(super) fn make(files: &Files) -> Result<PathBuf> {
    files.programs_into("usr/lib/tidegate")?;
    files.papers_into("usr/share/doc/tidegate")?;
    fs::copy(crate::workspace::root()?.join("NOTICE"), files.stage.join("usr/share/doc/tidegate/copyright"))?;
    fs::create_dir_all(files.stage.join("usr/bin"))?;
    symlink("../lib/tidegate/tidegate", files.stage.join("usr/bin/tidegate"))?;
    let control = files.stage.join("DEBIAN");
    fs::create_dir_all(&control)?;
    fs::write(
        control.join("control"),
        format!(
            "Package: tidegate\nVersion: {VERSION}\nArchitecture: amd64\nMaintainer: Tidegate maintainers <tidegate@localhost>\n\
             Depends: libc6 (>= {}), python3 (>= 3.9)\nSection: httpd\nPriority: optional\n\
             Description: serves Python WSGI applications\n One YAML file and one pair of processes: TLS, HTTP/2, static \
             files, and a\n supervised pool of Python workers.\n",
            libc()?
        ),
    )?;
    for (name, script) in [("postinst", AFTER), ("prerm", BEFORE)] {
        fs::write(control.join(name), script)?;
        fs::set_permissions(control.join(name), fs::Permissions::from_mode(0o755))?;
    }
    pack(&files.stage, VERSION, files.release, &files.out)
}

/// The same files as a newer version, for [`super::trial`].
pub(super) fn make_next(stage: &Path, out: &Path) -> Result<PathBuf> {
    const NEXT: &str = "99.0.0";
    let copy = out.join("next");
    process::run_quietly(process::command("cp").arg("-a").arg(stage).arg(&copy))?;
    let control = copy.join("DEBIAN/control");
    let text = fs::read_to_string(&control)?;
    fs::write(&control, text.replace(&format!("Version: {VERSION}\n"), &format!("Version: {NEXT}\n")))?;
    pack(&copy, NEXT, false, out)
}

fn pack(stage: &Path, version: &str, small: bool, out: &Path) -> Result<PathBuf> {
    let out = out.join(format!("tidegate_{version}_amd64.deb"));
    process::run_quietly(
        process::command("dpkg-deb")
            .args(["--root-owner-group", if small { "-Zxz" } else { "-Zgzip" }, "--build"])
            .arg(stage)
            .arg(&out),
    )?;
    Ok(out)
}

/// The C library of the machine that built it.
fn libc() -> Result<String> {
    let version = process::output(process::command("getconf").arg("GNU_LIBC_VERSION"))?;
    Ok(version.trim().trim_start_matches("glibc ").to_owned())
}
