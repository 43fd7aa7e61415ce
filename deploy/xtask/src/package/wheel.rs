//! Python wheels (PyPA's binary distribution format 1.0): the programs become a virtual environment's commands, and the
//! worker library lies beside them, where they look for it. There is no Python code in them.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::{Files, System, VERSION};
use crate::process;

/// Makes it.
pub(super) fn make(files: &Files) -> Result<PathBuf> {
    let tag = format!("py3-none-{}", platform(files.system)?);
    let info = format!("tidegate-{VERSION}.dist-info");
    files.programs_into(&format!("tidegate-{VERSION}.data/scripts"))?;
    let place = files.stage.join(&info);
    fs::create_dir_all(place.join("licenses"))?;
    let root = crate::workspace::root()?;
    for name in ["LICENSE-APACHE", "LICENSE-MIT", "NOTICE"] {
        fs::copy(root.join(name), place.join("licenses").join(name))?;
    }
    fs::write(
        place.join("METADATA"),
        format!(
            "Metadata-Version: 2.4\nName: tidegate\nVersion: {VERSION}\n\
             Summary: Serves Python WSGI applications on Windows and Linux hosts: TLS, HTTP/2, static files, workers\n\
             License-Expression: Apache-2.0 OR MIT\nLicense-File: LICENSE-APACHE\nLicense-File: LICENSE-MIT\n\
             License-File: NOTICE\nRequires-Python: >=3.9\n\n\
             `tidegate init`, then `tidegate up`, in the directory of a Flask, Django or other WSGI application.\n"
        ),
    )?;
    fs::write(
        place.join("WHEEL"),
        format!("Wheel-Version: 1.0\nGenerator: tidegate-xtask {VERSION}\nRoot-Is-Purelib: false\nTag: {tag}\n"),
    )?;
    let out = files.out.join(format!("tidegate-{VERSION}-{tag}.whl"));
    files.archive("wheel", &out, &[&info])?;
    Ok(out)
}

/// What pip calls the system. The programs need the C library that they were built with, or a newer one.
fn platform(system: System) -> Result<String> {
    if system == System::Windows {
        return Ok("win_amd64".to_owned());
    }
    let version = process::output(process::command("getconf").arg("GNU_LIBC_VERSION"))?;
    let version = version.trim().trim_start_matches("glibc ").replace('.', "_");
    Ok(format!("manylinux_{version}_x86_64"))
}
