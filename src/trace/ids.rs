//! Ids of traces and spans are random bytes, written in hexadecimal digits.

use rand::Rng;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    pub fn random() -> TraceId {
        TraceId(random())
    }
}

impl SpanId {
    pub fn random() -> SpanId {
        SpanId(random())
    }
}

/// Makes bytes that are not all nought, which would be no id.
fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    while bytes.iter().all(|byte| *byte == 0) {
        // Whoever forked this process has given it another seed.
        rand::rng().fill_bytes(&mut bytes);
    }
    bytes
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_with_all_their_digits() {
        let mut id = [0; 16];
        id[15] = 0xab;
        assert_eq!(TraceId(id).to_string(), "000000000000000000000000000000ab");
        assert_eq!(
            SpanId([1, 0, 0, 0, 0, 0, 0, 2]).to_string(),
            "0100000000000002"
        );
        assert_ne!(TraceId::random(), TraceId::random());
    }
}
