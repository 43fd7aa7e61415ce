//! `tidegate init`: looks at an application's directory and writes a site file for it. `detect` and `django` find out what
//! is there, by `directory` and what `source` makes of Python files; `write` makes the YAML; nothing of the app is ever run.

mod detect;
mod directory;
mod django;
mod source;
mod write;

use std::fs;
use std::path::Path;

use crate::args;
use crate::failure::Failure;
use crate::style::Style;

use detect::Found;

/// The file it writes.
const FILE: &str = "tidegate.yaml";

/// Runs the command.
pub(crate) fn run(arguments: &args::Init, style: Style) -> Result<(), Failure> {
    let directory = &arguments.directory;
    let file = if directory == Path::new(".") { FILE.into() } else { directory.join(FILE) };
    if !directory.is_dir() {
        return Err(Failure::new(format!("{} is not a directory", directory.display()))
            .next("name the directory of the application: `tidegate init DIR`"));
    }
    if file.exists() && !arguments.force {
        return Err(Failure::new(format!("{} is there already", file.display()))
            .next("run `tidegate check` to look at it, or `tidegate init --force` to replace it"));
    }
    let found = detect::detect(directory, arguments.wsgi.as_deref()).ok_or_else(|| {
        Failure::new(format!("found no WSGI application in {}", directory.display()))
            .next("name it: `tidegate init --wsgi MODULE:CALLABLE`, for example shop.wsgi:application")
    })?;
    place(&file, &write::site(&found, &app_name(directory)))?;
    println!("{}", style.strong(file.display()));
    for line in story(&found) {
        println!("  {line}");
    }
    println!("\n{} look through the file, then `tidegate check` and `tidegate up`", style.quiet("next: "));
    Ok(())
}

/// Puts the file in its place only if it is a good one; an old one stays otherwise.
fn place(file: &Path, yaml: &str) -> Result<(), Failure> {
    // In the same directory, since paths in it are relative to that.
    let draft = file.with_file_name(format!(".tidegate-{}.yaml", std::process::id()));
    let cannot = |error: std::io::Error| {
        Failure::new(format!("failed to write {}: {error}", file.display()))
            .next("see that the directory may be written to")
    };
    let written = fs::write(&draft, yaml).map_err(cannot).and_then(|()| {
        tidegate_site::load(&draft).map_err(|error| {
            let problems = error.problems().iter().map(|problem| format!("{}: {}", problem.key, problem.message));
            Failure::new(problems.collect::<Vec<_>>().join("\n"))
                .next("name the application with --wsgi MODULE:CALLABLE")
        })?;
        fs::rename(&draft, file).map_err(cannot)
    });
    if written.is_err() {
        // The draft is of no use to anybody; that it cannot be removed is not the problem.
        let _ = fs::remove_file(&draft);
    }
    written
}

/// What was found, in words.
fn story(found: &Found) -> Vec<String> {
    let mut story = vec![format!("application  {} ({})", found.wsgi, found.kind)];
    story.push(match &found.virtualenv {
        Some(virtualenv) => format!("virtualenv   {virtualenv}"),
        None => "virtualenv   none found: the Python on the PATH is used".to_owned(),
    });
    if let Some(files) = &found.files {
        let remark = if files.exists { "" } else { " (not there yet, so the route is commented out)" };
        story.push(format!("static files {} from {}{remark}", files.path, files.directory));
    }
    if found.kind == detect::DJANGO {
        match &found.files {
            Some(files) if files.exists => {}
            Some(_) => story.push("             `python manage.py collectstatic` makes it".to_owned()),
            None => story.push(
                "static files the settings have no STATIC_ROOT: without one Django collects none, and the proxy sends none"
                    .to_owned(),
            ),
        }
    }
    if !found.others.is_empty() {
        story.push(format!("also seen    {} (choose with --wsgi)", found.others.join(", ")));
    }
    story
}

/// The directory's name as an app may be called.
fn app_name(directory: &Path) -> String {
    let absolute = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let name = absolute.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let plain = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' });
    let plain: String = plain.take(32).collect();
    match plain.trim_matches('-') {
        "" => "app".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names_follow_the_directory() {
        for (directory, name) in [
            ("/srv/shop", "shop"),
            ("/srv/My Shop (2)", "my-shop--2"),
            ("/srv/Übung", "bung"),
            ("/srv/___", "app"),
            ("/srv/a-very-long-name-of-a-directory-that-goes-on", "a-very-long-name-of-a-directory"),
        ] {
            assert_eq!(app_name(Path::new(directory)), name);
        }
    }
}
