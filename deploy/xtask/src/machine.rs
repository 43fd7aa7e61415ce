//! What the machine must have: finds programs, and on Debian as root installs the packages that hold missing ones.
//!
//! Never changes a machine otherwise: without root, or elsewhere, it says what to install.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// A program and the Debian package that has it.
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

/// C dependencies are built with these.
pub(crate) const BUILD_TOOLS: [Tool; 3] = [
    Tool { program: "cc", package: "gcc" },
    Tool { program: "c++", package: "g++" },
    Tool { program: "cmake", package: "cmake" },
];

/// Tests that talk to the real thing use these.
pub(crate) const TEST_TOOLS: [Tool; 7] = [
    Tool { program: "curl", package: "curl" },
    Tool { program: "openssl", package: "openssl" },
    Tool { program: "prometheus", package: "prometheus" },
    Tool { program: "promtool", package: "prometheus" },
    Tool { program: "nghttp", package: "nghttp2-client" },
    Tool { program: "chromium", package: "chromium" },
    Tool { program: "systemd-analyze", package: "systemd" },
];

/// The Windows build and Wine need these.
pub(crate) const WINDOWS_TOOLS: [Tool; 4] = [
    Tool { program: "x86_64-w64-mingw32-gcc", package: "gcc-mingw-w64-x86-64" },
    Tool { program: "x86_64-w64-mingw32-g++", package: "g++-mingw-w64-x86-64" },
    Tool { program: "mmdebstrap", package: "mmdebstrap" },
    Tool { program: "unshare", package: "util-linux" },
];

/// Makes sure that all `tools` are there.
pub(crate) fn require(tools: &[Tool]) -> Result<()> {
    let missing: Vec<&Tool> = tools.iter().filter(|tool| find(tool.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let programs: Vec<&str> = missing.iter().map(|tool| tool.program).collect();
    if !can_install() {
        bail!("missing: {} (Debian packages: {})", programs.join(", "), packages.join(" "));
    }
    println!("      installing {}", packages.join(" "));
    install(&packages)
}

/// Installs Debian packages.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    refresh_package_lists()?;
    process::run_quietly(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

/// `apt-get update`.
pub(crate) fn refresh_package_lists() -> Result<()> {
    process::run_quietly(apt_get().arg("update"))
}

/// Whether missing packages can be installed here: Debian or a child of it, and root.
pub(crate) fn can_install() -> bool {
    cfg!(target_os = "linux") && find("apt-get").is_some() && is_root()
}

/// Whether this is root.
pub(crate) fn is_root() -> bool {
    process::output(process::command("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}

/// The full path of a program on PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&std::env::var_os("PATH")?).map(|directory| directory.join(&name)).find(|path| path.is_file())
}

/// The value of a key in /etc/os-release.
pub(crate) fn os_release(key: &str) -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

/// The address of the Debian mirror that this machine installs from; none where the machine is not Debian itself.
pub(crate) fn debian_mirror() -> Result<Option<String>> {
    let (Some("debian"), Some(codename)) = (os_release("ID").as_deref(), os_release("VERSION_CODENAME")) else {
        return Ok(None);
    };
    let ask = || -> Result<Option<String>> {
        let sites = process::output(process::command("apt-get").args([
            "indextargets",
            "--format",
            "$(SITE)",
            "Created-By: Packages",
            "Component: main",
            &format!("Codename: {codename}"),
        ]))?;
        Ok(sites.lines().next().map(str::to_owned))
    };
    match ask()? {
        Some(site) => Ok(Some(site)),
        // apt forgets its targets along with its lists, which container images delete.
        None if is_root() => {
            refresh_package_lists()?;
            ask()
        }
        None => Ok(None),
    }
}

fn apt_get() -> Command {
    let mut command = process::command("apt-get");
    command
        .args(["--quiet", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=600"])
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Packages such as prometheus would start their service; in runlevel 1 nothing starts.
        .env("RUNLEVEL", "1");
    command
}
