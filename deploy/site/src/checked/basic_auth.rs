//! Checked: who may come in with a name and a password.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use http::HeaderValue;

/// Names and passwords that a route asks for. The proxy knows at least one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicAuth {
    /// The value of WWW-Authenticate.
    pub challenge: HeaderValue,
    /// The file of users.
    pub users_file: PathBuf,
    /// The users, by name; none for a reader to whom they are secret.
    pub users: BTreeMap<String, PasswordHash>,
    /// Whether an app gets the Authorization field.
    pub forward: bool,
}

/// What is kept of a password, in the form in which programs write it. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordHash {
    /// `$2b$12$...`
    Bcrypt(String),
    /// `$argon2id$v=19$m=...,t=...,p=...$...$...`
    Argon2id(String),
}

impl PasswordHash {
    /// The text, for whoever checks a password.
    pub fn text(&self) -> &str {
        match self {
            Self::Bcrypt(text) | Self::Argon2id(text) => text,
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bcrypt(_) => "Bcrypt(..)",
            Self::Argon2id(_) => "Argon2id(..)",
        })
    }
}
