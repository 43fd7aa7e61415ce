//! Where an answer ends: its header read, and its body's bytes counted off. Decisions without I/O.

/// What a response's header says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes of the header itself.
    pub(crate) length: usize,
    pub(crate) status: u16,
    /// The server closes the connection after this response.
    pub(crate) closes: bool,
    pub(crate) body: Body,
}

/// What is still missing of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
    /// Everything until the connection ends.
    UntilClose,
}

/// Where in the chunks the reader is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// In a size line; the size so far and whether a digit was there.
    Size(u64, bool),
    /// In the rest of a size line.
    Extension(u64),
    /// This many bytes of data, and the line end behind them.
    Data(u64),
    /// In a line of the trailer; its length so far.
    Trailer(usize),
}

/// The server did not speak HTTP/1.1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads a header; none while it is not complete. `is_head`: the request was a HEAD.
pub(crate) fn head(bytes: &[u8], is_head: bool) -> Result<Option<Head>, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = response.parse(bytes).map_err(|_| Malformed)? else {
        return Ok(None);
    };
    let status = response.code.ok_or(Malformed)?;
    let (mut closes, mut declared, mut chunked) = (response.version == Some(0), None, false);
    for field in response.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(field.value).map_err(|_| Malformed)?;
            declared = Some(text.trim().parse::<u64>().map_err(|_| Malformed)?);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = field.value.eq_ignore_ascii_case(b"chunked");
        } else if field.name.eq_ignore_ascii_case("connection") {
            closes |= field.value.eq_ignore_ascii_case(b"close");
        }
    }
    let body = match declared {
        _ if is_head || status == 204 || status == 304 || status < 200 => Body::Length(0),
        _ if chunked => Body::Chunked(Chunk::Size(0, false)),
        Some(length) => Body::Length(length),
        None => Body::UntilClose,
    };
    Ok(Some(Head { length, status, closes: closes || body == Body::UntilClose, body }))
}

impl Body {
    /// Counts off bytes of the body; true when it is complete. Bytes behind its end are malformed: nothing was asked yet.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<bool, Malformed> {
        match self {
            Self::UntilClose => Ok(false),
            Self::Length(missing) => {
                *missing = missing.checked_sub(bytes.len() as u64).ok_or(Malformed)?;
                Ok(*missing == 0)
            }
            Self::Chunked(chunk) => chunk.take(bytes),
        }
    }
}

impl Chunk {
    fn take(&mut self, mut bytes: &[u8]) -> Result<bool, Malformed> {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self {
                Self::Data(missing) => {
                    let available = bytes.len() as u64;
                    let step = available.min(*missing);
                    *missing -= step;
                    if *missing == 0 {
                        *self = Self::Size(0, false);
                    }
                    // No more than there is, so it fits.
                    bytes = &bytes[step as usize..];
                    continue;
                }
                Self::Size(size, any) => match (byte as char).to_digit(16) {
                    Some(digit) if *size < 1 << 59 => (*size, *any) = (*size * 16 + u64::from(digit), true),
                    None if *any => {
                        let size = *size;
                        *self = Self::Extension(size);
                        continue;
                    }
                    _ => return Err(Malformed),
                },
                Self::Extension(size) => {
                    if byte == b'\n' {
                        *self = if *size == 0 { Self::Trailer(0) } else { Self::Data(*size + 2) };
                    }
                }
                Self::Trailer(0) if byte == b'\n' => return if rest.is_empty() { Ok(true) } else { Err(Malformed) },
                Self::Trailer(length) => match byte {
                    b'\n' => *length = 0,
                    b'\r' => {}
                    _ => *length += 1,
                },
            }
            bytes = rest;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_where_the_body_ends() {
        let body = |text: &str, is_head| head(text.as_bytes(), is_head).unwrap().unwrap();
        let found = body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", false);
        assert_eq!((found.status, found.body, found.closes), (200, Body::Length(5), false));
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true).body, Body::Length(0));
        assert_eq!(body("HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n", false).body, Body::Length(0));
        let found = body("HTTP/1.1 200 OK\r\n\r\n", false);
        assert_eq!((found.body, found.closes), (Body::UntilClose, true));
        assert!(body("HTTP/1.1 503 X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", false).closes);
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nContent", false), Ok(None));
        assert_eq!(head(b"SSH-2.0-x\r\n\r\n", false), Err(Malformed));
    }

    #[test]
    fn chunks_end_where_they_say_however_they_arrive() {
        let whole = b"5;x=y\r\nhello\r\n1f\r\n0123456789012345678901234567890\r\n0\r\nA: b\r\n\r\n";
        for step in 1..=whole.len() {
            let mut body = Body::Chunked(Chunk::Size(0, false));
            let ends: Vec<bool> = whole.chunks(step).map(|part| body.take(part).unwrap()).collect();
            assert_eq!(ends.iter().position(|end| *end), Some(ends.len() - 1), "in steps of {step}");
        }
        for wrong in [&b"x\r\n"[..], b"\r\n", b"0\r\n\r\nmore"] {
            assert_eq!(Body::Chunked(Chunk::Size(0, false)).take(wrong), Err(Malformed));
        }
        assert_eq!(Body::Length(3).take(b"four"), Err(Malformed));
    }
}
