//! This file follows a chunked body to its end (RFC 9112 section 7.1), as a part of `framing`. What the body carries
//! is read by hyper.

use super::head::is_token;

/// `Chunks` says where in the body we are. The size of the chunk is known from its first digit on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chunks {
    /// The first digit of a size comes next.
    #[default]
    Start,
    Size(u64),
    /// We are in what follows the size on its line.
    Extension(u64, Extension),
    SizeFeed(u64),
    Data(u64),
    DataReturn,
    DataFeed,
    /// We are at the beginning of a line of the trailer section.
    TrailerStart,
    Trailer,
    TrailerFeed,
    LastFeed,
    Over,
}

/// An `Extension` says where in a chunk's extensions we are (RFC 9112 section 7.1.1). Blanks may stand around `;` and
/// `=`, and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// There were blanks that only another extension may follow.
    Semicolon,
    NameStart,
    Name,
    /// There were a name and blanks.
    NameEnd,
    ValueStart,
    Value,
    Quoted,
    /// There was a backslash within quotes.
    Escape,
    QuotedEnd,
}

impl Chunks {
    pub fn are_over(self) -> bool {
        self == Chunks::Over
    }

    /// Says how many of the bytes belong to the body; an error where it is broken, with how many were valid. `announced` is
    /// called with the size of each chunk whose line has come.
    pub fn follow(&mut self, bytes: &[u8], mut announced: impl FnMut(u64)) -> Result<usize, usize> {
        let mut at = 0;
        while at < bytes.len() && !self.are_over() {
            if let Chunks::Data(left) = self {
                let rest = bytes.len() - at;
                let read = rest.min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= read as u64;
                if *left == 0 {
                    *self = Chunks::DataReturn;
                }
                at += read;
            } else {
                *self = self.next(bytes[at]).ok_or(at)?;
                at += 1;
                if let Chunks::Data(size) = self {
                    announced(*size);
                }
            }
        }
        Ok(at)
    }

    fn next(self, byte: u8) -> Option<Chunks> {
        use self::Extension::{Name, NameStart, QuotedEnd, Semicolon, Value};
        use Chunks::*;
        Some(match (self, byte) {
            (Start, _) => Size(digit(byte)?),
            (Size(size), b';') => Extension(size, NameStart),
            (Size(size), b' ' | b'\t') => Extension(size, Semicolon),
            (Size(size), b'\r') => SizeFeed(size),
            (Size(size), _) => Size(size.checked_mul(16)?.checked_add(digit(byte)?)?),
            (Extension(size, Name | Value | QuotedEnd), b'\r') => SizeFeed(size),
            (Extension(size, extension), _) => Extension(size, extension.next(byte)?),
            (SizeFeed(0), b'\n') => TrailerStart,
            (SizeFeed(size), b'\n') => Data(size),
            (DataReturn, b'\r') => DataFeed,
            (DataFeed, b'\n') => Start,
            (TrailerStart, b'\r') => LastFeed,
            (TrailerStart, b' ' | b'\t') => return None,
            (Trailer, b'\r') => TrailerFeed,
            (TrailerStart | Trailer, b'\n' | 0) => return None,
            (TrailerStart | Trailer, _) => Trailer,
            (TrailerFeed, b'\n') => TrailerStart,
            (LastFeed, b'\n') => Over,
            _ => return None,
        })
    }
}

impl Extension {
    fn next(self, byte: u8) -> Option<Extension> {
        use Extension::*;
        Some(match (self, byte) {
            (Semicolon | NameStart | NameEnd | ValueStart, b' ' | b'\t') => self,
            (Name, b' ' | b'\t') => NameEnd,
            (Value | QuotedEnd, b' ' | b'\t') => Semicolon,
            (Semicolon | Name | NameEnd | Value | QuotedEnd, b';') => NameStart,
            (Name | NameEnd, b'=') => ValueStart,
            (ValueStart, b'"') => Quoted,
            (NameStart | Name, _) if is_token(&[byte]) => Name,
            (ValueStart | Value, _) if is_token(&[byte]) => Value,
            (Quoted, b'"') => QuotedEnd,
            (Quoted, b'\\') => Escape,
            (Quoted | Escape, b'\t' | b' '..=b'~' | 0x80..) => Quoted,
            _ => return None,
        })
    }
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says how much of the text is a whole body; none where it is broken or unfinished.
    fn length(text: &str) -> Option<usize> {
        let mut chunks = Chunks::default();
        let read = chunks.follow(text.as_bytes(), |_| {}).ok()?;
        chunks.are_over().then_some(read)
    }

    #[test]
    fn a_body_is_followed_to_its_end() {
        for body in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "00A;x=\"y\"\r\n0123456789\r\n0\r\nT: r\r\nU: v\r\n\r\n",
            "3 ; a = b;c\r\nabc\r\n0;last\r\n\r\n",
            "3;a=\"\\\"; \u{e9}\" ;b=c\r\nabc\r\n0\r\n\r\n",
        ] {
            assert_eq!(length(&format!("{body}GET")), Some(body.len()), "{body:?}");
        }
    }

    #[test]
    fn a_broken_body_is_found_out() {
        for body in [
            "\r\n",
            "-1\r\n",
            "0x3\r\nabc\r\n",
            "3\nabc\r\n",
            "3;a\nb\r\nabc\r\n",
            "3 \r\nabc\r\n",
            "3;\r\nabc\r\n",
            "3;a;\r\nabc\r\n",
            "3;a \r\nabc\r\n",
            "3;a=\r\nabc\r\n",
            "3;=b\r\nabc\r\n",
            "3;a=b c\r\nabc\r\n",
            "3;a b\r\nabc\r\n",
            "3;bad[=x\r\nabc\r\n",
            "3;a=\"b\r\nabc\r\n",
            "3;a=b\"\r\nabc\r\n",
            "3;a=\"b\"c\r\nabc\r\n",
            "3 4\r\nabc\r\n",
            "3\r\nabc0\r\n\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3\rabc",
            "10000000000000000\r\n",
            "0\r\nX: y\n\r\n",
            "0\r\n X\r\n\r\n",
            "0\r\n\rx",
        ] {
            assert!(
                Chunks::default().follow(body.as_bytes(), |_| {}).is_err(),
                "{body:?}"
            );
        }
    }
}
