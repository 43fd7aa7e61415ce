//! The PowerShell scripts of deploy/windows, as far as they can be looked at without PowerShell: they parse, this command
//! takes the command lines in them, and what they refer to is there.

use std::path::{Path, PathBuf};

use clap::Parser as _;
use clap::error::ErrorKind;

use super::Arguments;

/// How a script calls this command.
const CALL: &str = "Invoke-Tidegate -Argument ";
const DIRECT: &str = "& $command ";

/// The repository; cargo says where the package is when the test runs.
fn root() -> PathBuf {
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.ancestors().nth(2).unwrap().to_owned()
}

fn scripts() -> Vec<(String, String)> {
    let entries = std::fs::read_dir(root().join("deploy/windows")).unwrap().map(|entry| entry.unwrap().path());
    let scripts = entries.filter(|path| path.extension().is_some_and(|extension| extension == "ps1"));
    let read = |path: PathBuf| (path.display().to_string(), std::fs::read_to_string(&path).unwrap());
    scripts.map(read).collect()
}

/// Places in which the grammar does not follow a script.
fn errors(node: tree_sitter::Node<'_>, found: &mut Vec<String>) {
    if node.is_error() || node.is_missing() {
        found.push(format!("{} in line {}", node.kind(), node.start_position().row + 1));
    }
    let mut cursor = node.walk();
    for child in node.children(&mut cursor) {
        errors(child, found);
    }
}

/// A word of a script as the command gets it.
fn word(text: &str) -> String {
    match text {
        "$Site" | "$config" => r"C:\ProgramData\shop\tidegate.yaml".to_owned(),
        "$Name" | "$name" => "Tidegate".to_owned(),
        "$pfx" | "$passwordFile" => r"C:\ProgramData\shop\shop.pfx".to_owned(),
        "$first" => "0123456789ABCDEF0123456789ABCDEF01234567".to_owned(),
        "$Account" => r"DOMAIN\shop$".to_owned(),
        "\".\\$name\"" => r".\Tidegate".to_owned(),
        _ => {
            assert!(!text.starts_with('$'), "a variable that this test does not know: {text}");
            text.trim_matches('\'').to_owned()
        }
    }
}

/// Each command line of a script.
fn calls(script: &str) -> Vec<Vec<String>> {
    let list = |text: &str| -> Vec<String> {
        let inside = text.strip_prefix("@(").and_then(|text| text.split_once(')')).expect("a list").0;
        inside.split(", ").map(word).collect()
    };
    let of_call = |rest: &str| {
        if rest.starts_with('@') {
            return vec![list(rest)];
        }
        // A list in a variable: as it is first, and with what is added to it.
        let name: String = rest.chars().take_while(|letter| *letter == '$' || letter.is_alphanumeric()).collect();
        let find = |sign: &str| script.split_once(&format!("{name} {sign} ")).map(|(_, rest)| list(rest));
        let first = find("=").expect("the variable's value");
        let whole = first.iter().cloned().chain(find("+=").unwrap_or_default()).collect();
        vec![first, whole]
    };
    let lists = script.match_indices(CALL).flat_map(|(at, _)| of_call(&script[at + CALL.len()..]));
    let direct =
        script.lines().filter_map(|line| line.trim().strip_prefix(DIRECT)).filter(|rest| !rest.starts_with('@'));
    lists.chain(direct.map(|rest| rest.split(' ').map(word).collect())).collect()
}

#[test]
fn they_are_powershell() {
    let scripts = scripts();
    assert_eq!(scripts.len(), 3);
    for (path, text) in scripts {
        // Windows PowerShell takes a file without a byte order mark for one of its own code page.
        assert!(text.is_ascii(), "{path}");
        for needed in
            ["#Requires -Version 5.1", ".SYNOPSIS", ".EXAMPLE", "[CmdletBinding(", "Set-StrictMode -Version Latest"]
        {
            assert!(text.contains(needed), "{path}: {needed}");
        }
        let mut parser = tree_sitter::Parser::new();
        parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).unwrap();
        let tree = parser.parse(&text, None).unwrap();
        let mut found = Vec::new();
        errors(tree.root_node(), &mut found);
        assert!(found.is_empty(), "{path}: {found:?}");
    }
}

#[test]
fn this_command_takes_their_command_lines() {
    let mut count = 0;
    for (path, text) in scripts() {
        for line in calls(&text) {
            let parsed = Arguments::try_parse_from(std::iter::once("tidegate".to_owned()).chain(line.iter().cloned()));
            let is_taken = parsed.as_ref().map_or_else(|error| error.kind() == ErrorKind::DisplayVersion, |_| true);
            assert!(is_taken, "{path}: {line:?}: {}", parsed.unwrap_err());
            count += 1;
        }
    }
    assert!(count > 12, "{count} command lines were found");
}

#[test]
fn the_pages_that_they_name_are_there() {
    for (path, text) in scripts() {
        for (at, _) in text.match_indices("docs/") {
            let page: String =
                text[at..].chars().take_while(|letter| letter.is_alphanumeric() || "/-.".contains(*letter)).collect();
            assert!(root().join(Path::new(page.trim_end_matches('.'))).is_file(), "{path}: {page}");
        }
    }
}
