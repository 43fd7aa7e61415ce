//! `tidegate hash-password`: a line for a `users_file`, from a password on standard input. Never takes the password
//! from the command line, where other users of the host could read it.

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};

use crate::args::HashPassword;
use crate::failure::Failure;
use crate::password;

/// 19 MiB, two passes: what OWASP's cheat sheet on password storage asks for at least.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// Prints the hash, with the user before it if one is named.
pub(crate) fn run(arguments: &HashPassword) -> Result<(), Failure> {
    let hash = hash(password::read("password to hash")?.as_bytes())?;
    match &arguments.user {
        Some(user) => println!("{user}:{hash}"),
        None => println!("{hash}"),
    }
    Ok(())
}

fn hash(password: &[u8]) -> Result<String, Failure> {
    let (memory, passes, lanes) = COST;
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("the password cannot be hashed: {error}"));
    let params = Params::new(memory, passes, lanes, None).map_err(|error| failed(&error))?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon.hash_password(password).map_err(|error| failed(&error))?;
    Ok(hash.to_string())
}
