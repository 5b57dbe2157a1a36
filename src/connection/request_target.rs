//! This file judges the target of a request (RFC 9112 section 3.2): its form, its bytes, and its length.

use http::uri::Authority;

/// The type of targets has room for this many bytes.
pub const LONGEST_TARGET: usize = u16::MAX as usize - 1;

/// Computes how long a target is once it is percent-encoded.
pub fn encoded_length(target: &[u8]) -> usize {
    if target.len() <= LONGEST_TARGET / 3 {
        return target.len();
    }
    let encoded = target.iter().filter(|byte| !is_for_a_url(**byte));
    target.len() + 2 * encoded.count()
}

/// Says whether a byte of a target stands for itself. Other servers let the rest pass, although no URL has it (RFC
/// 3986 section 2): here it is percent-encoded for whoever comes next.
pub fn is_for_a_url(byte: u8) -> bool {
    !matches!(byte, b'"' | b'<' | b'>' | b'`' | 0x80..)
}

/// Says whether a target has one of the four forms of RFC 9112 section 3.2.
pub fn is_target(method: &[u8], target: &[u8]) -> bool {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0x80..);
    let for_a_url = |target: &[u8]| target.iter().copied().all(is_for_a_url);
    if !target.iter().all(printable) || target.contains(&b'#') {
        return false;
    }
    match target {
        _ if method == b"CONNECT" => is_authority(target) && for_a_url(target),
        b"*" => method == b"OPTIONS",
        [b'/', ..] => true,
        _ => ["http://", "https://"].iter().any(|scheme| {
            let Some((start, rest)) = target.split_at_checked(scheme.len()) else {
                return false;
            };
            let host = rest.split(|byte| b"/?".contains(byte)).next();
            start.eq_ignore_ascii_case(scheme.as_bytes()) && host.is_some_and(is_authority)
        }),
    }
}

/// Says whether this can be the authority of a URL for whoever reads it next, who refuses others without a word to anybody
/// but the client. What it may be for a request is judged later.
fn is_authority(text: &[u8]) -> bool {
    Authority::try_from(text).is_ok()
}
