//! What is read of a request, and what is on the wire of a response.

use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

use super::*;

const PLAIN: Shape = Shape { framing: Framing::None, fields: 2 };

fn stream() -> (Stream, DuplexStream) {
    let (ours, theirs) = duplex(1 << 20);
    (Box::new(ours), theirs)
}

fn taken(request: &str, shape: Shape) -> Result<(Bare, DuplexStream), BytesMut> {
    let (stream, client) = stream();
    let end = request.find("\r\n\r\n").unwrap() + 4;
    match Bare::new(stream, BytesMut::from(request), end, shape) {
        Ok(bare) => Ok((bare, client)),
        Err((_, buffer)) => Err(buffer),
    }
}

fn head(status: u16, fields: &[(&'static str, &'static str)], length: Option<Length>) -> Head {
    let headers = fields.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
    Head { status: StatusCode::from_u16(status).unwrap(), reason: None, headers: headers.collect(), length }
}

/// What is on the wire, without its date.
async fn wire(bare: Bare, mut client: DuplexStream) -> String {
    drop(bare);
    let mut wire = String::new();
    client.read_to_string(&mut wire).await.unwrap();
    wire.split_inclusive("\r\n").filter(|line| !line.starts_with("Date: ")).collect()
}

#[test]
fn a_request_is_read_with_all_its_fields_and_the_rest_is_kept() {
    let (bare, _client) = taken("GET /a?b HTTP/1.1\r\nHost: a\r\nX-A:  1 \r\nX-A:\r\n\r\nGET /next", PLAIN).unwrap();
    let request = bare.request();
    assert_eq!((request.method.as_str(), request.uri.to_string()), ("GET", "/a?b".to_owned()));
    let values: Vec<_> = request.headers.get_all("x-a").iter().map(HeaderValue::as_bytes).collect();
    assert_eq!(values, [b"1".as_slice(), b""]);
    assert_eq!(request.headers.len(), 3);
    assert_eq!(bare.into_parts().1, "GET /next");
}

#[test]
fn what_is_peculiar_is_left_as_it_was() {
    for request in [
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\nrest",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\nrest",
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
    ] {
        assert_eq!(taken(request, PLAIN).unwrap_err(), request);
    }
    for framing in [Framing::Length, Framing::Chunked] {
        assert!(taken("POST / HTTP/1.1\r\nHost: a\r\n\r\nrest", Shape { framing, fields: 1 }).is_err());
    }
}

#[test]
fn a_client_says_whether_it_wants_more() {
    for (field, more) in [
        ("X: 1", true),
        ("Connection: keep-alive", true),
        ("Connection: close", false),
        ("Connection: x, CLOSE ,y", false),
        ("Connection: x\r\nConnection: close", false),
        ("Connection: closed", true),
    ] {
        let (bare, _client) = taken(&format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"), PLAIN).unwrap();
        assert_eq!(bare.wants_more(), more, "{field}");
    }
}

#[tokio::test]
async fn responses_are_framed_by_what_is_known_of_them() {
    let known = |length| Some(Length::Known(length));
    let cases: [(Head, bool, &[&str], &str); 5] = [
        (
            head(200, &[("x-one-two", "1"), ("content-length", "7"), ("connection", "x")], known(5)),
            false,
            &["hel", "lo"],
            "HTTP/1.1 200 OK\r\nX-One-Two: 1\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
        ),
        (
            head(200, &[("transfer-encoding", "x")], Some(Length::Unknown)),
            false,
            &["0123456789abcdef", "x"],
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n10\r\n0123456789abcdef\r\n\
             1\r\nx\r\n0\r\n\r\n",
        ),
        (head(304, &[], None), true, &[], "HTTP/1.1 304 Not Modified\r\nConnection: keep-alive\r\n\r\n"),
        (
            head(200, &[], known(9)),
            true,
            &["not for HEAD"],
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: keep-alive\r\n\r\n",
        ),
        (head(299, &[], known(0)), true, &[], "HTTP/1.1 299 \r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"),
    ];
    for (head, ends, pieces, expected) in cases {
        let (mut bare, client) = taken("GET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN).unwrap();
        if bare.hold_head(&head, ends, true) == Body::Chunked {
            bare.flush().await.unwrap();
        }
        assert!(!bare.is_complete());
        for piece in pieces {
            bare.write_body(Bytes::from_static(piece.as_bytes()), false).await.unwrap();
        }
        bare.write_body(Bytes::new(), true).await.unwrap();
        assert!(bare.is_complete());
        assert_eq!(wire(bare, client).await, expected);
    }
}

#[tokio::test]
async fn a_body_of_another_length_than_declared_is_an_error() {
    for (piece, ends) in [("four", false), ("no", true)] {
        let (mut bare, _client) = taken("GET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN).unwrap();
        bare.hold_head(&head(200, &[], Some(Length::Known(3))), false, false);
        assert!(bare.write_body(Bytes::from_static(piece.as_bytes()), ends).await.is_err());
    }
}

#[tokio::test]
async fn a_long_piece_follows_its_head() {
    let (mut bare, client) = taken("GET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN).unwrap();
    let body = "x".repeat(100_000);
    bare.hold_head(&head(200, &[], Some(Length::Known(100_000))), false, false);
    bare.write_body(Bytes::from(body.clone()), true).await.unwrap();
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n";
    assert_eq!(wire(bare, client).await, expected.to_owned() + &body);
}

#[tokio::test]
async fn of_a_long_piece_the_system_takes_what_it_can_at_once() {
    let (ours, mut client) = duplex(1000);
    let request = BytesMut::from("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let end = request.len();
    let mut bare = Bare::new(Box::new(ours), request, end, PLAIN).map_err(drop).unwrap();
    bare.hold_head(&head(200, &[], Some(Length::Known(5000))), false, false);
    let mut piece = Bytes::from(vec![b'x'; 5000]);
    let written = bare.write_at_once(&mut piece).await.unwrap();
    assert_eq!((written, bare.write_at_once(&mut piece).await.unwrap()), (5000 - piece.len(), 0));
    assert!((800..1000).contains(&written), "{written}");
    let mut all = String::new();
    let ((), read) = tokio::join!(
        async {
            bare.write_body(piece, true).await.unwrap();
            assert!(bare.is_complete());
            drop(bare);
        },
        client.read_to_string(&mut all)
    );
    read.unwrap();
    assert!(all.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n"));
    assert!(all.ends_with(&("\r\n\r\n".to_owned() + &"x".repeat(5000))));
}

#[tokio::test]
async fn a_client_that_goes_away_is_noticed_and_what_it_has_sent_is_kept() {
    let (mut bare, mut client) = taken("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", PLAIN).unwrap();
    client.write_all(b" /next").await.unwrap();
    drop(client);
    bare.gone().await;
    assert_eq!(bare.into_parts().1, "GET /next");
}

#[tokio::test(start_paused = true)]
async fn what_a_client_sends_ahead_is_bounded() {
    let (mut bare, mut client) = taken("GET / HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN).unwrap();
    client.write_all(&[b'x'; 100_000]).await.unwrap();
    let wait = Duration::from_secs(3600);
    assert!(tokio::time::timeout(wait, bare.gone()).await.is_err());
    assert!((READ_AHEAD..16 << 10).contains(&bare.into_parts().1.len()));
}
