//! `hosts`: names and the routes below them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::apps::Apps;
use crate::check::keys::joined;
use crate::check::paths::Base;
use crate::check::rules::RULES;
use crate::check::{LONGEST, SHORTEST, files, limits, maintenance, names, redirects, rules};
use crate::checked::{AppRoute, Limits, Mount, Priority, Route, Rules, Target, VirtualHost};
use crate::raw::{Node, Table};
use crate::{defaults, suggest, syntax};

/// Keys of a host beside its rules.
pub(crate) const OWN_HOST: &[&str] =
    &["names", "aliases", "redirects", "rewrites", "routes", "maintenance", "maintenance_allow"];
/// Keys of a route that are about its app.
const APP_KEYS: &[&str] = &["request_timeout", "max_body", "mount", "buffering", "priority"];
/// Keys of a route beside its rules.
pub(crate) const OWN_ROUTE: &[&str] = &joined::<{ 4 + files::KEYS.len() + APP_KEYS.len() }>(&[
    &["path", "redirect", "files"],
    files::KEYS,
    &["app"],
    APP_KEYS,
]);
const HOST: &[&str] = &joined::<{ OWN_HOST.len() + RULES.len() }>(&[OWN_HOST, RULES]);
const ROUTE: &[&str] = &joined::<{ OWN_ROUTE.len() + RULES.len() }>(&[OWN_ROUTE, RULES]);

const ROUTES: &str = "a list of { path: /, app: NAME } or { path: /static, files: DIRECTORY }";
const PATH: &str = "a path such as / or /static";

/// What routes refer to.
struct Around<'c> {
    base: &'c Base,
    apps: &'c Apps,
    limits: Option<&'c Limits>,
}

/// All hosts. Without `hosts` in the file, the only app answers everything.
pub(crate) fn all(root: &Table<'_>, base: &Base, apps: &Apps, limits: Option<&Limits>) -> Option<Vec<VirtualHost>> {
    let around = Around { base, apps, limits };
    let Some(node) = root.get("hosts") else {
        return default(root, &around);
    };
    let nodes = node.list("a list of { names: [shop.example], routes: [...] }")?;
    if nodes.is_empty() {
        return node.reject("is empty: expected at least one host");
    }
    let mut names = BTreeMap::new();
    let mut reached = Vec::new();
    let hosts: Vec<Option<VirtualHost>> =
        nodes.iter().map(|node| host(node, &around, &mut names, &mut reached)).collect();
    let unreached: Vec<&String> = apps.names.iter().filter(|name| !reached.contains(*name)).collect();
    for name in &unreached {
        let short = root.get("app").is_some() && *name == defaults::APP_NAME;
        let key = if short { root.path("app") } else { format!("{}.{name}", root.path("apps")) };
        root.problems().add(&key, format!("is not reached by any route: expected a route with app: {name}"));
    }
    let mut hosts: Vec<VirtualHost> = hosts.into_iter().collect::<Option<_>>()?;
    files::number(&mut hosts);
    unreached.is_empty().then_some(hosts)
}

fn default(root: &Table<'_>, around: &Around<'_>) -> Option<Vec<VirtualHost>> {
    if !around.apps.complete {
        return None;
    }
    match around.apps.names.as_slice() {
        [] => root.reject(format!("nothing to serve: expected at least {}", syntax::LEAST)),
        [name] => Some(vec![VirtualHost {
            names: vec![defaults::HOST_NAME.to_owned()],
            maintenance: maintenance::open(),
            aliases: Vec::new(),
            redirects: Vec::new(),
            rewrites: Vec::new(),
            routes: vec![Route {
                prefix: String::new(),
                target: Target::App(plain(name, around)?),
                rules: Arc::default(),
            }],
            rules: Arc::default(),
        }]),
        names => {
            let names = names.join(", ");
            root.problems().add(
                &root.path("hosts"),
                format!("missing: expected routes that say which path each of {names} answers"),
            );
            None
        }
    }
}

fn host(
    node: &Node<'_>,
    around: &Around<'_>,
    taken: &mut BTreeMap<String, String>,
    reached: &mut Vec<String>,
) -> Option<VirtualHost> {
    let table = node.table(HOST)?;
    let names = match table.get("names") {
        None => names::claim(defaults::HOST_NAME.to_owned(), node, taken).map(|name| vec![name]),
        Some(node) => names::read(&node, taken),
    };
    let aliases = table.read("aliases", Vec::new(), |node| names::aliases(&node, names.as_deref(), taken));
    let redirects = table.read("redirects", Vec::new(), |node| redirects::redirects(&node));
    let rewrites = table.read("rewrites", Vec::new(), |node| redirects::rewrites(&node));
    let place = names.iter().flatten().next().map_or("", String::as_str);
    let rules = rules::read(&table, &Rules::default(), place, around.base).map(Arc::new);
    // Wrong rules are reported once, and not again in every route.
    let inherited = rules.clone().unwrap_or_default();
    let routes = table.require("routes", ROUTES).and_then(|node| routes(&node, around, reached, &inherited, place));
    let maintenance = maintenance::read(&table);
    Some(VirtualHost {
        names: names?,
        maintenance: maintenance?,
        aliases: aliases?,
        redirects: redirects?,
        rewrites: rewrites?,
        routes: routes?,
        rules: rules?,
    })
}

fn routes(
    node: &Node<'_>,
    around: &Around<'_>,
    reached: &mut Vec<String>,
    inherited: &Arc<Rules>,
    host: &str,
) -> Option<Vec<Route>> {
    let nodes = node.list(ROUTES)?;
    if nodes.is_empty() {
        return node.reject("is empty: expected at least one route");
    }
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    let mut routes = super::every(&nodes, |node| {
        let table = node.table(ROUTE)?;
        let prefix = table.require("path", PATH).and_then(|node| {
            let prefix = prefix(&node)?;
            if let Some(earlier) = taken.get(&prefix) {
                return node.reject(format_args!("taken by {earlier}: expected each path once in a host"));
            }
            taken.insert(prefix.clone(), node.key().to_owned());
            Some(prefix)
        });
        let target = target(&table, around, reached);
        let path = prefix.as_deref().filter(|prefix| !prefix.is_empty()).unwrap_or("/");
        let rules = rules::read(&table, inherited, &format!("{host}{path}"), around.base);
        let (mut target, rules) = (target?, rules?);
        if let Target::Files(files) = &mut target {
            files.compress = rules::compress::of_files(rules.compress.as_ref());
        }
        Some(Route { prefix: prefix?, target, rules: Arc::new(rules) })
    })?;
    // The first that matches is then the most specific.
    routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
    Some(routes)
}

/// A path without a slash at its end, in the one form in which requests' paths arrive.
fn prefix(node: &Node<'_>) -> Option<String> {
    let text = node.text(PATH)?;
    let prefix = text.strip_suffix('/').unwrap_or(text);
    let wrong = if !text.starts_with('/') {
        "does not start with /"
    } else if !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
        "holds a space or a non-ASCII character"
    } else if prefix.contains(['%', '?', '#', '\\']) {
        "holds %, ?, # or \\"
    } else if prefix.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) {
        "holds an empty segment, . or .."
    } else {
        return Some(prefix.to_owned());
    };
    node.reject(format_args!("{wrong}: expected {PATH}"))
}

fn target(table: &Table<'_>, around: &Around<'_>, reached: &mut Vec<String>) -> Option<Target> {
    match (table.get("app"), table.get("files"), table.get("redirect")) {
        (Some(node), None, None) => {
            let only = only_with("files", table, files::KEYS);
            let app = app(&node, table, around, reached);
            only.and(app).map(Target::App)
        }
        (None, Some(node), None) => {
            let only = only_with("app", table, APP_KEYS);
            let files = files::read(&node, table, around.base, None);
            only.and(files).map(Target::Files)
        }
        (Some(node), Some(files), None) => {
            let app = app(&node, table, around, reached);
            let files = files::read(&files, table, around.base, app.clone());
            app.and(files).map(Target::Files)
        }
        (None, None, Some(node)) => {
            let only = only_with("app", table, APP_KEYS).and(only_with("files", table, files::KEYS));
            let redirection = redirects::target(&node);
            only.and(redirection).map(Target::Redirect)
        }
        (None, None, None) => {
            table.reject("has neither app nor files nor redirect: expected one of them, or files and app")
        }
        (app, _, Some(_)) => {
            // It is reached by intention; a second message would only distract.
            reached.extend(app.as_ref().and_then(|app| app.text("the name of an app")).map(str::to_owned));
            table.reject("has redirect beside files or app: expected one of them")
        }
    }
}

fn only_with(other: &str, table: &Table<'_>, keys: &[&str]) -> Option<()> {
    let mut none = Some(());
    for node in keys.iter().filter_map(|key| table.get(key)) {
        none = node.reject_key(format!("expected only in a route with {other}"));
    }
    none
}

fn app(node: &Node<'_>, table: &Table<'_>, around: &Around<'_>, reached: &mut Vec<String>) -> Option<AppRoute> {
    let name = node.text("the name of an app")?;
    let names: Vec<&str> = around.apps.names.iter().map(String::as_str).collect();
    if names.contains(&name) {
        reached.push(name.to_owned());
    } else if around.apps.complete {
        let near = suggest::closest(name, &names);
        // An app that was mistyped here is meant to be reached.
        reached.extend(near.map(str::to_owned));
        let hint = match near {
            Some(near) => format!("did you mean {near}?"),
            None if names.is_empty() => "the file has none".to_owned(),
            None => format!("expected one of {}", names.join(", ")),
        };
        node.reject::<()>(format_args!("there is no such app: {hint}"));
    }
    let default = plain(name, around);
    let request_timeout = table.read("request_timeout", None, |node| node.duration(SHORTEST..=LONGEST).map(Some));
    let max_body = table.read("max_body", None, |node| node.size(0..=limits::LARGEST_BODY).map(Some));
    let mount = table.read("mount", defaults::MOUNT, |node| match () {
        () if node.is_on() => Some(Mount::On),
        () if node.is_off() => Some(Mount::Off),
        () if node.is_text("strip") => Some(Mount::Strip),
        () => node.reject("expected on, off or strip"),
    });
    let buffering = table.read("buffering", defaults::BUFFERING, |node| node.switch());
    let priority = table.read("priority", defaults::PRIORITY, |node| {
        node.choice(&Priority::ALL.map(|priority| (priority.label(), priority)))
    });
    let default = default?;
    Some(AppRoute {
        app: default.app,
        request_timeout: request_timeout?.unwrap_or(default.request_timeout),
        max_body: max_body?.unwrap_or(default.max_body),
        mount: mount?,
        buffering: buffering?,
        priority: priority?,
    })
}

/// A route to an app of which nothing else is said; `None` if the app or the limits have problems.
fn plain(name: &str, around: &Around<'_>) -> Option<AppRoute> {
    let app = around.apps.checked.iter().find(|app| &*app.name == name)?;
    Some(AppRoute {
        app: app.name.clone(),
        request_timeout: app.request_timeout,
        max_body: around.limits?.body_size,
        mount: defaults::MOUNT,
        buffering: defaults::BUFFERING,
        priority: defaults::PRIORITY,
    })
}
