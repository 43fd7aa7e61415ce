//! A directory for one test's site file, and what the file may refer to.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tidegate_site::{ConfigError, Site};

/// A directory of its own, removed at the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// With a virtualenv, certificate files, a static directory and an environment file.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tidegate-site-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let mut directory = Self(path);
        // As messages name it: the system's directory for temporary files may be a link.
        directory.0 = directory.load("app: a:b").unwrap().file.parent().unwrap().to_owned();
        for name in ["static", "empty", "certs"] {
            std::fs::create_dir_all(directory.0.join(name)).unwrap();
        }
        let python = tidegate_host::venv_python(Path::new("venv"));
        for name in [Path::new("certs/site.pem"), Path::new("certs/site.key"), &python] {
            directory.write(name, b"");
        }
        directory.write("secrets.env", b"# secret\nTOKEN=from-file\nONLY_FILE=1\n");
        directory
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: impl AsRef<Path>, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn load(&self, yaml: impl AsRef<[u8]>) -> Result<Site, ConfigError> {
        tidegate_site::load(&self.write("tidegate.yaml", yaml.as_ref()))
    }

    /// The problems as lines, without the file's name where it is the site file.
    pub(crate) fn problems(&self, yaml: impl AsRef<[u8]>) -> Vec<String> {
        let error = self.load(yaml).expect_err("the file is wrong");
        let file = format!("{}", self.0.join("tidegate.yaml").display());
        let here = format!("{}{}", self.0.display(), std::path::MAIN_SEPARATOR);
        assert_eq!(error.problems().len(), error.to_string().lines().count(), "{error}");
        error
            .to_string()
            .lines()
            .map(|line| {
                let line = line.strip_prefix(&file).unwrap_or(line);
                line.strip_prefix(": ").unwrap_or(line).replace(&here, "HERE/")
            })
            .collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
