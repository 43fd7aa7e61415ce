//! `tidegate up --watch`: notices changes of the site file and of the apps' code and templates. Polls on a
//! thread of its own, which works on every system and file system alike; never reloads anything itself.
//!
//! A change is told only after Python's bytecode of the old code is gone. Python tells old bytecode by the source's
//! length and its time in whole seconds (`py_compile.PycInvalidationMode.TIMESTAMP`), so that a file saved twice within
//! a second, as long as before, would stay what it was at its first import: `True` made `None`.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use tidegate_site::Site;
use tokio::sync::mpsc;

/// Between two looks. A change is told at the second that finds the same, well within a second.
const INTERVAL: Duration = Duration::from_millis(300);

/// Looks after which files that go on changing are told all the same.
const UNSETTLED: u32 = 3;

/// Files and directories looked at; beyond it a look would take longer than the interval.
const MOST: usize = 20_000;

/// Code, templates, and environment files. Not `.txt` or `.json`: apps write those themselves.
const WATCHED: [&str; 10] = ["py", "html", "htm", "jinja", "jinja2", "j2", "mako", "tmpl", "tpl", "env"];

/// Directories that hold nobody's source; so do those whose name starts with a dot.
const IGNORED: [&str; 3] = ["__pycache__", "node_modules", "site-packages"];

/// What a file is known by.
type Stamp = (Option<SystemTime>, u64);

/// The watched files and how they were found.
type Files = HashMap<PathBuf, Stamp>;

/// Watches the site's files from now on. Each message says what changed; while one is waiting, more
/// changes add nothing to it.
pub(super) fn start(site: &Site) -> io::Result<mpsc::Receiver<String>> {
    let (sender, changes) = mpsc::channel(1);
    let file = site.file.clone();
    let mut roots = roots(site);
    let mut watch = Watch::new(look(&file, &roots).0);
    thread::Builder::new().name("watch".into()).spawn(move || {
        let mut warned = false;
        while !sender.is_closed() {
            thread::sleep(INTERVAL);
            let (files, is_whole) = look(&file, &roots);
            if !is_whole && !warned {
                warned = true;
                eprintln!("watch: more than {MOST} files and directories: changes of the rest are not noticed");
            }
            let changed = watch.seen(files);
            if changed.is_empty() {
                continue;
            }
            if changed.contains(&file)
                && let Ok(site) = tidegate_site::load(&file)
            {
                roots = self::roots(&site);
                // What is watched from now on has not changed.
                watch = Watch::new(look(&file, &roots).0);
            }
            for path in &changed {
                forget_bytecode(path);
            }
            // A message that waits is as good as this one.
            let _ = sender.try_send(describe(&changed));
        }
    })?;
    Ok(changes)
}

/// Directories of apps, none inside another.
fn roots(site: &Site) -> Vec<PathBuf> {
    let all: Vec<&PathBuf> = site.apps.iter().map(|app| &app.directory).collect();
    let mut roots: Vec<PathBuf> = all
        .iter()
        .filter(|root| !all.iter().any(|other| *root != other && root.starts_with(other)))
        .map(|root| (*root).clone())
        .collect();
    roots.sort();
    roots.dedup();
    roots
}

/// Which changes are told, and when.
#[derive(Debug)]
struct Watch {
    /// As told, or as found at first.
    told: Files,
    last: Files,
    unsettled: u32,
}

impl Watch {
    fn new(files: Files) -> Self {
        Self { told: files.clone(), last: files, unsettled: 0 }
    }

    /// A look. Returns what changed since something was told last, once it has settled: an editor
    /// or a checkout that writes several files is one change.
    fn seen(&mut self, files: Files) -> Vec<PathBuf> {
        let settled = files == self.last;
        if files == self.told {
            // Put back as it was.
            (self.last, self.unsettled) = (files, 0);
            return Vec::new();
        }
        self.unsettled += 1;
        if !settled && self.unsettled < UNSETTLED {
            self.last = files;
            return Vec::new();
        }
        let mut changed: Vec<PathBuf> = files
            .iter()
            .filter(|(path, stamp)| self.told.get(*path) != Some(stamp))
            .map(|(path, _)| path.clone())
            .collect();
        changed.extend(self.told.keys().filter(|path| !files.contains_key(*path)).cloned());
        changed.sort();
        *self = Self::new(files);
        changed
    }
}

/// Removes what Python has compiled from this source, by any version. It compiles it again at the next import.
fn forget_bytecode(source: &Path) {
    let (Some(directory), Some(name)) = (source.parent(), source.file_name().and_then(|name| name.to_str())) else {
        return;
    };
    let Some(stem) = name.strip_suffix(".py") else { return };
    // Without that directory nothing was compiled.
    for entry in fs::read_dir(directory.join("__pycache__")).into_iter().flatten().flatten() {
        // `shop.cpython-313.pyc`, `shop.cpython-313.opt-1.pyc`
        let compiled = entry.file_name();
        let rest = compiled.to_str().and_then(|compiled| compiled.strip_prefix(stem));
        if rest.is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".pyc"))
            && let Err(error) = fs::remove_file(entry.path())
            && error.kind() != io::ErrorKind::NotFound
        {
            eprintln!("watch: failed to remove {}, which may hide the change: {error}", entry.path().display());
        }
    }
}

/// `shop.py`, `shop.py and 2 more`.
fn describe(changed: &[PathBuf]) -> String {
    let name = changed.first().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
    match changed.len() {
        0 | 1 => name.into_owned(),
        more => format!("{name} and {} more", more - 1),
    }
}

/// Every watched file, and whether that is all of them.
fn look(file: &Path, roots: &[PathBuf]) -> (Files, bool) {
    let mut files = Files::new();
    let mut room = MOST;
    note(&mut files, file.to_owned());
    let mut directories = roots.to_vec();
    while let Some(directory) = directories.pop() {
        // One that cannot be read, or is gone meanwhile, has no files.
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if room == 0 {
                return (files, false);
            }
            room -= 1;
            // Links to directories are not followed: they could lead in a circle.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    let path = entry.path();
                    if is_source(&entry.file_name().to_string_lossy()) && !path.join("pyvenv.cfg").exists() {
                        directories.push(path);
                    }
                }
                Ok(_) if is_watched(Path::new(&entry.file_name())) => note(&mut files, entry.path()),
                Ok(_) | Err(_) => {}
            }
        }
    }
    (files, true)
}

fn note(files: &mut Files, path: PathBuf) {
    if let Ok(metadata) = fs::metadata(&path) {
        files.insert(path, (metadata.modified().ok(), metadata.len()));
    }
}

fn is_source(directory: &str) -> bool {
    !directory.starts_with('.') && !IGNORED.contains(&directory)
}

fn is_watched(name: &Path) -> bool {
    let extension = name.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| WATCHED.iter().any(|watched| extension.eq_ignore_ascii_case(watched)))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = &'static [(&'static str, u64)];
    type Told = &'static [&'static str];

    fn files(stamps: Found) -> Files {
        stamps.iter().map(|(name, length)| (PathBuf::from(name), (None, *length))).collect()
    }

    #[test]
    fn a_change_is_told_when_it_has_settled() {
        let mut watch = Watch::new(files(&[("a.py", 1), ("b.py", 1)]));
        let steps: [(Found, Told); 12] = [
            (&[("a.py", 1), ("b.py", 1)], &[]),
            (&[("a.py", 2), ("b.py", 1)], &[]),
            (&[("a.py", 2), ("b.py", 1)], &["a.py"]),
            (&[("a.py", 2), ("b.py", 1)], &[]),
            // Several files, one after the other, are one change; so is a file that went.
            (&[("a.py", 3), ("b.py", 1)], &[]),
            (&[("a.py", 3), ("c.py", 1)], &[]),
            (&[("a.py", 3), ("c.py", 1)], &["a.py", "b.py", "c.py"]),
            // What goes on changing is told after a while.
            (&[("a.py", 4)], &[]),
            (&[("a.py", 5)], &[]),
            (&[("a.py", 6)], &["a.py", "c.py"]),
            // What is put back is no change.
            (&[("a.py", 7)], &[]),
            (&[("a.py", 6)], &[]),
        ];
        for (number, (found, told)) in steps.into_iter().enumerate() {
            let told: Vec<PathBuf> = told.iter().map(PathBuf::from).collect();
            assert_eq!(watch.seen(files(found)), told, "step {number}");
        }
    }

    #[test]
    fn code_and_templates_are_watched_and_what_others_wrote_is_not() {
        for (name, watched) in [
            ("shop.py", true),
            ("SHOP.PY", true),
            ("page.html", true),
            ("secrets.env", true),
            ("shop.pyc", false),
            ("log.txt", false),
            ("db.sqlite3", false),
            ("Makefile", false),
        ] {
            assert_eq!(is_watched(Path::new(name)), watched, "{name}");
        }
        for (name, source) in
            [("shop", true), ("templates", true), (".venv", false), (".git", false), ("__pycache__", false)]
        {
            assert_eq!(is_source(name), source, "{name}");
        }
    }

    #[test]
    fn a_look_finds_what_is_below_and_leaves_virtualenvs_out() {
        let root = std::env::temp_dir().join(format!("tidegate-watch-{}", std::process::id()));
        for file in ["app.py", "sub/page.html", "sub/note.txt", "env/pyvenv.cfg", "env/lib.py", ".git/x.py"] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let (found, is_whole) = look(&root.join("tidegate.yaml"), std::slice::from_ref(&root));
        let mut found: Vec<PathBuf> =
            found.into_keys().map(|path| path.strip_prefix(&root).unwrap().to_owned()).collect();
        found.sort();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!((found, is_whole), (vec![PathBuf::from("app.py"), Path::new("sub").join("page.html")], true));
    }

    #[test]
    fn bytecode_of_a_changed_source_is_removed_and_of_no_other() {
        let root = std::env::temp_dir().join(format!("tidegate-bytecode-{}", std::process::id()));
        let cache = root.join("__pycache__");
        fs::create_dir_all(&cache).unwrap();
        let compiled = ["shop.cpython-39.pyc", "shop.cpython-313.opt-1.pyc", "shop.note", "shopping.cpython-39.pyc"];
        for name in compiled {
            fs::write(cache.join(name), "x").unwrap();
        }
        forget_bytecode(&root.join("shop.html"));
        assert_eq!(fs::read_dir(&cache).unwrap().count(), compiled.len());
        forget_bytecode(&root.join("shop.py"));
        let mut left: Vec<_> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(left, ["shop.note", "shopping.cpython-39.pyc"]);
        // Nothing was compiled.
        forget_bytecode(&root.join("shop.py"));
    }

    #[test]
    fn a_change_names_the_first_file() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(describe(&paths(&["a/shop.py"])), "shop.py");
        assert_eq!(describe(&paths(&["a/shop.py", "b", "c"])), "shop.py and 2 more");
    }
}
