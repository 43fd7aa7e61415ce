//! HTTP/2 frame by frame: what the `h2` crate would refuse to send is sent as the case wants it. Reads what comes back
//! as far as the cases look at it: the status, the ends of streams, GOAWAY.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::wait::bounded;

/// Frame types (RFC 9113 section 6).
pub mod kind {
    #![allow(missing_docs, reason = "the RFC's names")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub mod flag {
    #![allow(missing_docs, reason = "the RFC's names")]
    pub const NONE: u8 = 0;
    pub const END_STREAM: u8 = 1;
    pub const ACK: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 32;
}

/// The fields of an ordinary GET.
pub const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/p")];

/// A connection.
#[derive(Debug)]
pub struct Frames {
    reader: ReadHalf<TlsStream<TcpStream>>,
    writer: WriteHalf<TlsStream<TcpStream>>,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 for the connection.
    pub stream: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// What became of a stream, or of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A response with this status, complete.
    Answered(u16),
    /// RST_STREAM with this code, before or in a response.
    Reset(u32),
    /// GOAWAY with this code.
    GoneAway(u32),
    /// The connection ended without a word.
    Closed,
}

impl Frames {
    /// Sends the preface and empty SETTINGS, but for a header table of no size: responses are then readable without one.
    pub async fn over(stream: TlsStream<TcpStream>) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let mut frames = Self { reader, writer };
        frames.send_raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        frames.send(kind::SETTINGS, flag::NONE, 0, &[0, 1, 0, 0, 0, 0]).await;
        frames
    }

    /// Writes bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        let write = async {
            self.writer.write_all(bytes).await?;
            self.writer.flush().await
        };
        bounded("room to write", write).await
    }

    /// Writes a frame. That the server has closed shows in what is read.
    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let _ = self.send_raw(&frame(kind, flags, stream, payload)).await;
    }

    /// Writes HEADERS with these fields, complete.
    pub async fn headers(&mut self, stream: u32, fields: &[(&str, &str)], ends_stream: bool) {
        let flags = flag::END_HEADERS | if ends_stream { flag::END_STREAM } else { 0 };
        self.send(kind::HEADERS, flags, stream, &literal(fields)).await;
    }

    /// The next frame; none at the connection's end.
    pub async fn next(&mut self) -> Option<Frame> {
        read(&mut self.reader).await
    }

    /// Reads until it is clear what became of this stream.
    pub async fn fate(&mut self, stream: u32) -> Fate {
        let mut status = 0;
        while let Some(frame) = self.next().await {
            let ends = frame.flags & flag::END_STREAM != 0;
            match frame.kind {
                kind::GOAWAY if frame.code(4) != 0 => return Fate::GoneAway(frame.code(4)),
                kind::RST_STREAM if frame.stream == stream => return Fate::Reset(frame.code(0)),
                kind::HEADERS if frame.stream == stream => status = frame.status(),
                kind::DATA if frame.stream == stream => {}
                _ => continue,
            }
            if ends {
                return Fate::Answered(status);
            }
        }
        Fate::Closed
    }

    /// Reads until the connection has ended: the code of its GOAWAY, if there was one.
    pub async fn end(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next().await {
            if frame.kind == kind::GOAWAY {
                code = Some(frame.code(4));
            }
        }
        code
    }

    /// Writing and reading apart, for a case that does both at once.
    pub fn split(self) -> (WriteHalf<TlsStream<TcpStream>>, ReadHalf<TlsStream<TcpStream>>) {
        (self.writer, self.reader)
    }
}

impl Frame {
    /// A code of four bytes at this place of the payload.
    pub fn code(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// The `:status` of HEADERS, which is the first field and in no dynamic table.
    pub fn status(&self) -> u16 {
        let mut block = &self.payload[..];
        while block[0] & 0xe0 == 0x20 {
            block = &block[1..];
        }
        match block[0] {
            index @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
            // A literal whose name is one of the table's `:status`.
            0x08..=0x0e | 0x48..=0x4e => {
                let (is_huffman, length) = (block[1] & 0x80 != 0, usize::from(block[1] & 0x7f));
                let value = &block[2..2 + length];
                let digits =
                    if is_huffman { huffman_digits(value) } else { String::from_utf8(value.to_vec()).unwrap() };
                digits.parse().unwrap()
            }
            other => panic!("the first field is no status: {other:#x}"),
        }
    }
}

/// The next frame; none at the connection's end.
pub async fn read(reader: &mut ReadHalf<TlsStream<TcpStream>>) -> Option<Frame> {
    let mut head = [0; 9];
    bounded("a frame", reader.read_exact(&mut head)).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    bounded("a frame's payload", reader.read_exact(&mut payload)).await.ok()?;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
    Some(Frame { kind: head[3], flags: head[4], stream, payload })
}

/// A frame's bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields as HPACK literals without indexing and without Huffman's code, as they are.
pub fn literal(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name);
        string(&mut block, value);
    }
    block
}

/// A string with its length in front.
pub fn string(block: &mut Vec<u8>, text: &str) {
    integer(block, 0x7f, text.len());
    // One byte a character, so that a case can write any byte.
    block.extend(text.chars().map(|character| u8::try_from(u32::from(character)).unwrap()));
}

/// An integer behind a prefix of this many ones (RFC 7541 section 5.1).
fn integer(block: &mut Vec<u8>, prefix: usize, mut value: usize) {
    if value < prefix {
        return block.push(value as u8);
    }
    block.push(prefix as u8);
    value -= prefix;
    while value >= 128 {
        block.push((value % 128) as u8 | 128);
        value /= 128;
    }
    block.push(value as u8);
}

/// Digits in Huffman's code: 0 to 2 have five bits, the others six.
fn huffman_digits(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let number = |bits: &[u8]| bits.iter().fold(0, |number, bit| number << 1 | bit);
    let (mut rest, mut text) = (&bits[..], String::new());
    while rest.len() >= 5 {
        let (digit, length) = match number(&rest[..5]) {
            short @ 0..=2 => (short, 5),
            _ if rest.len() < 6 => break,
            _ => (number(&rest[..6]).wrapping_sub(0x19 - 3), 6),
        };
        if digit > 9 {
            break;
        }
        text.push(char::from(b'0' + digit));
        rest = &rest[length..];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_from_huffman_code() {
        // The second one is of RFC 7541 appendix C.6.1.
        for (bytes, text) in [(&[0x6c, 0x01][..], "501"), (&[0x64, 0x02][..], "302"), (&[0x69, 0x90, 0xff][..], "431")]
        {
            assert_eq!(huffman_digits(bytes), text);
        }
    }

    #[test]
    fn a_literal_is_its_lengths_and_its_bytes() {
        assert_eq!(literal(&[("a", "bc")]), b"\0\x01a\x02bc");
        assert_eq!(literal(&[("a", &"b".repeat(300))])[3..6], [0x7f, 0xad, 0x01]);
    }
}
