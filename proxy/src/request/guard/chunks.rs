//! Refuses a chunked body that two programs could read differently. pingora's parser takes an empty size for
//! zero, any byte for an extension (a bare line feed too) and any line for a trailer; what passes here means the same to
//! every parser. Fed by `session::gate` with the body's bytes as they come, before pingora sees them. Keeps no bytes.

use super::token::TOKEN;

/// Bytes of one line of sizes and extensions.
const MAX_LINE: u32 = 4 << 10;
/// What lines may take beyond a fair share: 16 bytes for a chunk, and as much again as its data.
const MAX_OVERHEAD: u64 = 64 << 10;
/// Bytes of all trailers.
const MAX_TRAILERS: u32 = 16 << 10;
/// Digits of a size: 60 bits, so that no sum of sizes wraps.
const MAX_DIGITS: u32 = 15;

/// Where the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The size, so many digits of which have been seen.
    Size(u32),
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    /// The first byte of a trailer, or of the empty line that ends the message.
    Line,
    Name,
    Value,
    ValueEnd,
    Last,
    Done,
}

/// A chunked body as far as it has come.
#[derive(Debug)]
pub(crate) struct Chunks {
    place: Place,
    /// Of the current chunk: its size as far as it is read, then what is left of its data.
    left: u64,
    is_last: bool,
    line: u32,
    overhead: u64,
}

impl Chunks {
    /// A body of which nothing has come.
    pub(crate) fn new() -> Self {
        Self { place: Place::Size(0), left: 0, is_last: false, line: 0, overhead: 0 }
    }

    /// Whether the message is complete: what follows belongs to the next request.
    pub(crate) fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    /// Looks at the next bytes of the connection; those behind the message's end are left alone. The error says
    /// what is wrong, and nothing may be asked after it.
    pub(crate) fn check(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.place == Place::Data {
                let data = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.left -= data as u64;
                bytes = &bytes[data..];
                if self.left == 0 {
                    self.place = Place::DataCr;
                }
                continue;
            }
            self.place = match (self.place, byte) {
                (Place::Done, _) => return Ok(()),
                (Place::Size(digits), _) if byte.is_ascii_hexdigit() => self.digit(digits, byte)?,
                (Place::Size(0), _) => return Err("chunk without a size"),
                (Place::Size(_), b';') => Place::Extension,
                (Place::Size(_) | Place::Extension, b'\r') => Place::SizeEnd,
                (Place::Size(_), _) => return Err("malformed chunk size"),
                (Place::Extension, b'\t' | b' '..=b'~' | 0x80..) => Place::Extension,
                (Place::Extension, _) => return Err("control character in a chunk extension"),
                (Place::SizeEnd, b'\n') => self.sized()?,
                (Place::DataCr, b'\r') => Place::DataLf,
                (Place::DataLf, b'\n') => self.next_chunk(),
                (Place::DataCr | Place::DataLf, _) => return Err("chunk data without CR LF"),
                (Place::Line, b'\r') => Place::Last,
                (Place::Name, b':') => Place::Value,
                (Place::Line | Place::Name, _) if TOKEN[usize::from(byte)] => Place::Name,
                (Place::Line | Place::Name, _) => return Err("malformed trailer"),
                (Place::Value, b'\t' | b' '..=b'~' | 0x80..) => Place::Value,
                (Place::Value, b'\r') => Place::ValueEnd,
                (Place::Value, _) => return Err("control character in a trailer"),
                (Place::ValueEnd, b'\n') => Place::Line,
                (Place::Last, b'\n') => Place::Done,
                (Place::SizeEnd | Place::ValueEnd | Place::Last, _) => return Err("CR without LF"),
                (Place::Data, _) => Place::Data,
            };
            bytes = rest;
            self.line += 1;
            if self.line > if self.is_last { MAX_TRAILERS } else { MAX_LINE } {
                return Err("chunk line or trailers over their limit");
            }
        }
        Ok(())
    }

    fn digit(&mut self, digits: u32, byte: u8) -> Result<Place, &'static str> {
        if digits == MAX_DIGITS {
            return Err("chunk size over its limit");
        }
        let digit = char::from(byte).to_digit(16).unwrap_or_default();
        self.left = self.left << 4 | u64::from(digit);
        Ok(Place::Size(digits + 1))
    }

    /// The line with the size is over.
    fn sized(&mut self) -> Result<Place, &'static str> {
        let fair = 16_u64.saturating_add(self.left);
        self.overhead = (self.overhead + u64::from(self.line)).saturating_sub(fair);
        if self.overhead > MAX_OVERHEAD {
            return Err("more chunk extensions than data");
        }
        self.line = 0;
        self.is_last = self.left == 0;
        Ok(if self.is_last { Place::Line } else { Place::Data })
    }

    fn next_chunk(&mut self) -> Place {
        self.line = 0;
        Place::Size(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the message passes, is complete, and how it is however it is cut into pieces.
    fn check(bytes: &[u8]) -> Result<bool, &'static str> {
        let mut whole = Chunks::new();
        let checked = whole.check(bytes).map(|()| whole.is_done());
        let mut single = Chunks::new();
        let split = bytes.iter().try_for_each(|byte| single.check(&[*byte])).map(|()| single.is_done());
        assert_eq!(checked, split, "{bytes:?}");
        checked
    }

    #[test]
    fn what_every_parser_reads_alike_passes() {
        for message in [
            &b"0\r\n\r\n"[..],
            b"00\r\n\r\n",
            b"2\r\nab\r\n0\r\n\r\n",
            b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
            b"2;a=b;c=\"d e\"\r\n\r\n\r\n0;x\r\n\r\n",
            b"0\r\nX-A: b\r\nX-C:\td\xff\r\n\r\n",
            b"1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\nanything",
        ] {
            assert_eq!(check(message), Ok(true), "{message:?}");
        }
        for beginning in [&b""[..], b"1", b"1\r", b"1\r\n", b"1\r\na", b"1\r\na\r\n", b"0\r\n", b"0\r\nX: y\r\n\r"] {
            assert_eq!(check(beginning), Ok(false), "{beginning:?}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for message in [
            &b"\r\n\r\n"[..],
            b"\n",
            b";a\r\n",
            b" 1\r\n",
            b"1 \r\n",
            b"1\n",
            b"1\ra",
            b"1;\n",
            b"1;a\rb",
            b"1;\0",
            b"+1\r\n",
            b"-1\r\n",
            b"0x1\r\n",
            b"1_0\r\n",
            b"g\r\n",
            b"1000000000000000\r\n",
            b"1\r\nab\r\n",
            b"1\r\na\n",
            b"1\r\na\rb",
            b"0\r\n\n",
            b"0\r\n\r\r",
            b"0\r\nX : y\r\n",
            b"0\r\n X: y\r\n",
            b"0\r\nX: y\n",
            b"0\r\nX: y\rZ",
            b"0\r\n: y\r\n",
            b"0\r\nGET / HTTP/1.1\r\n",
        ] {
            assert!(check(message).is_err(), "{message:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(5000));
        assert!(check(long.as_bytes()).is_err());
        let many = format!("1;{}\r\na\r\n", "x".repeat(1000)).repeat(100);
        assert!(check(many.as_bytes()).is_err());
        let fair = "1;abc\r\na\r\n".repeat(20_000);
        assert_eq!(check(fair.as_bytes()), Ok(false));
        let trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(5000));
        assert!(check(trailers.as_bytes()).is_err());
    }
}
