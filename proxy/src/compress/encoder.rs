//! One body's compression, by whichever coding. Called by `compress`, on its own thread or on one that may block. Its
//! memory is bounded by the windows below, whatever the body's length.

use std::io::{self, Write};

use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::GzEncoder;
use tidegate_site::CompressionLevel;
use zstd::stream::raw::CParameter;

use super::plan::Plan;
use crate::negotiate::Coding;

/// 256 KiB, for zstd and Brotli: what repeats in a page repeats nearer than that, and an encoder takes one or two
/// megabytes instead of eight.
const WINDOW: u32 = 18;

/// What brotli collects before it looks at it; pieces are larger or flushed.
const BROTLI_BUFFER: usize = 4 << 10;

/// Compresses one body.
pub(super) enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoder")
    }
}

impl Encoder {
    /// An encoder for a body of this length, where it is known.
    pub(super) fn new(plan: Plan, length: Option<u64>) -> io::Result<Self> {
        let out = Vec::new();
        match plan.coding {
            Coding::Zstd => {
                let level = match plan.level {
                    CompressionLevel::Fast => 1,
                    CompressionLevel::Balanced => 3,
                    CompressionLevel::Small => 9,
                };
                let mut encoder = zstd::stream::write::Encoder::new(out, level)?;
                encoder.set_parameter(CParameter::WindowLog(WINDOW))?;
                encoder.set_pledged_src_size(length)?;
                Ok(Self::Zstd(encoder))
            }
            Coding::Brotli => {
                let quality = match plan.level {
                    CompressionLevel::Fast => 1,
                    CompressionLevel::Balanced => 4,
                    CompressionLevel::Small => 6,
                };
                Ok(Self::Brotli(Box::new(CompressorWriter::new(out, BROTLI_BUFFER, quality, WINDOW))))
            }
            Coding::Gzip => {
                let level = match plan.level {
                    CompressionLevel::Fast => 1,
                    CompressionLevel::Balanced => 5,
                    CompressionLevel::Small => 8,
                };
                Ok(Self::Gzip(GzEncoder::new(out, Compression::new(level))))
            }
        }
    }

    /// Takes a piece of the body in; what comes out is there after [`Encoder::take`].
    pub(super) fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        self.writer().write_all(piece)
    }

    /// Lets everything out that was taken in.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }

    /// What has come out.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Gzip(encoder) => encoder.get_mut(),
        })
    }

    /// The rest, with what ends the coding.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Zstd(encoder) => encoder,
            Self::Brotli(encoder) => encoder,
            Self::Gzip(encoder) => encoder,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let read = match coding {
            Coding::Zstd => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut out),
            Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
        };
        read.unwrap();
        out
    }

    #[test]
    fn what_goes_in_comes_out_by_every_coding_and_level() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(|number| (number % 1000).to_string().into_bytes()).collect();
        for coding in Coding::ALL {
            for level in [CompressionLevel::Fast, CompressionLevel::Balanced, CompressionLevel::Small] {
                let mut encoder = Encoder::new(Plan { coding, level }, None).unwrap();
                let mut all = Vec::new();
                for piece in text.chunks(70_001) {
                    encoder.push(piece).unwrap();
                    all.extend(encoder.take());
                }
                all.extend(encoder.finish().unwrap());
                assert!(all.len() < text.len() / 4, "{coding:?} {level:?}");
                assert_eq!(decoded(coding, &all), text, "{coding:?} {level:?}");
            }
        }
    }

    #[test]
    fn a_flushed_piece_can_be_read_before_the_next_one_is_there() {
        for coding in Coding::ALL {
            let mut encoder = Encoder::new(Plan { coding, level: CompressionLevel::Balanced }, None).unwrap();
            encoder.push(b"data: one\n\n").unwrap();
            encoder.flush().unwrap();
            let first = encoder.take();
            let mut seen = [0; 11];
            match coding {
                Coding::Zstd => zstd::stream::read::Decoder::new(&*first).unwrap().read_exact(&mut seen),
                Coding::Brotli => brotli::Decompressor::new(&*first, 4096).read_exact(&mut seen),
                Coding::Gzip => flate2::read::GzDecoder::new(&*first).read_exact(&mut seen),
            }
            .unwrap();
            assert_eq!(&seen, b"data: one\n\n", "{coding:?}");
            encoder.push(b"data: two\n\n").unwrap();
            let rest = encoder.finish().unwrap();
            assert_eq!(decoded(coding, &[first, rest].concat()), b"data: one\n\ndata: two\n\n", "{coding:?}");
        }
    }

    #[test]
    fn an_empty_body_is_well_formed() {
        for coding in Coding::ALL {
            let plan = Plan { coding, level: CompressionLevel::Balanced };
            assert_eq!(decoded(coding, &Encoder::new(plan, Some(0)).unwrap().finish().unwrap()), b"");
        }
    }
}
