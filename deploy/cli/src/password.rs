//! A password from whoever runs the command: typed, or on standard input. Used by `hash-password` and `service install`. Never
//! from the command line, where others on the machine could read it.

use std::io::{BufRead, IsTerminal as _, Read as _, stdin};

use tidegate_host::{Password, Quiet};

use crate::failure::Failure;

/// Longer is a file, not a password.
const LONGEST: usize = 1024;

/// The first line of standard input. Where that is a terminal, `what` is asked for there, and what is typed is not shown.
pub(crate) fn read(what: &str) -> Result<Password, Failure> {
    if !stdin().is_terminal() {
        return line(stdin().lock());
    }
    let quiet = Quiet::start();
    match &quiet {
        Ok(_) => eprint!("{what}: "),
        Err(_) => eprint!("{what} (it is shown): "),
    }
    let typed = line(stdin().lock());
    if quiet.is_ok() {
        eprintln!();
    }
    typed
}

/// The first line; a terminal's second is not waited for.
fn line(input: impl BufRead) -> Result<Password, Failure> {
    // Enough at once: a buffer that grows leaves copies.
    let mut line = Vec::with_capacity(LONGEST + 3);
    for byte in input.take(LONGEST as u64 + 3).bytes() {
        match byte.map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))? {
            b'\n' => break,
            byte => line.push(byte),
        }
    }
    // Windows' line end, and the mark that its shells put before text.
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    if line.starts_with(b"\xef\xbb\xbf") {
        line.drain(..3);
    }
    // Wiped from here on, whatever comes of it.
    let password = Password::new(line);
    match password.as_bytes().len() {
        0 => Err(Failure::new("no password on standard input").next("pipe one into this command, or type it")),
        length if length > LONGEST => Err(Failure::new(format!("the password has more than {LONGEST} bytes"))),
        _ => Ok(password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_password() {
        let longest = "x".repeat(LONGEST);
        for (input, expected) in [
            ("secret", Some("secret")),
            ("secret\nmore", Some("secret")),
            ("secret\r\n", Some("secret")),
            ("\u{feff}secret\r\n", Some("secret")),
            (" a b \n", Some(" a b ")),
            (longest.as_str(), Some(longest.as_str())),
            ("", None),
            ("\r\n", None),
            (&format!("{longest}x"), None),
            (&format!("{longest}{longest}"), None),
        ] {
            let read = line(input.as_bytes()).ok();
            assert_eq!(read.as_ref().map(Password::as_bytes), expected.map(str::as_bytes), "{input}");
        }
    }
}
