//! What is called with other bytes is another call: a recording has a short digest of them, and not the bytes.

/// Gives the digest, which tells apart and does not protect.
pub fn digest_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..8].to_owned()
}

/// Says how much is written, and what.
pub fn written_as(bytes: &[u8]) -> String {
    format!("{} bytes ({})", bytes.len(), digest_of(bytes))
}
