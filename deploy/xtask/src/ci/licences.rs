//! The licences of everything that is linked into Tidegate, against the list that the project accepts.
//!
//! `cargo tree` names each package's licence, so no tool has to be installed. The same list is in deny.toml for
//! `cargo deny check`, which looks at advisories and sources as well; a test keeps the two equal.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::{process, workspace};

/// Licences that ask for no more than notice, in SPDX's spelling.
const ACCEPTED: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Fails with every package of the dependency tree, for any target, that is under no accepted licence.
pub(crate) fn check() -> Result<()> {
    let tree = process::output(workspace::cargo()?.args([
        "tree",
        "--locked",
        "--workspace",
        "--target",
        "all",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--no-dedupe",
        "--format",
        "{p}|{l}",
    ]))?;
    let packages: BTreeSet<&str> = tree.lines().filter(|line| !line.is_empty()).collect();
    let mut refused = String::new();
    for package in &packages {
        let (name, licence) = package.rsplit_once('|').unwrap_or((package, ""));
        if !accepts(licence) {
            refused.push_str(&format!("\n  {name}: {licence:?}"));
        }
    }
    if !refused.is_empty() {
        bail!("licences that are not accepted:{refused}");
    }
    println!("      {} packages", packages.len());
    Ok(())
}

/// Evaluates an SPDX expression: AND binds closer than OR; `/` is the old spelling of OR.
fn accepts(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let accepted = either(&mut rest);
    accepted && rest.is_empty()
}

fn either(rest: &mut &[&str]) -> bool {
    let mut accepted = both(rest);
    while let ["OR", after @ ..] = *rest {
        *rest = after;
        accepted |= both(rest);
    }
    accepted
}

fn both(rest: &mut &[&str]) -> bool {
    let mut accepted = one(rest);
    while let ["AND", after @ ..] = *rest {
        *rest = after;
        accepted &= one(rest);
    }
    accepted
}

fn one(rest: &mut &[&str]) -> bool {
    match **rest {
        ["(", ref after @ ..] => {
            *rest = after;
            let accepted = either(rest);
            let [")", after @ ..] = *rest else {
                return false;
            };
            *rest = after;
            accepted
        }
        [licence, "WITH", exception, ref after @ ..] => {
            *rest = after;
            ACCEPTED.contains(&format!("{licence} WITH {exception}").as_str())
        }
        [licence, ref after @ ..] => {
            *rest = after;
            ACCEPTED.contains(&licence)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_evaluated() {
        let cases = [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0-only", false),
            ("GPL-3.0-only OR MIT", true),
            ("MIT AND GPL-3.0-only", false),
            ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
            ("MIT OR GPL-3.0-only AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("GPL-2.0-only WITH Classpath-exception-2.0", false),
            ("", false),
            ("(MIT", false),
            ("MIT Apache-2.0", false),
        ];
        for (expression, expected) in cases {
            assert_eq!(accepts(expression), expected, "{expression:?}");
        }
    }

    #[test]
    fn deny_toml_has_the_same_list() {
        let configuration = include_str!("../../../../deny.toml");
        let list = configuration.split_once("\nallow = [").and_then(|(_, rest)| rest.split_once(']')).unwrap().0;
        let listed: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
        assert_eq!(listed, ACCEPTED);
    }
}
