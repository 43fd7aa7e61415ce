//! What the fuzz target `site_file` calls, and the test that calls it with the corpus in the repository. Not built
//! otherwise.

use std::path::PathBuf;

/// Any bytes are a site, or there are reasons, each a line that names the file and that a terminal can be shown.
pub fn site_file(bytes: &[u8]) {
    let file = PathBuf::from("/fuzz/tidegate.yaml");
    let Err(error) = crate::of_bytes(&file, file.clone(), bytes, crate::Reader::Command) else { return };
    assert!(!error.problems().is_empty());
    for problem in error.problems() {
        let line = problem.to_string();
        assert!(line.starts_with("/fuzz/"), "{line:?}");
        assert!(!line.contains(crate::FAULT), "{line:?}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_holds_for_the_kept_inputs() {
        // Cargo says where the package is when the test runs; the constant knows where it was built.
        let package =
            std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let mut inputs = 0;
        for entry in std::fs::read_dir(package.join("../../tests/fuzz/corpus/site_file")).unwrap() {
            let path = entry.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            if std::panic::catch_unwind(|| site_file(&input)).is_err() {
                panic!("{}", path.display());
            }
            inputs += 1;
        }
        assert!(inputs > 0);
    }
}
