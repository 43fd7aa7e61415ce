//! Names of a host: `names`, by which it is found, and `aliases`, from which it redirects. Called by `hosts`.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use crate::raw::Node;

const NAME: &str = "a host name such as shop.example, \"*.shop.example\" or \"*\"";

/// The names at `node`, each of which no other host has.
pub(super) fn read(node: &Node<'_>, taken: &mut BTreeMap<String, String>) -> Option<Vec<String>> {
    let nodes = node.list("a list of host names such as [shop.example, \"*.shop.example\"]")?;
    if nodes.is_empty() {
        return node.reject(format_args!("is empty: expected {NAME}"));
    }
    let read = |node: &Node<'_>| {
        let text = node.text(NAME)?;
        let Some(name) = canonical_name(text) else {
            return node.reject(format_args!(
                "expected {NAME}, without scheme, port or path; a non-ASCII name in its xn-- form"
            ));
        };
        claim(name, node, taken)
    };
    super::every(&nodes, read)
}

/// The aliases at `node` of a host with these names, if they are right.
pub(super) fn aliases(
    node: &Node<'_>,
    names: Option<&[String]>,
    taken: &mut BTreeMap<String, String>,
) -> Option<Vec<String>> {
    let aliases = read(node, taken)?;
    match names {
        Some([first, ..]) if first.starts_with('*') => {
            node.reject_key(format!("redirects to {first:?}: expected an exact name as the first of names"))
        }
        _ => Some(aliases),
    }
}

/// Takes a name for the host at `node`, unless another has it.
pub(super) fn claim(name: String, node: &Node<'_>, taken: &mut BTreeMap<String, String>) -> Option<String> {
    if let Some(earlier) = taken.get(&name) {
        return node.reject_key(format!("{name:?}: taken by {earlier}: expected each name once"));
    }
    taken.insert(name.clone(), node.key().to_owned());
    Some(name)
}

/// The form that requests' names are compared with.
fn canonical_name(text: &str) -> Option<String> {
    if text == "*" {
        return Some(text.to_owned());
    }
    // Brackets belong to URLs; the proxy compares the address alone.
    let literal = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = literal.parse::<Ipv6Addr>() {
        return Some(address.to_string());
    }
    // A name with a dot at its end is the same name.
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let labels = name.strip_prefix("*.").unwrap_or(&name);
    let good = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-' || letter == b'_')
    };
    (name.len() <= 253 && labels.split('.').all(good)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_have_one_form() {
        for (text, expected) in [
            ("shop.example", Some("shop.example")),
            ("Shop.Example", Some("shop.example")),
            ("shop.example.", Some("shop.example")),
            ("localhost", Some("localhost")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("my_host", Some("my_host")),
            ("*", Some("*")),
            ("*.shop.example", Some("*.shop.example")),
            ("::1", Some("::1")),
            ("[::1]", Some("::1")),
            ("[0:0:0:0:0:0:0:1]", Some("::1")),
            ("[shop]", None),
            ("shop.example:443", None),
            ("https://shop.example", None),
            ("shop.example/a", None),
            ("a..b", None),
            ("-a.b", None),
            ("a.*.b", None),
            ("*shop.example", None),
            ("*.", None),
            ("bücher.example", None),
            ("", None),
        ] {
            assert_eq!(canonical_name(text).as_deref(), expected, "{text}");
        }
    }
}
