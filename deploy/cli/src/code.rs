//! Where the code lies that the services run, and who else may write there: whoever may is the services' account as soon as a
//! worker starts. Used by `service install`, which refuses or closes such places, by `doctor`, and before `check` and `doctor` import
//! an app with an administrator's rights.

use std::path::PathBuf;

use tidegate_host::{By, Writer, machine};
use tidegate_site::{App, Python, Site, interpreter};

/// A place of code that somebody else may write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) what: &'static str,
    pub(crate) writer: Writer,
}

/// Every such place of a site, beside what the `trusted` accounts may write to. What cannot be read is passed over: it is said elsewhere.
pub(crate) fn open_places(site: &Site, trusted: &[String]) -> Vec<Open> {
    let mut found: Vec<Open> = Vec::new();
    for (what, path) in places(site) {
        for writer in tidegate_host::writers(&path, trusted).unwrap_or_default() {
            // A directory that holds two of them is one finding.
            if !found.iter().any(|known| known.writer == writer) {
                found.push(Open { what, writer });
            }
        }
    }
    found
}

/// Why this command must not import the apps, and what to do: it may do everything, and somebody else may write what it would run.
pub(crate) fn import_refused(site: &Site) -> Option<(String, String)> {
    if !machine::is_administrator() {
        return None;
    }
    let open = open_places(site, &[]).into_iter().next()?;
    let text = format!("not imported: {}, and this command may do everything on this machine", open.sentence());
    let next =
        format!("run it from an account without an administrator's rights, or keep others out: {}", open.command(&[]));
    Some((text, next))
}

impl Open {
    /// `everybody may write to /srv/shop, where an app is`.
    pub(crate) fn sentence(&self) -> String {
        let Writer { place, account, by } = &self.writer;
        let may = if *by == By::OwningIt { "owns" } else { "may write to" };
        format!("{account} {may} {}, where {} is", place.display(), self.what)
    }

    /// What keeps it from that, and lets these accounts read.
    pub(crate) fn command(&self, readers: &[String]) -> String {
        let Writer { place, by, .. } = &self.writer;
        match by {
            By::OwningIt => machine::own_command(place),
            By::BeingAnybody | By::AnEntry => machine::close_command(place, readers),
        }
    }
}

/// The site file, apps with their Pythons, and the programs.
fn places(site: &Site) -> Vec<(&'static str, PathBuf)> {
    let mut places = vec![("the site file", site.file.clone())];
    for app in &site.apps {
        places.push(("an app", app.directory.clone()));
        places.extend(python(app).map(|python| ("an app's Python", python)));
    }
    places.extend(std::env::current_exe().ok().map(|program| ("the programs", program)));
    places
}

/// What the app server's account has to read to start workers: the programs, and of each app the interpreter with the Python that it
/// was made from. One that is searched for in PATH is left out: the service has a PATH of its own.
pub(crate) fn needed(site: &Site) -> Vec<PathBuf> {
    let programs = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.to_owned()));
    let pythons: Vec<PathBuf> = site.apps.iter().filter_map(own_python).collect();
    let bases: Vec<PathBuf> = pythons.iter().filter_map(|python| interpreter::base_directory(python)).collect();
    programs.into_iter().chain(pythons).chain(bases).collect()
}

/// The interpreter of an app, as the app server finds it.
fn python(app: &App) -> Option<PathBuf> {
    let of_path = || tidegate_host::python_names().iter().find_map(|name| tidegate_host::find_program(name));
    match &app.python {
        Python::Find if customary(app).is_none() => of_path(),
        _ => own_python(app),
    }
}

/// The one that the site file names, or that is in an environment below the app.
fn own_python(app: &App) -> Option<PathBuf> {
    let of_directory = |path: &PathBuf| interpreter::of_directory(path).ok();
    match &app.python {
        Python::At(path) if path.is_dir() => of_directory(path),
        Python::At(path) => Some(path.clone()),
        Python::Find => customary(app).as_ref().and_then(of_directory),
    }
}

fn customary(app: &App) -> Option<PathBuf> {
    let all = interpreter::CUSTOMARY.map(|name| app.directory.join(name));
    all.into_iter().find(|environment| interpreter::is_environment(environment))
}
