//! A site of one test: a directory of its own and the `tidegate.yaml` in it. Started it is a
//! [`Running`]. Never shares a port, a directory or a socket with another test.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::program::{Finished, python, tidegate};
use crate::running::Running;

static COUNT: AtomicU32 = AtomicU32::new(0);

const A_SECOND: Duration = Duration::from_secs(1);

/// A site file in the making, and its directory. The directory goes with it.
#[derive(Debug)]
pub struct Site {
    directory: PathBuf,
    runtime: PathBuf,
    apps: Vec<(String, Vec<(String, String)>)>,
    keys: Vec<(String, String)>,
}

impl Site {
    /// A site without apps, with a listener of each kind on ports that the system chooses.
    pub fn new(name: &str) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{number}", std::process::id());
        // Spaces and letters outside ASCII are everyday on Windows.
        let directory = std::env::temp_dir().join(format!("tidegate tést {name} {id}"));
        // A Unix socket's path has 107 bytes.
        let runtime = std::env::temp_dir().join(format!("tt{id}"));
        std::fs::create_dir_all(&directory).unwrap();
        let site = Self { directory, runtime, apps: Vec::new(), keys: Vec::new() };
        site.set(
            "listeners",
            "[{ address: '127.0.0.1:0', protocol: https }, { address: '127.0.0.1:0', protocol: http }, \
             { address: '127.0.0.1:0', protocol: redirect }]",
        )
        .set("metrics", "127.0.0.1:0")
        .set("log", "{ level: debug, access: on }")
    }

    /// Adds an app, `module:callable`, with more settings as YAML. A module of `tests/apps` is copied
    /// into the site's directory.
    pub fn app(mut self, name: &str, wsgi: &str, settings: &[(&str, &str)]) -> Self {
        self.add_app(name, wsgi, settings);
        self
    }

    /// See [`Site::app`]; replaces an app of that name.
    pub fn add_app(&mut self, name: &str, wsgi: &str, settings: &[(&str, &str)]) {
        let module = wsgi.split([':', '.']).next().unwrap();
        let from = apps().join(format!("{module}.py"));
        if from.is_file() && !self.path(&format!("{module}.py")).exists() {
            std::fs::copy(from, self.path(&format!("{module}.py"))).unwrap();
        }
        let mut all =
            vec![("wsgi".to_owned(), quoted(wsgi)), ("python".to_owned(), quoted(&python().display().to_string()))];
        for (key, value) in settings {
            all.retain(|(known, _)| known != key);
            all.push(((*key).to_owned(), (*value).to_owned()));
        }
        self.apps.retain(|(known, _)| known != name);
        self.apps.push((name.to_owned(), all));
    }

    /// Sets a top-level key; the value is YAML in braces or brackets, or on one line.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.change(key, value);
        self
    }

    /// See [`Site::set`].
    pub fn change(&mut self, key: &str, value: &str) {
        self.keys.retain(|(known, _)| known != key);
        self.keys.push((key.to_owned(), value.replace('\n', " ")));
    }

    /// Puts a file into the site's directory.
    pub fn file(self, name: &str, contents: impl AsRef<[u8]>) -> Self {
        self.put(name, contents);
        self
    }

    /// See [`Site::file`]. Code is of a later second than what it replaces: Python knows its bytecode by the source's
    /// length and second alone, and nobody deploys twice in one.
    pub fn put(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let modified = || std::fs::metadata(&path).ok()?.modified().ok();
        let before = modified();
        std::fs::write(&path, contents).unwrap();
        let is_code = path.extension().is_some_and(|extension| extension == "py");
        if let (true, Some(before), Some(now)) = (is_code, before, modified())
            && now < before + A_SECOND
        {
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(before + A_SECOND).unwrap();
        }
    }

    /// Copies a directory into the site's directory, or what is in it if `to` is empty.
    pub fn copy(self, from: &Path, to: &str) -> Self {
        copy_directory(from, &self.path(to));
        self
    }

    /// A path in the site's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The site's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the site file is.
    pub fn config(&self) -> PathBuf {
        self.path("tidegate.yaml")
    }

    /// The site file's text.
    pub fn yaml(&self) -> String {
        let mut out = format!("version: 1\nruntime_dir: {}\n", quoted(&self.runtime.display().to_string()));
        for (key, value) in &self.keys {
            writeln!(out, "{key}: {value}").unwrap();
        }
        if !self.apps.is_empty() {
            out.push_str("apps:\n");
        }
        for (name, settings) in &self.apps {
            writeln!(out, "  {name}:").unwrap();
            for (key, value) in settings {
                writeln!(out, "    {key}: {value}").unwrap();
            }
        }
        out
    }

    /// Writes the site file.
    pub fn write(&self) {
        std::fs::write(self.config(), self.yaml()).unwrap();
    }

    /// `tidegate --config FILE ...`
    pub async fn tidegate(&self, arguments: &[&str]) -> Finished {
        let config = self.config().display().to_string();
        tidegate(["--config", &config].iter().chain(arguments).copied()).await
    }

    /// Writes the site file, starts the pair and waits until every app is ready.
    pub async fn start(self) -> Running {
        let mut running = self.launch().await;
        running.wait_until_ready().await;
        running
    }

    /// Like [`Site::start`], but waits for the proxy's listeners only.
    pub async fn launch(self) -> Running {
        self.write();
        Running::launch(self).await
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.config().display(), self.yaml());
        }
        // What a dying process still holds stays behind in the system's temporary directory.
        let _ = std::fs::remove_dir_all(&self.directory);
        let _ = std::fs::remove_dir_all(&self.runtime);
    }
}

/// `tests`. Cargo says where the package is when the test runs; the constant knows where it was built.
pub fn package() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// `tests/apps`.
pub fn apps() -> PathBuf {
    package().join("apps")
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if !entry.file_type().unwrap().is_dir() {
            std::fs::copy(entry.path(), to).unwrap();
        } else if entry.file_name() != "__pycache__" && entry.file_name() != ".tidegate" {
            copy_directory(&entry.path(), &to);
        }
    }
}

/// Text as a YAML string.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
