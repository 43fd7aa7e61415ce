//! The site files in deploy/examples, checked by the program that users check theirs with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::{process, workspace};

/// Runs `tidegate check` on every `tidegate.yaml` below deploy/examples.
pub(crate) fn check() -> Result<()> {
    let mut sites = Vec::new();
    collect(&workspace::root()?.join("deploy/examples"), &mut sites)?;
    if sites.is_empty() {
        bail!("there is no tidegate.yaml below deploy/examples");
    }
    sites.sort();
    let tidegate = workspace::program(&workspace::programs_directory(false)?, "tidegate");
    for site in sites {
        // The applications' own packages are not installed here, so they are not imported.
        process::run_quietly(process::command(&tidegate).args(["check", "--no-import", "--config"]).arg(&site))?;
        println!("      {}", site.display());
    }
    Ok(())
}

fn collect(directory: &Path, sites: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, sites)?;
        } else if path.file_name().is_some_and(|name| name == "tidegate.yaml") {
            sites.push(path);
        }
    }
    Ok(())
}
