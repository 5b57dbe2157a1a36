//! A `Digest` is written as registries do: SHA-256, in small letters.

use anyhow::{Context, Result, bail};
use ring::digest::{Context as Hasher, SHA256, digest};
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Digest {
        Digest::from_hash(digest(&SHA256, bytes))
    }

    fn from_hash(hash: ring::digest::Digest) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.as_ref());
        Digest(bytes)
    }

    /// Writes the digest without the name of the algorithm.
    pub fn hex(self) -> String {
        let bytes = self.0.iter();
        bytes.fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

impl FromStr for Digest {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Digest> {
        let hex = text
            .strip_prefix("sha256:")
            .with_context(|| format!("`{}` is no digest of SHA-256", text.escape_default()))?;
        let small = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hex.len() != 64 || !hex.bytes().all(small) {
            bail!("`sha256:` is followed by 64 digits of 0-9a-f");
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&hex[at..at + 2], 16)?;
        }
        Ok(Digest(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

/// Makes a digest of what comes in pieces.
#[derive(Clone)]
pub struct Digester(Hasher);

impl Digester {
    pub fn new() -> Digester {
        Digester(Hasher::new(&SHA256))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Takes all that can be read, and says how much that was.
    pub fn read(&mut self, mut from: impl Read) -> io::Result<u64> {
        let (mut all, mut piece) = (0, vec![0; 256 << 10]);
        loop {
            match from.read(&mut piece)? {
                0 => return Ok(all),
                length => {
                    self.update(&piece[..length]);
                    all += length as u64;
                }
            }
        }
    }

    pub fn finish(self) -> Digest {
        Digest::from_hash(self.0.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_registries_write() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(empty.parse::<Digest>().unwrap(), Digest::of(b""));
        let mut pieces = Digester::new();
        assert_eq!(pieces.read(&b"abc"[..]).unwrap(), 3);
        assert_eq!(pieces.finish(), Digest::of(b"abc"));
        for wrong in [
            "",
            "sha256:",
            "sha512:e3b0",
            &empty.to_uppercase(),
            &empty[..70],
            &format!("{empty}0"),
        ] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }
}
