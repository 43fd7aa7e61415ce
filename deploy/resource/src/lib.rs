//! What Windows shows and asks of a program: its version information, and a manifest (long paths, UTF-8, no question for
//! administrator's rights). Called by the build scripts of the programs and of the worker library.
//!
//! Both are written as the linker takes them, without a resource compiler: `windres` or `rc` need not be there. Does
//! nothing where the target is not Windows, and never reads anything but cargo's variables.

mod manifest;
mod object;
mod version;

use std::path::Path;
use std::{env, fs, io};

/// A resource: its type and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Resource {
    kind: u32,
    bytes: Vec<u8>,
}

/// RT_VERSION and RT_MANIFEST of winuser.h.
const VERSION: u32 = 16;
const MANIFEST: u32 = 24;
/// American English: what version information is looked for in first.
const LANGUAGE: u32 = 0x409;

/// Gives the package's programs version information and manifest.
pub fn embed_in_programs(name: &str) -> io::Result<()> {
    embed(&format!("{name}.exe"), true, "bins")
}

/// Gives the package's dynamic library version information.
pub fn embed_in_library(name: &str) -> io::Result<()> {
    embed(&format!("{name}.dll"), false, "cdylib")
}

fn embed(file: &str, is_program: bool, linked: &str) -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("CARGO_CFG_WINDOWS").is_none() {
        return Ok(());
    }
    let variable = |name: &str| env::var(name).map_err(|_| io::Error::other(format!("cargo sets no {name}")));
    let facts = version::Facts {
        file,
        description: &variable("CARGO_PKG_DESCRIPTION")?,
        company: &variable("CARGO_PKG_AUTHORS")?,
        licence: &variable("CARGO_PKG_LICENSE")?,
        version: &variable("CARGO_PKG_VERSION")?,
        is_program,
    };
    let mut resources = vec![Resource { kind: VERSION, bytes: version::block(&facts) }];
    if is_program {
        resources.push(Resource { kind: MANIFEST, bytes: manifest::TEXT.into() });
    }
    let is_msvc = variable("CARGO_CFG_TARGET_ENV")? == "msvc";
    let out = Path::new(&variable("OUT_DIR")?).join(if is_msvc { "tidegate.res" } else { "tidegate.o" });
    fs::write(&out, if is_msvc { object::res(&resources) } else { object::coff(&resources) })?;
    println!("cargo:rustc-link-arg-{linked}={}", out.display());
    if is_msvc && is_program {
        // Or the linker makes one of its own beside the program.
        println!("cargo:rustc-link-arg-{linked}=/MANIFEST:NO");
    }
    Ok(())
}
