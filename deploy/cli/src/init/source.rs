//! Python source as text: which names at a module's top level could be a WSGI application. `detect`
//! asks; nothing is parsed beyond the start of each line, and nothing is run.

/// What a module offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    /// The callable, as a target names it: `app`, `create_app()`.
    pub(super) callable: String,
    /// What it is, for people.
    pub(super) kind: &'static str,
}

/// Constructors and functions whose value is a WSGI application.
const MAKERS: [(&str, &str); 8] = [
    ("get_wsgi_application(", "Django"),
    ("flask.Flask(", "Flask"),
    ("Flask(", "Flask"),
    ("falcon.App(", "Falcon"),
    ("bottle.default_app(", "Bottle"),
    ("Bottle(", "Bottle"),
    ("create_app(", "application factory"),
    ("make_app(", "application factory"),
];

/// Names that applications have by custom, best first.
const NAMES: [&str; 4] = ["application", "app", "wsgi_app", "wsgi"];

/// Functions that make an application.
const FACTORIES: [&str; 2] = ["create_app", "make_app"];

/// The best offer of a module.
pub(super) fn offer(text: &str) -> Option<Offer> {
    let lines: Vec<&str> = top_level(text).collect();
    made(&lines).or_else(|| defined(&lines)).or_else(|| imported(&lines)).or_else(|| factory(&lines, text))
}

/// Where a Flask application has its static files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FlaskFiles {
    /// Relative to the module's directory, or absolute.
    pub(super) folder: String,
    /// The path in URLs.
    pub(super) url: String,
}

/// What the call of `Flask(...)` in a module says of static files; nothing without such a call, or if it says that there
/// are none.
pub(super) fn flask_files(text: &str) -> Option<FlaskFiles> {
    let (_, rest) = text.split_once("Flask(")?;
    // Up to the end of the call, or of a line that is far enough: what is in it is read, not understood.
    let call = rest.split_once("\n\n").map_or(rest, |(call, _)| call);
    let call = call.split_once("\n@").map_or(call, |(call, _)| call);
    let argument = |name: &str| {
        let (_, value) = call.split_once(name)?;
        let value = value.trim_start().strip_prefix('=')?.trim_start();
        Some(value.trim_start_matches('r'))
    };
    let literal = |value: &str| {
        let quote = value.chars().next().filter(|letter| matches!(letter, '"' | '\''))?;
        Some(value[1..].split_once(quote)?.0.replace("\\\\", "\\"))
    };
    let folder = match argument("static_folder") {
        // None, or a name of which only Python knows the value.
        Some(value) => literal(value)?,
        None => "static".to_owned(),
    };
    let last = folder.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or("static").to_owned();
    let url = argument("static_url_path").and_then(literal).unwrap_or(last);
    Some(FlaskFiles { folder, url })
}

/// The lines that start a statement of the module itself.
fn top_level(text: &str) -> impl Iterator<Item = &str> {
    let mut quote: Option<&str> = None;
    text.trim_start_matches('\u{feff}').lines().filter(move |line| {
        let inside = quote.is_some();
        let mut rest = *line;
        loop {
            let next = match quote {
                Some(open) => rest.find(open).map(|at| (at, open)),
                None => ["\"\"\"", "'''"].into_iter().filter_map(|q| rest.find(q).map(|at| (at, q))).min(),
            };
            let Some((at, found)) = next else { break };
            quote = if quote.is_some() { None } else { Some(found) };
            rest = &rest[at + found.len()..];
        }
        !inside && line.starts_with(|first: char| first.is_alphabetic() || first == '_')
    })
}

/// `app = Flask(__name__)`, annotated or not.
fn made(lines: &[&str]) -> Option<Offer> {
    let mut found = lines.iter().rev().filter_map(|line| {
        let (left, right) = line.split_once('=')?;
        let name = left.split(':').next()?.trim();
        let right = right.trim();
        let (_, kind) = MAKERS.iter().find(|(maker, _)| right.starts_with(maker))?;
        is_name(name).then(|| Offer { callable: name.to_owned(), kind })
    });
    // The last one: what is wrapped or renamed at the end is what is meant to be served.
    found.next()
}

/// `def application(environ, start_response):` and `application = Middleware(...)`.
fn defined(lines: &[&str]) -> Option<Offer> {
    let is = |line: &str, name: &str| {
        let function = line.strip_prefix("def ").and_then(|rest| rest.strip_prefix(name));
        let assigned = line.strip_prefix(name).map(str::trim_start);
        function.is_some_and(|rest| rest.trim_start().starts_with("(environ"))
            || (name == "application" && assigned.is_some_and(|rest| rest.starts_with('=') && !rest.starts_with("==")))
    };
    let name = NAMES.iter().find(|name| lines.iter().any(|line| is(line, name)))?;
    Some(Offer { callable: (*name).to_owned(), kind: "WSGI callable" })
}

/// `from shop import app as application`.
fn imported(lines: &[&str]) -> Option<Offer> {
    let names = |line: &&str| -> Vec<String> {
        let Some((_, list)) = line.strip_prefix("from ").and_then(|rest| rest.split_once(" import ")) else {
            return Vec::new();
        };
        let list = list.split('#').next().unwrap_or(list).trim().trim_matches(['(', ')']);
        list.split(',').filter_map(|item| item.split_whitespace().last()).map(str::to_owned).collect()
    };
    let imported: Vec<String> = lines.iter().flat_map(names).collect();
    let name = ["application", "app"].into_iter().find(|name| imported.iter().any(|found| found == name))?;
    Some(Offer { callable: name.to_owned(), kind: "imported WSGI callable" })
}

/// `def create_app():` of a module that knows a framework.
fn factory(lines: &[&str], text: &str) -> Option<Offer> {
    let name = FACTORIES.into_iter().find(|name| {
        lines.iter().any(|line| {
            line.strip_prefix("def ").and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
        })
    })?;
    let kind = if text.contains("Flask") { "Flask application factory" } else { "application factory" };
    Some(Offer { callable: format!("{name}()"), kind })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flask_says_where_its_files_are() {
        for (call, expected) in [
            ("app = Flask(__name__)", Some(("static", "static"))),
            ("app = Flask(__name__, static_folder='assets')", Some(("assets", "assets"))),
            (
                "app = Flask(\n    __name__,\n    static_folder=\"../web/dist\",\n    static_url_path='/s',\n)",
                Some(("../web/dist", "/s")),
            ),
            (r"app = Flask(__name__, static_folder=r'C:\shop\files')", Some((r"C:\shop\files", "files"))),
            ("app = Flask(__name__, static_url_path='')", Some(("static", ""))),
            ("app = Flask(__name__, static_folder=None)", None),
            ("app = Flask(__name__, static_folder=FOLDER)", None),
            ("app = Sanic()", None),
        ] {
            let found = flask_files(call);
            let found = found.as_ref().map(|files| (files.folder.as_str(), files.url.as_str()));
            assert_eq!(found, expected, "{call}");
        }
    }

    #[test]
    fn offers_are_read_off_the_text() {
        for (text, expected) in [
            ("from flask import Flask\napp = Flask(__name__)\n", Some("app")),
            ("from flask import Flask\nshop: Flask = Flask(__name__)\n", Some("shop")),
            ("import flask\nsite = flask.Flask('x')", Some("site")),
            ("\u{feff}def application(environ, start_response):\r\n    return []\r\n", Some("application")),
            ("def app(environ, respond):\n    pass", Some("app")),
            ("from shop import app as application  # served", Some("application")),
            ("from shop import (db, app)", Some("app")),
            (
                "from flask import Flask\ndef create_app(config=None):\n    app = Flask(__name__)\n",
                Some("create_app()"),
            ),
            ("from shop import create_app\napp = create_app()\n", Some("app")),
            ("application = get_wsgi_application()\napplication = WhiteNoise(application)", Some("application")),
            ("def create_app():\n  pass\napp = Sanic('x')", Some("create_app()")),
            ("\"\"\"Usage:\n\napp = Flask(__name__)\n\"\"\"\nimport os", None),
            ("'''one line''' \nx = 1", None),
            ("if True:\n    app = Flask(__name__)", None),
            ("def app(request):\n    pass", None),
            ("", None),
        ] {
            assert_eq!(offer(text).map(|offer| offer.callable).as_deref(), expected, "{text}");
        }
    }
}
