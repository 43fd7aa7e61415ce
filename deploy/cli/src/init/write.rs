//! The site file's text for what was found. Whatever it writes, [`tidegate_site::load`] accepts.

use std::fmt::Write as _;

use super::detect::Found;

/// A whole, commented site file.
pub(super) fn site(found: &Found, app: &str) -> String {
    let mut out = String::from(
        "\
# Tidegate site file. Check it with `tidegate check`, start it with `tidegate up`; `tidegate reload` loads
# changes without dropping a request. docs/configuration.md describes every key and its default.
version: 1

# Where clients connect. '[::]' is every address of this machine, IPv4 included.
listeners:
  - { address: '[::]:8443', protocol: https }
  # Sends people who typed no https to the first.
  - { address: '[::]:8080', protocol: redirect }

# Until a certificate is named, a self-signed one for development is made and kept.
# certificates:
#   - { certificate: tls/fullchain.pem, key: tls/privkey.pem }

hosts:
  # Without `names` this host answers to every name.
  - routes:
",
    );
    // Writing to a String cannot fail.
    let _ = match &found.files {
        Some(files) if files.exists => writeln!(
            out,
            "      # Sent by the proxy itself, without Python.\n      - {{ path: {}, files: {} }}",
            quote(&files.path),
            quote(&files.directory)
        ),
        Some(files) => writeln!(
            out,
            "      # Made by `python manage.py collectstatic`; uncomment it when the directory is there.\n      \
             # - {{ path: {}, files: {} }}",
            quote(&files.path),
            quote(&files.directory)
        ),
        None => writeln!(
            out,
            "      # Files that the proxy sends itself, without Python:\n      # - {{ path: /static, files: static }}"
        ),
    };
    let _ = writeln!(out, "      - {{ path: /, app: {app} }}\n\napps:\n  {app}:");
    let _ = writeln!(
        out,
        "    # module:callable; `module:factory()` calls a function that makes it.\n    wsgi: {}",
        quote(&found.wsgi)
    );
    if let Some(directory) = &found.directory {
        let _ = writeln!(out, "    # Working directory, and first on sys.path.\n    directory: {}", quote(directory));
    }
    let _ = match &found.virtualenv {
        Some(virtualenv) => writeln!(out, "    # A virtualenv or an interpreter.\n    python: {}", quote(virtualenv)),
        None => writeln!(
            out,
            "    # A virtualenv or an interpreter; auto is .venv, venv or env here, else the Python on the PATH.\n    \
             python: auto"
        ),
    };
    out.push_str(
        "    \
    # One process is safe for apps that keep state in memory. More use more processor cores.
    processes: 1
    # Grown as requests need them; max is what a database with 100 connections survives.
    threads: { min: 4, max: 64 }
    # A request without an answer by then gets 502, and its thread is freed.
    request_timeout: 30s
",
    );
    if !found.environment.is_empty() {
        out.push_str("    environment:\n");
        for (name, value) in &found.environment {
            let _ = writeln!(out, "      {name}: {}", quote(value));
        }
    }
    out.push_str("    # Passwords and keys belong into a file of NAME=value lines, not into this one.\n");
    out.push_str("    # environment_file: secrets.env\n");
    out
}

/// A YAML scalar in single quotes, in which nothing but the quote itself is special.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled_and_nothing_else_changes() {
        for (text, quoted) in [("static", "'static'"), ("it's", "'it''s'"), ("C:/a b/ü", "'C:/a b/ü'")] {
            assert_eq!(quote(text), quoted);
        }
    }
}
