//! The portable zip: all files in one directory, nothing installed.

use std::path::PathBuf;

use anyhow::Result;

use super::{Files, VERSION};

/// Makes it.
pub(super) fn make(files: &Files) -> Result<PathBuf> {
    let name = format!("tidegate-{VERSION}-windows-x86_64");
    files.programs_into(&name)?;
    files.papers_into(&name)?;
    let out = files.out.join(format!("{name}.zip"));
    files.archive("zip", &out, &[])?;
    Ok(out)
}
