//! The rule that code for one operating system is in `deploy/host` only (xtask and the tests are free).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::workspace;

const SOURCES: [&str; 4] = ["proxy", "appserver", "certs", "deploy"];
const ALLOWED: [&str; 2] = ["deploy/host", "deploy/xtask"];
/// In attributes and in `cfg!`. `target_os` and `target_family` have no other use.
const MARKS: [&str; 6] = ["cfg(windows", "cfg(unix", "cfg(not(windows", "cfg(not(unix", "target_os", "target_family"];

/// Fails with every line that breaks the rule.
pub(crate) fn check() -> Result<()> {
    let root = workspace::root()?;
    let mut files = Vec::new();
    for source in SOURCES {
        collect(&root.join(source), &mut files)?;
    }
    let mut found = String::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap_or(&file);
        let is_test = name.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs");
        if is_test || ALLOWED.iter().any(|allowed| name.starts_with(allowed)) {
            continue;
        }
        for (index, line) in fs::read_to_string(&file)?.lines().enumerate() {
            if depends_on_system(line) {
                found.push_str(&format!("\n  {}:{}: {}", name.display(), index + 1, line.trim()));
            }
        }
    }
    if !found.is_empty() {
        bail!("code for one operating system belongs in deploy/host:{found}");
    }
    Ok(())
}

fn depends_on_system(line: &str) -> bool {
    let line = line.trim();
    let code: String = line.chars().filter(|character| !character.is_whitespace()).collect();
    // `cfg!(windows)` and `cfg(windows)` alike; also inside any() and all().
    let code = code.replace("cfg!(", "cfg(").replace("cfg_attr(", "cfg(").replace("any(", "").replace("all(", "");
    !line.starts_with("//") && MARKS.iter().any(|mark| code.contains(mark))
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_found_and_prose_is_not() {
        let cases = [
            ("#[cfg(windows)]", true),
            ("    #[cfg( not( unix ) )]", true),
            ("#[cfg(any(unix, feature = \"x\"))]", true),
            ("if cfg!(windows) {", true),
            ("#[cfg_attr(windows, allow(dead_code))]", true),
            ("#[cfg(all(test, target_os = \"linux\"))]", true),
            ("// cfg(windows) stays in deploy/host", false),
            ("#[cfg(test)]", false),
        ];
        for (line, expected) in cases {
            assert_eq!(depends_on_system(line), expected, "{line}");
        }
    }
}
