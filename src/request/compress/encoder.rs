//! An `Encoder` compresses what passes, and gives out what there is when nothing passes.

use super::Coding;
use bytes::Bytes;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// These levels cost about as much as writing the bytes to a network does.
const GZIP: u32 = 5;
const BROTLI: u32 = 4;
const ZSTD: i32 = 3;

/// Windows have 2^18 bytes: a response under way may hold as much in memory.
const BROTLI_WINDOW: u32 = 18;

pub enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
}

impl Encoder {
    pub fn new(coding: Coding) -> io::Result<Encoder> {
        Ok(match coding {
            Coding::Gzip => {
                let level = flate2::Compression::new(GZIP);
                Encoder::Gzip(GzEncoder::new(Vec::new(), level))
            }
            Coding::Zstd => Encoder::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD)?),
            Coding::Brotli => {
                let (buffer, window) = (4096, BROTLI_WINDOW);
                let writer = brotli::CompressorWriter::new(Vec::new(), buffer, BROTLI, window);
                Encoder::Brotli(Box::new(writer))
            }
        })
    }

    /// Takes more; gives what is ready.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<Bytes> {
        self.writer().write_all(bytes)?;
        Ok(self.ready())
    }

    /// Gives all that was taken.
    pub fn flush(&mut self) -> io::Result<Bytes> {
        self.writer().flush()?;
        Ok(self.ready())
    }

    /// Gives the rest.
    pub fn finish(self) -> io::Result<Bytes> {
        let rest = match self {
            Encoder::Gzip(encoder) => encoder.finish()?,
            Encoder::Zstd(encoder) => encoder.finish()?,
            Encoder::Brotli(writer) => writer.into_inner(),
        };
        Ok(rest.into())
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Encoder::Gzip(encoder) => encoder,
            Encoder::Zstd(encoder) => encoder,
            Encoder::Brotli(writer) => writer,
        }
    }

    fn ready(&mut self) -> Bytes {
        let written = match self {
            Encoder::Gzip(encoder) => encoder.get_mut(),
            Encoder::Zstd(encoder) => encoder.get_mut(),
            Encoder::Brotli(writer) => writer.get_mut(),
        };
        std::mem::take(written).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        // What is flushed can be read, though it is not the end.
        let _ = match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut text),
            Coding::Zstd => zstd::stream::read::Decoder::new(bytes)
                .unwrap()
                .read_to_end(&mut text),
            Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut text),
        };
        text
    }

    #[test]
    fn what_is_flushed_can_be_read_at_once_and_the_whole_in_the_end() {
        for coding in [Coding::Gzip, Coding::Zstd, Coding::Brotli] {
            let mut encoder = Encoder::new(coding).unwrap();
            let mut sent = encoder.write(b"first event\n").unwrap().to_vec();
            sent.extend(encoder.flush().unwrap());
            assert_eq!(decoded(coding, &sent), b"first event\n", "{coding:?}");
            let more = b"again and again ".repeat(10_000);
            sent.extend(encoder.write(&more).unwrap());
            sent.extend(encoder.finish().unwrap());
            assert!(sent.len() < 2000, "{coding:?}: {}", sent.len());
            let whole = [b"first event\n".to_vec(), more].concat();
            assert_eq!(decoded(coding, &sent), whole, "{coding:?}");
        }
    }
}
