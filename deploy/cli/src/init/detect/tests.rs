//! Detection in directories made for each test; what `init` writes for them must load.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::init::{place, write};

/// A directory that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(files: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // A space and letters outside ASCII: paths have them.
        let name = format!("tidegate init {} {number} ä", std::process::id());
        let scratch = Self(std::env::temp_dir().join(name));
        for (file, text) in files {
            let path = scratch.0.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        scratch
    }

    /// Detects, writes and loads, and answers what was found.
    fn init(&self, wsgi: Option<&str>) -> Found {
        let found = detect(&self.0, wsgi).expect("an application");
        let file = self.0.join("tidegate.yaml");
        place(&file, &write::site(&found, "shop")).unwrap();
        let site = tidegate_site::load(&file).unwrap();
        assert_eq!(site.apps[0].wsgi, found.wsgi);
        assert_eq!(tidegate_site::usual_control_endpoint(&file).unwrap(), site.control_endpoint());
        found
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const MANAGE: &str = "import os\ndef main():\n    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n";
const FLASK: &str = "from flask import Flask\napp = Flask(__name__)\n";

fn venv(name: &str) -> String {
    tidegate_host::venv_python(Path::new(name)).to_str().unwrap().to_owned()
}

#[test]
fn a_flask_module_with_its_virtualenv_and_static_files() {
    let python = venv(".venv");
    let scratch = Scratch::new(&[("app.py", FLASK), ("static/site.css", ""), (&python, "")]);
    let found = scratch.init(None);
    assert_eq!(found.wsgi, "app:app");
    assert_eq!(found.kind, "Flask");
    assert_eq!(found.virtualenv.as_deref(), Some(".venv"));
    assert_eq!(found.files.map(|files| (files.path, files.directory)), Some(("/static".into(), "static".into())));
}

#[test]
fn wsgi_py_goes_before_the_module_that_it_imports_from() {
    let scratch = Scratch::new(&[("app.py", FLASK), ("wsgi.py", "from app import app as application\n")]);
    let found = scratch.init(None);
    assert_eq!((found.wsgi.as_str(), found.others.as_slice()), ("wsgi:application", &["app:app".to_owned()][..]));
}

#[test]
fn a_factory_in_a_package_and_below_src() {
    let factory = "from flask import Flask\n\ndef create_app():\n    return Flask(__name__)\n";
    let scratch = Scratch::new(&[("shop/__init__.py", factory), ("setup.py", "app = Flask('no')")]);
    let found = scratch.init(None);
    assert_eq!((found.wsgi.as_str(), found.directory), ("shop:create_app()", None));
    let scratch = Scratch::new(&[("src/shop/__init__.py", ""), ("src/shop/web.py", factory)]);
    let found = scratch.init(None);
    assert_eq!((found.wsgi.as_str(), found.directory.as_deref()), ("shop.web:create_app()", Some("src")));
}

#[test]
fn a_django_project_with_collected_files() {
    let settings = "WSGI_APPLICATION = 'shop.wsgi.application'\nSTATIC_URL = '/assets/'\n\
                    STATIC_ROOT = BASE_DIR / 'collected'\n";
    let files = [("manage.py", MANAGE), ("shop/settings.py", settings), ("shop/wsgi.py", ""), ("collected/a.css", "")];
    let found = Scratch::new(&files).init(None);
    assert_eq!((found.wsgi.as_str(), found.kind.as_str()), ("shop.wsgi:application", "Django"));
    assert_eq!(found.environment, [("DJANGO_SETTINGS_MODULE".to_owned(), "shop.settings".to_owned())]);
    let expected = StaticFiles { path: "/assets".into(), directory: "collected".into(), exists: true };
    assert_eq!(found.files, Some(expected));
}

#[test]
fn a_django_project_below_with_split_settings_and_no_files_yet() {
    let manage = MANAGE.replace("shop.settings", "shop.settings.dev");
    let files = [
        ("backend/manage.py", manage.as_str()),
        ("backend/shop/settings/dev.py", "from .base import *\n"),
        ("backend/shop/settings/base.py", "STATIC_ROOT = os.path.join(BASE_DIR, \"staticfiles\")\n"),
        ("backend/shop/wsgi.py", "application = get_wsgi_application()\n"),
    ];
    let found = Scratch::new(&files).init(None);
    assert_eq!((found.wsgi.as_str(), found.directory.as_deref()), ("shop.wsgi:application", Some("backend")));
    let files = found.files.unwrap();
    assert_eq!((files.directory.as_str(), files.exists), ("backend/staticfiles", false));
}

#[test]
fn static_files_are_where_flask_has_them() {
    let factory = "from flask import Flask\n\ndef create_app():\n    return Flask(__name__, static_folder='../web/dist', static_url_path='/s')\n";
    let scratch = Scratch::new(&[("shop/__init__.py", factory), ("web/dist/site.css", "")]);
    let found = scratch.init(None).files.unwrap();
    assert_eq!((found.path.as_str(), found.directory.as_str()), ("/s", "web/dist"));
    // In the package, and named by another module than the one that is served.
    let scratch = Scratch::new(&[
        ("shop/__init__.py", FLASK),
        ("shop/static/site.css", ""),
        ("wsgi.py", "from shop import app as application\n"),
    ]);
    let found = scratch.init(None);
    assert_eq!((found.wsgi.as_str(), found.files.unwrap().directory.as_str()), ("wsgi:application", "shop/static"));
}

#[test]
fn files_as_editors_on_windows_write_them() {
    let flask = format!("\u{feff}{}", FLASK.replace('\n', "\r\n"));
    let scratch = Scratch::new(&[("app.py", flask.as_str())]);
    // In a code page: the letter is no UTF-8.
    let mut bytes = b"# -*- coding: cp1252 -*-\r\n# B\xe4cker\r\n".to_vec();
    bytes.extend_from_slice(FLASK.as_bytes());
    fs::write(scratch.0.join("wsgi.py"), bytes).unwrap();
    let found = scratch.init(None);
    assert_eq!((found.wsgi.as_str(), found.others.as_slice()), ("wsgi:app", &["app:app".to_owned()][..]));
    let manage = format!("\u{feff}{}", MANAGE.replace('\n', "\r\n"));
    let files =
        [("manage.py", manage.as_str()), ("shop/wsgi.py", ""), ("shop/settings.py", "STATIC_URL = 'static/'\r\n")];
    let found = Scratch::new(&files).init(None);
    assert_eq!((found.wsgi.as_str(), found.files), ("shop.wsgi:application", None));
}

#[test]
fn the_operators_file_may_come_from_notepad() {
    let scratch = Scratch::new(&[("app.py", FLASK)]);
    scratch.init(None);
    let file = scratch.0.join("tidegate.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
    assert_eq!(tidegate_site::load(&file).unwrap().apps[0].wsgi, "app:app");
}

#[test]
fn a_virtualenv_of_any_name_is_found_and_else_the_active_one() {
    let python = venv("my env");
    let scratch = Scratch::new(&[("app.py", FLASK), ("my env/pyvenv.cfg", ""), (&python, "")]);
    assert_eq!(scratch.init(None).virtualenv.as_deref(), Some("my env"));
    let elsewhere = Scratch::new(&[(&venv("shop"), "")]);
    let active = elsewhere.0.join("shop");
    let found = virtualenv(&scratch.0.join("no such place"), &[], Some(active.clone())).unwrap();
    assert_eq!(Path::new(&found), active);
    assert!(!found.contains('\\'), "{found}");
    assert_eq!(virtualenv(&scratch.0, &[], Some(elsewhere.0.clone())), None);
}

#[test]
fn django_settings_as_windows_projects_have_them() {
    let root = std::env::temp_dir().join("tidegate collected");
    let shown = root.display().to_string();
    for (setting, expected) in [
        (format!("STATIC_ROOT = r'{shown}'\r\n"), forward(&root)),
        (format!("STATIC_ROOT = '{}'\r\n", shown.replace('\\', "\\\\")), forward(&root)),
        ("STATIC_ROOT = BASE_DIR / os.environ.get('STATIC', 'collected')\r\n".to_owned(), "collected".to_owned()),
    ] {
        let files = [("manage.py", MANAGE), ("shop/wsgi.py", ""), ("shop/settings.py", setting.as_str())];
        let found = Scratch::new(&files).init(None);
        assert_eq!(found.files.unwrap().directory, expected, "{setting}");
    }
}

#[test]
fn the_operators_word_counts() {
    let scratch = Scratch::new(&[("app.py", FLASK)]);
    assert_eq!(scratch.init(Some("other.module:make()")).wsgi, "other.module:make()");
}

#[test]
fn a_target_that_cannot_be_leaves_the_old_file() {
    let scratch = Scratch::new(&[("app.py", FLASK), ("tidegate.yaml", "old")]);
    let file = scratch.0.join("tidegate.yaml");
    let found = detect(&scratch.0, Some("app.py")).unwrap();
    assert!(place(&file, &write::site(&found, "shop")).is_err());
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    assert_eq!(entries(&scratch.0).len(), 2);
}

#[test]
fn nothing_is_found_where_there_is_nothing() {
    let scratch = Scratch::new(&[("notes.txt", "app = Flask()"), ("tool.py", "print('hello')")]);
    assert_eq!(detect(&scratch.0, None), None);
}
