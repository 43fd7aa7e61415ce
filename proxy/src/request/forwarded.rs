//! Who the client is when other proxies stand in front, and what the app is told about it. Pure
//! functions, called by the request's story. Never believes a field that came from an address
//! outside `trusted_proxies`.

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use tidegate_contract::push_address;

use super::guard::{is_authority, split_port};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const SENT_TO: HeaderName = HeaderName::from_static("x-forwarded-host");
const PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// Where a request came from, as far as it can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The client's address; IPv4 is never in its IPv6-mapped form.
    pub(crate) client: IpAddr,
    /// The client's port; 0 if a trusted proxy did not say.
    pub(crate) client_port: u16,
    /// Whether the client used HTTPS.
    pub(crate) https: bool,
    /// The host, with port if any, that a trusted proxy says the client asked for. `None`: the
    /// request's own.
    pub(crate) host: Option<String>,
    /// Whether the one who connected is a trusted proxy.
    pub(crate) by_trusted_proxy: bool,
}

/// Finds the origin of a request from `peer`, over TLS if `https`.
pub(crate) fn origin(peer: SocketAddr, https: bool, headers: &HeaderMap, trusted: &[IpNet]) -> Origin {
    let client = peer.ip().to_canonical();
    let direct = Origin { client, client_port: peer.port(), https, host: None, by_trusted_proxy: false };
    if !is_trusted(client, trusted) {
        return direct;
    }
    // A proxy that speaks one dialect passes the client's fields of the other on, so only one may
    // count. Most proxies speak X-Forwarded-*; Forwarded counts where there is nothing of that.
    let hops = if [FOR, PROTO, SENT_TO].iter().any(|name| headers.contains_key(name)) {
        Hops { clients: list(headers, &FOR), protos: list(headers, &PROTO), hosts: list(headers, &SENT_TO) }
    } else {
        forwarded(headers)
    };
    hops.walk(Origin { by_trusted_proxy: true, ..direct }, trusted)
}

/// Replaces what the request says about its origin by what is believed. The app sees one hop:
/// Tidegate. Everything the client claimed is gone, `Forwarded` and `X-Real-IP` included.
pub(crate) fn apply(headers: &mut HeaderMap, origin: &Origin, server_port: u16) {
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name.as_str())).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
    let host = match &origin.host {
        Some(host) => HeaderValue::from_str(host).ok(),
        None => headers.get(HOST).cloned(),
    };
    // A host without a port means the scheme's own, whatever port the listener has behind an
    // address translation; the listener's counts where no host says anything.
    let port = match &host {
        Some(host) => split_port(host.as_bytes()).1.and_then(|port| std::str::from_utf8(port).ok()?.parse().ok()),
        None => Some(server_port),
    };
    let port: u16 = port.unwrap_or(if origin.https { 443 } else { 80 });
    let mut client = String::with_capacity(16);
    push_address(&mut client, origin.client);
    if let Ok(client) = HeaderValue::try_from(client) {
        headers.insert(FOR, client);
    }
    headers.insert(PROTO, HeaderValue::from_static(if origin.https { "https" } else { "http" }));
    headers.insert(PORT, HeaderValue::from(port));
    if let Some(host) = host {
        headers.insert(SENT_TO, host);
    }
}

fn is_claim(name: &str) -> bool {
    name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-")
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// What proxies on the way wrote, the nearest last.
#[derive(Default)]
struct Hops {
    clients: Vec<String>,
    protos: Vec<String>,
    hosts: Vec<String>,
}

impl Hops {
    /// Walks from the nearest hop outwards, as long as the one who wrote the entry is trusted.
    fn walk(self, direct: Origin, trusted: &[IpNet]) -> Origin {
        let mut origin = direct;
        let mut hops = 0;
        let mut clients = self.clients.iter().rev();
        while is_trusted(origin.client, trusted) {
            hops += 1;
            // An entry that names nobody (`unknown`, an obfuscated name) ends the walk.
            let Some((client, port)) = clients.next().and_then(|entry| node(entry)) else { break };
            origin.client = client;
            origin.client_port = port;
        }
        if let Some(proto) = written_by(&self.protos, hops) {
            if proto.eq_ignore_ascii_case("https") || proto.eq_ignore_ascii_case("wss") {
                origin.https = true;
            } else if proto.eq_ignore_ascii_case("http") || proto.eq_ignore_ascii_case("ws") {
                origin.https = false;
            }
        }
        origin.host = written_by(&self.hosts, hops).filter(|host| is_authority(host.as_bytes())).map(str::to_owned);
        origin
    }
}

/// The entry written by the outermost of `hops` trusted proxies. A proxy adds one entry or leaves
/// one standing, so entries further left than that are the client's own.
fn written_by(entries: &[String], hops: usize) -> Option<&str> {
    entries.get(entries.len().saturating_sub(hops)).map(String::as_str)
}

/// The entries of a field over all its lines. Whatever a client begins a line with, what a proxy has put behind the
/// next comma is an entry: bytes that are no text make an entry that names nothing.
fn entries<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).iter();
    let entries = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    entries.map(|entry| std::str::from_utf8(entry.trim_ascii()).unwrap_or_default())
}

fn list(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    entries(headers, name).map(str::to_owned).collect()
}

/// The elements of Forwarded (RFC 7239). One without a parameter gets an empty entry, so that the
/// lists stay in step. A comma or semicolon separates inside of quotes too: no address, scheme or host has one, and a
/// client that opens quotes and never closes them would swallow what the proxies behind it say.
fn forwarded(headers: &HeaderMap) -> Hops {
    let mut hops = Hops::default();
    for element in entries(headers, &FORWARDED) {
        let (mut client, mut proto, mut host) = (String::new(), String::new(), String::new());
        for pair in element.split(';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = unquote(value.trim());
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => client = value,
                "proto" => proto = value,
                "host" => host = value,
                _ => {}
            }
        }
        hops.clients.push(client);
        hops.protos.push(proto);
        hops.hosts.push(host);
    }
    hops
}

/// The content of a quoted string; anything else as it is.
fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        out.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    out
}

/// An address with or without port, IPv6 with or without brackets.
fn node(entry: &str) -> Option<(IpAddr, u16)> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some((address.to_canonical(), 0));
    }
    if let Ok(address) = entry.parse::<SocketAddr>() {
        return Some((address.ip().to_canonical(), address.port()));
    }
    let inner = entry.strip_prefix('[')?.strip_suffix(']')?;
    Some((inner.parse::<IpAddr>().ok()?.to_canonical(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fields = [(&'static str, &'static str)];

    fn map(fields: &Fields) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    /// `client:port scheme host` of a request from a trusted peer (10.0.0.0/8 and ::1 are).
    fn seen(peer: &str, fields: &Fields) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap()).to_vec();
        let origin = origin(peer.parse().unwrap(), false, &map(fields), &trusted);
        let scheme = if origin.https { "https" } else { "http" };
        format!("{} {} {scheme} {}", origin.client, origin.client_port, origin.host.as_deref().unwrap_or("-"))
    }

    #[test]
    fn the_walk_ends_at_the_first_address_that_is_not_trusted() {
        let xff = "x-forwarded-for";
        let cases: &[(&str, &Fields, &str)] = &[
            ("192.0.2.1:9", &[], "192.0.2.1 9 http -"),
            // Untrusted peers are not believed.
            ("192.0.2.1:9", &[(xff, "1.1.1.1"), ("x-forwarded-proto", "https")], "192.0.2.1 9 http -"),
            ("192.0.2.1:9", &[("forwarded", "for=1.1.1.1;proto=https")], "192.0.2.1 9 http -"),
            ("[::ffff:192.0.2.1]:9", &[(xff, "1.1.1.1")], "192.0.2.1 9 http -"),
            // Trusted ones are, whatever family their socket has.
            ("10.0.0.1:9", &[(xff, "1.1.1.1")], "1.1.1.1 0 http -"),
            ("[::ffff:10.0.0.1]:9", &[(xff, "1.1.1.1")], "1.1.1.1 0 http -"),
            ("[::1]:9", &[(xff, "2001:db8::1")], "2001:db8::1 0 http -"),
            ("10.0.0.1:9", &[], "10.0.0.1 9 http -"),
            // From the right, over trusted proxies, no further.
            ("10.0.0.1:9", &[(xff, "6.6.6.6, 1.1.1.1")], "1.1.1.1 0 http -"),
            ("10.0.0.1:9", &[(xff, "6.6.6.6, 1.1.1.1, 10.0.0.2")], "1.1.1.1 0 http -"),
            ("10.0.0.1:9", &[(xff, "6.6.6.6"), (xff, "1.1.1.1,10.0.0.2")], "1.1.1.1 0 http -"),
            ("10.0.0.1:9", &[(xff, "10.0.0.3, 10.0.0.2")], "10.0.0.3 0 http -"),
            ("10.0.0.1:9", &[(xff, "1.1.1.1, unknown")], "10.0.0.1 9 http -"),
            ("10.0.0.1:9", &[(xff, "1.1.1.1,")], "10.0.0.1 9 http -"),
            ("10.0.0.1:9", &[(xff, "1.1.1.1:80")], "1.1.1.1 80 http -"),
            ("10.0.0.1:9", &[(xff, "[2001:db8::1]:80")], "2001:db8::1 80 http -"),
            ("10.0.0.1:9", &[(xff, "[2001:db8::1]")], "2001:db8::1 0 http -"),
            ("10.0.0.1:9", &[(xff, "::ffff:1.1.1.1")], "1.1.1.1 0 http -"),
        ];
        for (peer, fields, expected) in cases {
            assert_eq!(seen(peer, fields), *expected, "{peer} {fields:?}");
        }
    }

    #[test]
    fn scheme_and_host_come_from_the_outermost_trusted_proxy() {
        let (xff, proto, host) = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host");
        let cases: &[(&Fields, &str)] = &[
            (&[(proto, "https"), (host, "shop.example")], "10.0.0.1 9 https shop.example"),
            (&[(xff, "1.1.1.1"), (proto, "HTTPS")], "1.1.1.1 0 https -"),
            (&[(xff, "1.1.1.1"), (proto, "gopher")], "1.1.1.1 0 http -"),
            (&[(xff, "1.1.1.1"), (host, "a b")], "1.1.1.1 0 http -"),
            // One trusted hop: entries before the last are the client's.
            (&[(xff, "6.6.6.6, 1.1.1.1"), (proto, "https, http")], "1.1.1.1 0 http -"),
            (&[(xff, "6.6.6.6, 1.1.1.1"), (host, "evil, shop.example")], "1.1.1.1 0 http shop.example"),
            // Two trusted hops.
            (&[(xff, "1.1.1.1, 10.0.0.2"), (proto, "https, http"), (host, "a, b")], "1.1.1.1 0 https a"),
            (&[(xff, "1.1.1.1, 10.0.0.2"), (proto, "https"), (host, "a")], "1.1.1.1 0 https a"),
            (&[(xff, "6.6.6.6, 1.1.1.1, 10.0.0.2"), (proto, "http, https, http")], "1.1.1.1 0 https -"),
        ];
        for (fields, expected) in cases {
            assert_eq!(seen("10.0.0.1:9", fields), *expected, "{fields:?}");
        }
    }

    #[test]
    fn forwarded_counts_where_there_is_no_x_forwarded_field() {
        let cases: &[(&Fields, &str)] = &[
            (&[("forwarded", "for=1.1.1.1;proto=https;host=shop.example")], "1.1.1.1 0 https shop.example"),
            (&[("forwarded", "For=\"[2001:db8::1]:4711\"; Proto=https")], "2001:db8::1 4711 https -"),
            (&[("forwarded", "for=6.6.6.6;proto=https, for=1.1.1.1")], "1.1.1.1 0 http -"),
            (&[("forwarded", "for=1.1.1.1;host=a"), ("forwarded", "for=10.0.0.2;host=b")], "1.1.1.1 0 http a"),
            (&[("forwarded", "for=1.1.1.1, for=_hidden")], "10.0.0.1 9 http -"),
            (&[("forwarded", "for=\"6.6.6.6,for=7.7.7.7\";x=\"\\\",\", for=1.1.1.1")], "1.1.1.1 0 http -"),
            (&[("forwarded", "for=\"1.1.1.1")], "10.0.0.1 9 http -"),
            (&[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "1.1.1.1")], "1.1.1.1 0 http -"),
            (&[("forwarded", "for=6.6.6.6"), ("x-forwarded-proto", "https")], "10.0.0.1 9 https -"),
        ];
        for (fields, expected) in cases {
            assert_eq!(seen("10.0.0.1:9", fields), *expected, "{fields:?}");
        }
    }

    #[test]
    fn what_a_client_sends_cannot_hide_what_a_proxy_appends() {
        let said = |name: &'static str, line: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.append(name, HeaderValue::from_bytes(line).unwrap());
            origin("10.0.0.1:9".parse().unwrap(), false, &headers, &["10.0.0.0/8".parse().unwrap()]).client.to_string()
        };
        for client in [&b"\xff"[..], b"\xc3\xa4", b"\"", b"\"\\", b"", b"10.0.0.1;"] {
            let line = [client, b", 1.1.1.1"].concat();
            assert_eq!(said("x-forwarded-for", &line), "1.1.1.1", "{line:?}");
            let line = [b"for=", client, b", for=1.1.1.1"].concat();
            assert_eq!(said("forwarded", &line), "1.1.1.1", "{line:?}");
            let line = [b"for=\"", client, b", for=\"[2001:db8::1]:80\""].concat();
            assert_eq!(said("forwarded", &line), "2001:db8::1", "{line:?}");
        }
    }

    #[test]
    fn the_app_is_told_only_what_is_believed() {
        let claims = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "gopher"),
            ("x-forwarded-prefix", "/evil"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
        ];
        let origin = Origin {
            client: "192.0.2.1".parse().unwrap(),
            client_port: 9,
            https: true,
            host: None,
            by_trusted_proxy: false,
        };
        for (host, sent, port) in [
            ("shop.example", "shop.example", "443"),
            ("shop.example:444", "shop.example:444", "444"),
            ("[::1]:1", "[::1]:1", "1"),
        ] {
            let mut headers = map(&claims);
            headers.insert(HOST, HeaderValue::from_static(host));
            apply(&mut headers, &origin, 8443);
            assert_eq!(headers.len(), 5, "{headers:?}");
            assert_eq!(headers[FOR], "192.0.2.1");
            assert_eq!(headers[PROTO], "https");
            assert_eq!(headers[SENT_TO], sent);
            assert_eq!(headers[PORT], port);
        }
        let mut headers = HeaderMap::new();
        apply(&mut headers, &origin, 8443);
        assert_eq!((&headers[PORT], headers.contains_key(SENT_TO)), (&HeaderValue::from(8443), false));
        let mut headers = map(&[("host", "inner:8443")]);
        apply(&mut headers, &Origin { host: Some("shop.example".to_owned()), ..origin }, 8443);
        assert_eq!(headers[SENT_TO], "shop.example");
        assert_eq!(headers[PORT], "443");
        assert_eq!(headers[HOST], "inner:8443");
    }
}
