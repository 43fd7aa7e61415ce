//! Responses as workers send them, however they are cut into reads, and what is none.

use http::header::CONTENT_TYPE;
use tokio::io::{DuplexStream, duplex};

use super::*;

fn request(method: Method, target: &str, fields: &[(&'static str, &'static str)]) -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::empty());
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().unwrap();
    for (name, value) in fields {
        request.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    request
}

/// A connection, and the worker's end of it.
fn connection() -> (Bare<DuplexStream>, DuplexStream) {
    let (ours, theirs) = duplex(1 << 20);
    (Bare::new(ours), theirs)
}

/// What came of a response that arrives in these pieces: its status, its body, whether the connection can be used again.
async fn answered(method: Method, pieces: &[&[u8]], ends: bool) -> Result<(u16, Vec<u8>, bool), String> {
    let (mut bare, mut worker) = connection();
    let request = request(method, "/", &[]);
    let said = async {
        for piece in pieces {
            worker.write_all(piece).await.unwrap();
            // The other side reads what there is before more comes.
            tokio::task::yield_now().await;
        }
        if ends {
            worker.shutdown().await.unwrap();
        }
    };
    let read = async {
        let head = bare.call(&request).await.map_err(|error| format!("{error:?}"))?;
        let mut body = Vec::new();
        while let Some(piece) = bare.next().await {
            body.extend_from_slice(&piece.map_err(|_| "broken off".to_owned())?);
        }
        Ok::<_, String>((head.status.as_u16(), body))
    };
    let (read, ()) = tokio::join!(read, said);
    let (status, body) = read?;
    assert!(bare.is_end());
    Ok((status, body, bare.is_usable()))
}

#[tokio::test]
async fn a_request_is_written_as_it_is() {
    let (mut bare, mut worker) = connection();
    let fields = [("host", "a"), ("cookie", "b"), ("cookie", "c")];
    let request = request(Method::DELETE, "/a%20b?c=d", &fields);
    let answer = async {
        let mut wire = vec![0; 1024];
        let read = worker.read(&mut wire).await.unwrap();
        wire.truncate(read);
        worker.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        String::from_utf8(wire).unwrap()
    };
    let (head, wire) = tokio::join!(bare.call(&request), answer);
    assert_eq!(wire, "DELETE /a%20b?c=d HTTP/1.1\r\nhost: a\r\ncookie: b\r\ncookie: c\r\n\r\n");
    assert_eq!(head.unwrap().status, 204);
    assert!(bare.is_usable());
}

#[tokio::test]
async fn a_response_is_the_same_however_it_is_cut() {
    let cases: &[(Method, &[u8], u16, &[u8])] = &[
        (Method::GET, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
        (Method::GET, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b""),
        (
            Method::GET,
            b"HTTP/1.1 404 Gone Fishing\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n",
            404,
            b"abc0123456789",
        ),
        (Method::GET, b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n", 200, b""),
        (Method::HEAD, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", 200, b""),
        (Method::GET, b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 304, b""),
        (
            Method::GET,
            b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
            200,
            b"x",
        ),
    ];
    for (method, response, status, body) in cases {
        for cut in 0..response.len() {
            let (first, second) = response.split_at(cut);
            let answer = answered(method.clone(), &[first, second], false).await;
            assert_eq!(answer, Ok((*status, body.to_vec(), true)), "{} cut at {cut}", response.escape_ascii());
        }
        let bytes: Vec<&[u8]> = response.chunks(1).collect();
        assert_eq!(answered(method.clone(), &bytes, false).await, Ok((*status, body.to_vec(), true)));
        // All but the last byte, and then the end.
        let cut = answered(method.clone(), &[&response[..response.len() - 1]], true).await;
        assert!(cut.is_err(), "{}: {cut:?}", response.escape_ascii());
    }
}

#[tokio::test]
async fn what_is_no_response_is_told_from_one_that_ends_early() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(70 << 10));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: 1\r\n".repeat(257));
    let cases: &[(&[u8], &str)] = &[
        (b"", "Closed"),
        (b"HTTP/1.1 200 OK\r\n", "Closed"),
        (b"nonsense\r\n\r\n", "a malformed header"),
        (b"HTTP/1.1 103 \r\na: b\n\r\nHTTP/1.1 304 \r\n\r\n", "two ends"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", "a version"),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", "neither"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello", "an unusable length"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\n", "an unusable length"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx", "an ambiguous length"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\nx", "an ambiguous length"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nx", "an ambiguous length"),
        (long.as_bytes(), "64 KiB"),
        (many.as_bytes(), "256 fields"),
    ];
    for (response, expected) in cases {
        let error = answered(Method::GET, &[response], true).await.unwrap_err();
        assert!(error.contains(expected), "{}: {error}", response[..response.len().min(80)].escape_ascii());
    }
}

#[tokio::test]
async fn a_malformed_chunk_breaks_the_response_off() {
    let line = "1".repeat(5 << 10);
    for chunks in [
        "x\r\n",
        "\r\n",
        "-1\r\n",
        "1\r\nab\r\n",
        "11111111111111111\r\n",
        "0\r\nt: 1\r\n\r\n",
        "0;x=y\r\n\r\n",
        "0\r\r\n\r\n",
        &line,
    ] {
        let response = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
        let error = answered(Method::GET, &[response.as_bytes()], false).await.unwrap_err();
        assert_eq!(error, "broken off", "{chunks:.40}");
    }
}

#[tokio::test]
async fn a_connection_that_is_used_up_is_not_used_again() {
    for response in
        ["HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\nunasked"]
    {
        let (_, _, usable) = answered(Method::GET, &[response.as_bytes()], false).await.unwrap();
        assert!(!usable, "{response}");
    }
    let (mut bare, worker) = connection();
    assert!(bare.is_usable());
    drop(worker);
    assert!(!bare.is_usable(), "the worker has gone");
    assert_eq!(bare.call(&request(Method::GET, "/", &[])).await.unwrap_err(), Error::NotSent);
}

#[tokio::test]
async fn a_piece_that_was_not_taken_is_there_the_next_time() {
    let (mut bare, mut worker) = connection();
    worker.write_all(b"HTTP/1.1 200 Fine\r\ncontent-type: a\r\ncontent-length: 4\r\n\r\n").await.unwrap();
    let head = bare.call(&request(Method::GET, "/", &[])).await.unwrap();
    assert_eq!(head.headers[CONTENT_TYPE], "a");
    assert_eq!(head.extensions.get::<ReasonPhrase>().unwrap().as_bytes(), b"Fine");
    assert!(!bare.is_usable(), "its response is still to come");
    for _ in 0..2 {
        assert!(futures_util::poll!(pin!(bare.next())).is_pending());
    }
    worker.write_all(b"body").await.unwrap();
    assert_eq!(bare.next().await.unwrap().unwrap(), "body");
    assert!(bare.is_end());
    assert!(bare.next().await.is_none());
}

#[tokio::test]
async fn a_short_response_is_one_piece_however_it_comes() {
    for length in [1, 9 << 10, RESPONSE_BUFFER] {
        let (mut bare, mut worker) = connection();
        worker.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes()).await.unwrap();
        worker.write_all(&vec![7; length]).await.unwrap();
        bare.call(&request(Method::GET, "/", &[])).await.unwrap();
        assert!(bare.is_short());
        assert_eq!(bare.next().await.unwrap().unwrap().len(), length);
        assert!(bare.is_end());
    }
    let (mut bare, mut worker) = connection();
    worker.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbo").await.unwrap();
    bare.call(&request(Method::GET, "/", &[])).await.unwrap();
    assert!(futures_util::poll!(pin!(bare.next())).is_pending());
    worker.write_all(b"dy").await.unwrap();
    assert_eq!(bare.next().await.unwrap().unwrap(), "body");
}

#[tokio::test]
async fn a_long_response_is_read_in_large_pieces() {
    let (mut bare, mut worker) = connection();
    let length = 512 << 10;
    worker.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes()).await.unwrap();
    worker.write_all(&vec![7; length]).await.unwrap();
    bare.call(&request(Method::GET, "/", &[])).await.unwrap();
    let mut sizes = Vec::new();
    while let Some(piece) = bare.next().await {
        sizes.push(piece.unwrap().len());
    }
    assert_eq!(sizes.iter().sum::<usize>(), length);
    assert!(sizes.iter().any(|size| *size >= RESPONSE_BUFFER) && sizes.len() < 20, "{sizes:?}");
}
