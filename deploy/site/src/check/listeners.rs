//! `listeners`: addresses and what is spoken on them.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::check::paths::Base;
use crate::check::{certificates, networks};
use crate::checked::{ClientCertificates, Listener, Protocol};
use crate::defaults;
use crate::raw::{Node, Table};

/// Keys of a listener.
pub(crate) const LISTENER: &[&str] = &["address", "protocol", "https_port", "client_certificates", "proxy_protocol"];

/// A listener before the port of its redirect is known.
struct Draft {
    address: SocketAddr,
    protocol: Spoken,
    client_certificates: Option<ClientCertificates>,
    proxy_protocol: Vec<IpNet>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Https,
    Http,
    Redirect { https_port: Option<u16> },
}

/// All listeners.
pub(crate) fn all(table: &Table<'_>, base: &Base) -> Option<Vec<Listener>> {
    let Some(node) = table.get("listeners") else {
        return Some(vec![
            Listener {
                address: defaults::HTTPS,
                protocol: Protocol::Https,
                client_certificates: None,
                proxy_protocol: Vec::new(),
            },
            Listener {
                address: defaults::REDIRECT,
                protocol: Protocol::Redirect { https_port: defaults::HTTPS.port() },
                client_certificates: None,
                proxy_protocol: Vec::new(),
            },
        ]);
    };
    let nodes = node.list("a list of { address: \"[::]:443\", protocol: https }")?;
    if nodes.is_empty() {
        return node.reject("is empty: expected at least one listener");
    }
    let drafts: Vec<Option<Draft>> = nodes.iter().map(|node| draft(node, base)).collect();
    let distinct = distinct(&nodes, &drafts);
    let drafts: Vec<Draft> = drafts.into_iter().collect::<Option<_>>()?;
    let first_https = drafts.iter().find(|draft| draft.protocol == Spoken::Https).map(|draft| draft.address.port());
    let listeners: Vec<Option<Listener>> = drafts
        .into_iter()
        .zip(&nodes)
        .map(|(draft, node)| {
            let protocol = match draft.protocol {
                Spoken::Https => Protocol::Https,
                Spoken::Http => Protocol::Http,
                Spoken::Redirect { https_port } => {
                    let Some(first) = first_https else {
                        return node.reject("redirects to https: expected an https listener beside it");
                    };
                    Protocol::Redirect { https_port: https_port.unwrap_or(first) }
                }
            };
            Some(Listener {
                address: draft.address,
                protocol,
                client_certificates: draft.client_certificates,
                proxy_protocol: draft.proxy_protocol,
            })
        })
        .collect();
    distinct?;
    listeners.into_iter().collect()
}

/// An address with a port.
pub(crate) fn address(node: &Node<'_>, expected: &str) -> Option<SocketAddr> {
    let text = node.text(expected)?;
    text.parse().ok().or_else(|| {
        let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
        let hint = match host {
            "" | "*" => "; every address is \"[::]:PORT\"",
            "localhost" => "; localhost is 127.0.0.1:PORT or \"[::1]:PORT\"",
            _ => "",
        };
        node.reject(format_args!("expected {expected}{hint}"))
    })
}

/// Whether the system would refuse one of these because of the other. Port 0 is any free port.
pub(crate) fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    if one.port() == 0 || one.port() != other.port() {
        return false;
    }
    // [::] takes IPv4 as well; 0.0.0.0 takes IPv4 alone.
    let covers = |a: SocketAddr, b: SocketAddr| a.ip().is_unspecified() && (a.is_ipv6() || b.is_ipv4());
    one.ip() == other.ip() || covers(one, other) || covers(other, one)
}

fn draft(node: &Node<'_>, base: &Base) -> Option<Draft> {
    const ADDRESS: &str = "an address with a port such as \"[::]:443\" or 127.0.0.1:8080";
    const PROTOCOL: &str = "https, http or redirect";
    let table = node.table(LISTENER)?;
    let address = table.require("address", ADDRESS).and_then(|node| self::address(&node, ADDRESS));
    let protocol = table.require("protocol", PROTOCOL).and_then(|node| {
        node.choice(&[
            ("https", Spoken::Https),
            ("http", Spoken::Http),
            ("redirect", Spoken::Redirect { https_port: None }),
        ])
    });
    let https_port = match table.get("https_port") {
        None => Some(None),
        Some(node) => match protocol {
            Some(Spoken::Https | Spoken::Http) => node.reject("expected only with protocol: redirect"),
            Some(Spoken::Redirect { .. }) | None => node.integer(1..=u16::MAX).map(Some),
        },
    };
    let client_certificates = match table.get("client_certificates") {
        None => Some(None),
        Some(node) => match protocol {
            Some(Spoken::Http | Spoken::Redirect { .. }) => node.reject("expected only with protocol: https"),
            Some(Spoken::Https) | None => certificates::of_clients(&node, base).map(Some),
        },
    };
    let proxy_protocol = table.read("proxy_protocol", Vec::new(), |node| networks(&node));
    let protocol = match protocol? {
        Spoken::Redirect { .. } => Spoken::Redirect { https_port: https_port? },
        other => {
            https_port?;
            other
        }
    };
    Some(Draft {
        address: address?,
        protocol,
        client_certificates: client_certificates?,
        proxy_protocol: proxy_protocol?,
    })
}

fn distinct(nodes: &[Node<'_>], drafts: &[Option<Draft>]) -> Option<()> {
    let mut all = Some(());
    for (index, draft) in drafts.iter().enumerate() {
        let Some(draft) = draft else { continue };
        let earlier = drafts[..index].iter().flatten().find(|other| clash(other.address, draft.address));
        if let Some(earlier) = earlier {
            all = None;
            let wide = if earlier.address.ip() == draft.address.ip() {
                ""
            } else {
                " ([::] takes every address, 0.0.0.0 every IPv4 address)"
            };
            nodes[index].problem(
                "address",
                format!(
                    "{}: taken by the listener on {}{wide}: expected another address or port",
                    draft.address, earlier.address
                ),
            );
        }
    }
    all
}
