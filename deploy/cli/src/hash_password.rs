//! `tidegate hash-password`: a line for a `users_file`, from a password on standard input. Never takes the password
//! from the command line, where other users of the host could read it.

use std::io::{IsTerminal as _, Read as _, stdin};

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};

use crate::args::HashPassword;
use crate::failure::Failure;

/// Longer is a file, not a password.
const LONGEST: u64 = 1024;

/// 19 MiB, two passes: what OWASP's cheat sheet on password storage asks for at least.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// Prints the hash, with the user before it if one is named.
pub(crate) fn run(arguments: &HashPassword) -> Result<(), Failure> {
    if stdin().is_terminal() {
        eprintln!("type the password, which is shown, and press Enter");
    }
    let hash = hash(&password()?)?;
    match &arguments.user {
        Some(user) => println!("{user}:{hash}"),
        None => println!("{hash}"),
    }
    Ok(())
}

/// The first line; a terminal's second is not waited for.
fn password() -> Result<Vec<u8>, Failure> {
    let mut line = Vec::new();
    for byte in stdin().lock().take(LONGEST + 1).bytes() {
        match byte.map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))? {
            b'\n' => break,
            byte => line.push(byte),
        }
    }
    if line.len() as u64 > LONGEST {
        return Err(Failure::new(format!("the password has more than {LONGEST} bytes")));
    }
    // Windows' line end, and the mark that its shells put before text.
    let line = line.strip_suffix(b"\r").unwrap_or(&line);
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    if line.is_empty() {
        return Err(Failure::new("no password on standard input").next("pipe one into this command, or type it"));
    }
    Ok(line.to_owned())
}

fn hash(password: &[u8]) -> Result<String, Failure> {
    let (memory, passes, lanes) = COST;
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("the password cannot be hashed: {error}"));
    let params = Params::new(memory, passes, lanes, None).map_err(|error| failed(&error))?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon.hash_password(password).map_err(|error| failed(&error))?;
    Ok(hash.to_string())
}
