//! This file has the Huffman code of header fields (RFC 7541 section 5.2 and appendix B). It is canonical: how long
//! the code of each byte is says everything.
//!
//! It is our own, as h2 keeps its decoder to itself, and the crates that have one bring all of HPACK.

const LONGEST: usize = 30;

/// The code of each byte has this many bits.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// The codes of one length are numbers that follow each other.
#[derive(Clone, Copy)]
struct Codes {
    first: u32,
    count: u32,
    /// The bytes of these codes begin here among all bytes in the order of their codes.
    from: usize,
}

const CODES: [Codes; LONGEST + 1] = codes();
const BYTES: [u8; 256] = bytes();

const fn codes() -> [Codes; LONGEST + 1] {
    let mut codes = [Codes {
        first: 0,
        count: 0,
        from: 0,
    }; LONGEST + 1];
    let mut length = 1;
    while length <= LONGEST {
        let before = codes[length - 1];
        let mut count = 0;
        let mut byte = 0;
        while byte < 256 {
            count += (LENGTHS[byte] as usize == length) as u32;
            byte += 1;
        }
        codes[length] = Codes {
            first: (before.first + before.count) << 1,
            count,
            from: before.from + before.count as usize,
        };
        length += 1;
    }
    codes
}

const fn bytes() -> [u8; 256] {
    let mut bytes = [0; 256];
    let (mut known, mut length) = (0, 1);
    while length <= LONGEST {
        let mut byte = 0;
        while byte < 256 {
            if LENGTHS[byte] as usize == length {
                bytes[known] = byte as u8;
                known += 1;
            }
            byte += 1;
        }
        length += 1;
    }
    bytes
}

/// Decodes what was encoded; none where that is no such code.
pub fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(encoded.len() * 2);
    let (mut code, mut length) = (0_u32, 0);
    for byte in encoded {
        for bit in (0..8).rev() {
            code = code << 1 | u32::from(byte >> bit & 1);
            length += 1;
            let codes = CODES.get(length)?;
            let beyond = code.wrapping_sub(codes.first);
            if beyond < codes.count {
                decoded.push(BYTES[codes.from + beyond as usize]);
                (code, length) = (0, 0);
            }
        }
    }
    // What fills the last byte is the beginning of the longest code, which has ones alone.
    (length < 8 && code == (1 << length) - 1).then_some(decoded)
}

/// Says, without decoding it, that a text has no control characters and no blanks at its ends. Of others it may be wrong.
///
/// The codes of control characters begin with ten ones or more; those of common characters seldom give as many in a row. A blank
/// is 010100.
pub fn is_plain(encoded: &[u8]) -> bool {
    const BLANK: u16 = 0b01_0100;
    let Some((last, before)) = encoded.split_last() else {
        return true;
    };
    let ends = u16::from(*last) | before.last().map_or(0, |byte| u16::from(*byte) << 8);
    let has_blanks = u16::from(encoded[0] >> 2) == BLANK
        || ends >> ends.trailing_ones().min(15) & 0b11_1111 == BLANK;
    !has_blanks && !has_long_run(encoded)
}

/// Says whether ten ones follow each other.
fn has_long_run(encoded: &[u8]) -> bool {
    let mut run = 0;
    encoded.iter().any(|byte| {
        let longest = run + byte.leading_ones();
        run = match byte {
            0xff => longest,
            _ => byte.trailing_ones(),
        };
        longest >= 10
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &[u8]) -> Vec<u8> {
        let (mut bits, mut encoded) = (Vec::new(), Vec::new());
        for byte in text {
            let length = usize::from(LENGTHS[usize::from(*byte)]);
            let at = BYTES.iter().position(|other| other == byte).unwrap();
            let code = CODES[length].first + (at - CODES[length].from) as u32;
            bits.extend((0..length).rev().map(|bit| code >> bit & 1));
        }
        while bits.len() % 8 != 0 {
            bits.push(1);
        }
        for byte in bits.chunks(8) {
            encoded.push(byte.iter().fold(0, |byte, bit| byte << 1 | *bit as u8));
        }
        encoded
    }

    /// The examples are those of RFC 7541 appendix C.4 and C.6.
    #[test]
    fn what_the_standard_has_encoded_is_decoded() {
        for (encoded, decoded) in [
            (
                &b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"[..],
                &b"www.example.com"[..],
            ),
            (b"\xa8\xeb\x10\x64\x9c\xbf", b"no-cache"),
        ] {
            assert_eq!(decode(encoded).as_deref(), Some(decoded));
        }
        // Appendix B has these codes for a backslash and 0xff.
        assert_eq!(decode(b"\xff\xfe\x1f").as_deref(), Some(&b"\\"[..]));
        assert_eq!(decode(b"\xff\xff\xfb\xbf").as_deref(), Some(&b"\xff"[..]));
    }

    #[test]
    fn every_byte_comes_back_and_what_is_no_code_does_not() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).as_deref(), Some(&all[..]));
        for broken in [&b"\xff\xff\xff\xff"[..], b"\xff", b"\x00\x00\xfe"] {
            assert_eq!(decode(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn what_is_said_to_be_plain_has_no_controls_and_no_blanks_at_its_ends() {
        let ends = ["", "b", ";", "X", "1"];
        let begins = ["", "a", "&", "0", "~|", "ab0&", "  a"];
        let around = begins.iter().flat_map(|begin| ends.map(|end| (begin, end)));
        let texts = around.flat_map(|(begin, end)| {
            (0..=255_u8).map(move |byte| [begin.as_bytes(), &[byte], end.as_bytes()].concat())
        });
        for text in texts {
            let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
            let is_odd = blank(text.first())
                || blank(text.last())
                || text.iter().any(|byte| matches!(byte, 0..32 | 127));
            assert!(!(is_odd && is_plain(&encode(&text))), "{text:?}");
        }
        for text in [
            "text/html,application/xhtml+xml;q=0.5",
            "a=b; c=d",
            "*/*",
            "",
        ] {
            assert!(is_plain(&encode(text.as_bytes())), "{text}");
        }
    }
}
