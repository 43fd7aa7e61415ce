//! The PROXY protocol in from load balancers: whose word counts, and what becomes of everything else.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use tidegate_tests::{Connection, Running, Site};

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn site(name: &str, balancers: &str) -> Running {
    let listeners = format!(
        "[{{ address: '127.0.0.1:0', protocol: https, proxy_protocol: {balancers} }}, \
         {{ address: '127.0.0.1:0', protocol: http, proxy_protocol: {balancers} }}]"
    );
    Site::new(name).app("mirror", "mirror:app", &[]).set("listeners", &listeners).start().await
}

/// A header of version 2.
fn version_2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [V2, &[command, family], &length, block].concat()
}

/// 192.0.2.7:50000 to 198.51.100.2:443.
const FOUR: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 2, 0xc3, 0x50, 1, 0xbb];

/// What the app sees of the client when these bytes come before the request; nothing if the connection is closed.
async fn seen(address: SocketAddr, header: &[u8], in_pieces: bool) -> Option<(String, String)> {
    let mut connection = Connection::plain(address).await;
    if in_pieces {
        for byte in header {
            connection.try_send([*byte]).await.ok()?;
        }
    } else {
        // In one write with the request: not one byte of that may be lost.
        connection.try_send([header, GET.as_bytes()].concat()).await.ok()?;
    }
    if in_pieces {
        connection.try_send(GET).await.ok()?;
    }
    connection.try_head("GET").await.map(|head| assert_eq!(head.status, 200))?;
    let mut body = Vec::new();
    while let Some(piece) = connection.piece().await {
        body.extend_from_slice(&piece);
    }
    let environ: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let text = |key: &str| environ[key].as_str().unwrap().to_owned();
    Some((text("REMOTE_ADDR"), text("REMOTE_PORT")))
}

#[tokio::test]
async fn a_balancers_word_is_the_clients_address() {
    let running = site("balancer", "[127.0.0.1, '::1']").await;
    let address = running.http_address();
    let mut six = [0; 36];
    six[..16].copy_from_slice(&"2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets());
    six[33] = 7;
    let with_more = [&FOUR[..], &[0x04, 0, 3, 1, 2, 3]].concat();
    for (header, client) in [
        (b"PROXY TCP4 192.0.2.7 198.51.100.2 50000 443\r\n".to_vec(), ("192.0.2.7", "50000")),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 7 443\r\n".to_vec(), ("2001:db8::1", "7")),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 50000 443\r\n".to_vec(), ("192.0.2.7", "50000")),
        (version_2(0x21, 0x11, &FOUR), ("192.0.2.7", "50000")),
        (version_2(0x21, 0x11, &with_more), ("192.0.2.7", "50000")),
        (version_2(0x21, 0x21, &six), ("2001:db8::1", "7")),
    ] {
        for in_pieces in [false, true] {
            let expected = Some((client.0.to_owned(), client.1.to_owned()));
            assert_eq!(seen(address, &header, in_pieces).await, expected, "{header:?}");
        }
    }
    // Health checks, and clients without an address of their own.
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 1 2 3\r\n".to_vec(),
        version_2(0x20, 0, &[]),
        version_2(0x21, 0, &[]),
        version_2(0x21, 0x31, &[b'/'; 216]),
    ] {
        let (client, _) = seen(address, &header, false).await.unwrap_or_else(|| panic!("closed: {header:?}"));
        assert_eq!(client, "127.0.0.1", "{header:?}");
    }
}

#[tokio::test]
async fn what_is_no_header_closes_the_connection() {
    let mut running = site("malformed", "[127.0.0.1]").await;
    let address = running.http_address();
    let long = [b"PROXY TCP4 ", &b"1"[..].repeat(120)[..], b"\r\n"].concat();
    for header in [
        b"".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.2 50000 443\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.2 50000\r\n".to_vec(),
        b"PROXY TCP4 2001:db8::1 2001:db8::2 7 443\r\n".to_vec(),
        long,
        version_2(0x21, 0x11, &FOUR[..11]),
        version_2(0x31, 0x11, &FOUR),
        version_2(0x21, 0x11, &[0; 2049]),
    ] {
        assert_eq!(seen(address, &header, false).await, None, "{header:?}");
    }
    running.proxy().log.wait(&["connection refused", "no PROXY header, or a malformed one"]).await;
    // One that never says what it wants is not waited for.
    let mut silent = Connection::plain(address).await;
    assert!(silent.is_closed_by_server().await);
    running.proxy().log.wait(&["connection refused", "no PROXY header within 5 s"]).await;
}

#[tokio::test]
async fn who_is_not_listed_is_refused() {
    let running = site("stranger", "[10.0.0.0/8]").await;
    for header in [&b""[..], b"PROXY TCP4 10.0.0.1 198.51.100.2 50000 443\r\n", &version_2(0x21, 0x11, &FOUR)] {
        assert_eq!(seen(running.http_address(), header, false).await, None, "{header:?}");
    }
}

#[cfg_attr(windows, ignore = "curl is a program of the Linux system here")]
#[tokio::test]
async fn curl_is_served_through_the_header_with_and_without_tls() {
    let running = site("curl", "[127.0.0.1]").await;
    for url in [format!("http://{}/", running.http_address()), format!("https://{}/", running.https_address())] {
        for (options, code) in [(&["--haproxy-protocol"][..], 0), (&[], 1)] {
            let arguments = ["-sk", "--max-time", "20"].iter().chain(options).copied().chain([url.as_str()]);
            let finished = tidegate_tests::program::run("curl", arguments, None, &[]).await;
            assert_eq!(finished.code.min(1), code, "{url} {options:?}: {finished:?}");
            assert_eq!(finished.stdout.contains("\"REMOTE_ADDR\": \"127.0.0.1\""), code == 0, "{finished:?}");
        }
    }
}
