//! `basic_auth`: the realm and the file of users. No message ever holds a hash, or what may be a password.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use http::HeaderValue;

use crate::check::paths::Base;
use crate::checked::{BasicAuth, PasswordHash};
use crate::error::Problem;
use crate::raw::{Node, Table};
use crate::{defaults, syntax};

/// Keys of `basic_auth`.
pub(crate) const BASIC_AUTH: &[&str] = &["realm", "users_file", "forward"];

const REALM: &str = "the name of the place, printable ASCII without \" and \\";
const USERS: &str = "a file of NAME:HASH lines";
const LINE: &str =
    "expected NAME:HASH with a bcrypt or argon2id hash; `tidegate hash-password --user NAME` writes such a line";

/// bcrypt's cost: less is guessed quickly, more lets every check take seconds.
const BCRYPT_COST: std::ops::RangeInclusive<u32> = 4..=15;
/// argon2id's memory in KiB, as much as a check may take from the proxy.
const ARGON_MEMORY: u32 = 256 << 10;
/// argon2id's passes and lanes.
const ARGON_WORK: u32 = 64;

/// The rule of a host or a route; none where it is off or empty.
pub(super) fn read(node: &Node<'_>, base: &Base) -> Option<Option<Arc<BasicAuth>>> {
    if node.is_off() {
        return Some(None);
    }
    let table = node.table(BASIC_AUTH)?;
    if table.is_empty() {
        return Some(None);
    }
    let challenge = table.read("realm", challenge(defaults::REALM), |node| {
        let text = node.text(REALM)?;
        match challenge(text) {
            Some(challenge) => Some(Some(challenge)),
            None => node.reject(format_args!("expected {REALM}")),
        }
    });
    let users = table.require("users_file", USERS).and_then(|node| {
        let path = base.file(&node, USERS)?;
        let users = if base.reader.reads_users() { users(&path, &node, &table)? } else { BTreeMap::new() };
        Some((path, users))
    });
    let forward = table.read("forward", defaults::FORWARD_PASSWORD, |node| node.switch());
    let (users_file, users) = users?;
    Some(Some(Arc::new(BasicAuth { challenge: challenge??, users_file, users, forward: forward? })))
}

fn challenge(realm: &str) -> Option<HeaderValue> {
    let good = realm.bytes().all(|byte| (byte.is_ascii_graphic() || byte == b' ') && !b"\"\\".contains(&byte));
    let value = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
    good.then(|| HeaderValue::try_from(value).ok()).flatten()
}

fn users(path: &Path, node: &Node<'_>, table: &Table<'_>) -> Option<BTreeMap<String, PasswordHash>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return node.reject(format_args!("{} cannot be read: {error}", path.display())),
    };
    let text = match syntax::text(&bytes) {
        Ok(text) => text,
        Err(message) => return node.reject(format_args!("{} {message}", path.display())),
    };
    match parse(text) {
        Ok(users) if users.is_empty() => node.reject(format_args!("{} has no user: {LINE}", path.display())),
        Ok(users) => Some(users),
        Err(wrong) => {
            for (line, message) in wrong {
                table.problems().push(Problem {
                    file: path.to_owned(),
                    key: node.key().to_owned(),
                    position: Some((line, 1)),
                    message,
                });
            }
            None
        }
    }
}

/// The users of a file, or the numbers of the lines that are wrong, and why.
fn parse(text: &str) -> Result<BTreeMap<String, PasswordHash>, Vec<(usize, String)>> {
    let mut users = BTreeMap::new();
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match user(line) {
            Err(message) => wrong.push((number, message)),
            Ok((name, hash)) => {
                if users.insert(name.to_owned(), hash).is_some() {
                    wrong.push((number, format!("{name:?} is in the file twice: expected each user once")));
                }
            }
        }
    }
    if wrong.is_empty() { Ok(users) } else { Err(wrong) }
}

fn user(line: &str) -> Result<(&str, PasswordHash), String> {
    let (name, hash) = line.split_once(':').ok_or_else(|| format!("has no colon: {LINE}"))?;
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(format!("has no name before its colon: {LINE}"));
    }
    // htpasswd allows more fields behind the hash.
    let hash = hash.split(':').next().unwrap_or_default();
    let found = match hash {
        _ if ["$2a$", "$2b$", "$2y$"].iter().any(|start| hash.starts_with(start)) => bcrypt(hash),
        _ if hash.starts_with("$argon2id$") => argon2id(hash),
        _ => Err(kind(hash).to_owned()),
    };
    found.map(|hash| (name, hash)).map_err(|wrong| format!("the hash of {name:?} is {wrong}: {LINE}"))
}

/// What a hash that is not accepted seems to be.
fn kind(hash: &str) -> &'static str {
    match hash {
        _ if hash.starts_with("$apr1$") || hash.starts_with("$1$") => "MD5, which is guessed quickly",
        _ if hash.starts_with("{SHA}") || hash.starts_with("{SSHA}") => "SHA-1, which is guessed quickly",
        _ if hash.starts_with("$5$") || hash.starts_with("$6$") => "of crypt's SHA kind",
        _ if hash.starts_with("$argon2i$") || hash.starts_with("$argon2d$") => "argon2, but not argon2id",
        _ if hash.starts_with('$') => "of a kind that is not known here",
        _ => "plain text, or of the old crypt",
    }
}

fn bcrypt(hash: &str) -> Result<PasswordHash, String> {
    let body =
        |text: &str| text.len() == 53 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte));
    let (cost, rest) = hash.get(4..).and_then(|rest| rest.split_once('$')).unwrap_or_default();
    match cost.parse::<u32>() {
        Ok(cost) if !BCRYPT_COST.contains(&cost) => {
            Err(format!("bcrypt with cost {cost}, expected {} to {}", BCRYPT_COST.start(), BCRYPT_COST.end()))
        }
        Ok(_) if cost.len() == 2 && body(rest) => Ok(PasswordHash::Bcrypt(hash.to_owned())),
        _ => Err("cut off or mistyped bcrypt".to_owned()),
    }
}

fn argon2id(hash: &str) -> Result<PasswordHash, String> {
    const BROKEN: &str = "cut off or mistyped argon2id";
    let fields: Vec<&str> = hash.split('$').collect();
    let [_, _, "v=19", figures, salt, output] = fields[..] else { return Err(BROKEN.to_owned()) };
    let base64 = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte));
    if !(base64(salt) && base64(output) && (11..=64).contains(&salt.len()) && (22..=86).contains(&output.len())) {
        return Err(BROKEN.to_owned());
    }
    let mut figures = figures.split(',');
    let mut figure = |key: &str| figures.next()?.strip_prefix(key)?.parse::<u32>().ok();
    match (figure("m="), figure("t="), figure("p=")) {
        (Some(memory), Some(passes), Some(lanes)) if figures.next().is_none() => {
            if memory > ARGON_MEMORY || passes > ARGON_WORK || lanes > ARGON_WORK {
                return Err(format!("argon2id with more than m={ARGON_MEMORY},t={ARGON_WORK},p={ARGON_WORK}"));
            }
            if passes == 0 || lanes == 0 || memory < 8 * lanes {
                return Err(BROKEN.to_owned());
            }
            Ok(PasswordHash::Argon2id(hash.to_owned()))
        }
        _ => Err(BROKEN.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234";
    const ARGON: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";

    #[test]
    fn lines_are_a_name_and_a_good_hash() {
        let good = format!("\u{feff}# users\n\njoe:{BCRYPT}\r\nZo\u{eb} Q:{ARGON}\nann:{BCRYPT}:more\n");
        let users = parse(good.trim_start_matches('\u{feff}')).unwrap();
        assert_eq!(users.keys().collect::<Vec<_>>(), ["Zo\u{eb} Q", "ann", "joe"]);
        assert_eq!(users["ann"].text(), BCRYPT);
        assert_eq!(format!("{:?}", users["joe"]), "Bcrypt(..)");
        for (line, expected) in [
            ("joe".to_owned(), "has no colon"),
            (format!(":{BCRYPT}"), "has no name before its colon"),
            ("joe:secret".to_owned(), "the hash of \"joe\" is plain text, or of the old crypt"),
            ("joe:{SHA}x".to_owned(), "the hash of \"joe\" is SHA-1, which is guessed quickly"),
            ("joe:$apr1$a$b".to_owned(), "the hash of \"joe\" is MD5, which is guessed quickly"),
            ("joe:$6$a$b".to_owned(), "the hash of \"joe\" is of crypt's SHA kind"),
            ("joe:$argon2i$v=19$m=8,t=1,p=1$a$b".to_owned(), "the hash of \"joe\" is argon2, but not argon2id"),
            ("joe:$2b$12$abc".to_owned(), "the hash of \"joe\" is cut off or mistyped bcrypt"),
            (
                format!("joe:{}", BCRYPT.replace("$12$", "$31$")),
                "the hash of \"joe\" is bcrypt with cost 31, expected 4 to 15",
            ),
            ("joe:$argon2id$v=19$m=1$a$b".to_owned(), "the hash of \"joe\" is cut off or mistyped argon2id"),
            (
                format!("joe:{}", ARGON.replace("m=19456", "m=4194304")),
                "the hash of \"joe\" is argon2id with more than m=262144,t=64,p=64",
            ),
        ] {
            assert_eq!(parse(&format!("\n{line}")), Err(vec![(2, format!("{expected}: {LINE}"))]), "{line}");
        }
        let twice = parse(&format!("joe:{BCRYPT}\njoe:{ARGON}"));
        assert_eq!(twice, Err(vec![(2, "\"joe\" is in the file twice: expected each user once".to_owned())]));
    }
}
