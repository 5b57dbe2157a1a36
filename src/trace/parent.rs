//! The field `traceparent` is read as strictly as the standard wants it (Trace Context section 3.2): what is not
//! exactly that names no parent.
//!
//! It is our own, as the propagator of opentelemetry comes with an SDK that has threads and global state.

use super::{SAMPLED, SpanId, TRACEPARENT, TraceId};
use http::HeaderMap;

/// A `Parent` is the span that caused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    pub id: TraceId,
    pub span: SpanId,
    pub flags: u8,
}

/// Version, id, span and flags have this many characters with their hyphens.
const LENGTH: usize = 55;

impl Parent {
    /// Returns `None` where there is no such field, a broken one, or several of them.
    pub fn read(headers: &HeaderMap) -> Option<Parent> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let (value, None) = (values.next()?, values.next()) else {
            return None;
        };
        Parent::parse(value.as_bytes())
    }

    fn parse(text: &[u8]) -> Option<Parent> {
        let (known, more) = text.split_at_checked(LENGTH)?;
        let [version] = bytes(&known[..2])?;
        // Later versions may say more behind a hyphen; there is none that is called ff.
        let is_whole = match version {
            0 => more.is_empty(),
            0xff => false,
            _ => more.is_empty() || more.starts_with(b"-"),
        };
        let is_split = [2, 35, 52].iter().all(|place| known[*place] == b'-');
        let (id, span) = (bytes(&known[3..35])?, bytes(&known[36..52])?);
        let [flags] = bytes(&known[53..])?;
        let exists = id != [0; 16] && span != [0; 8];
        (is_whole && is_split && exists).then_some(Parent {
            id: TraceId(id),
            span: SpanId(span),
            flags,
        })
    }

    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// Reads pairs of hexadecimal digits, of which capitals are none here.
fn bytes<const COUNT: usize>(text: &[u8]) -> Option<[u8; COUNT]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut read = [0; COUNT];
    if text.len() != 2 * COUNT {
        return None;
    }
    for (byte, pair) in read.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn read(text: &str) -> Option<Parent> {
        Parent::parse(text.as_bytes())
    }

    #[test]
    fn a_parent_is_understood_in_this_version_and_in_later_ones() {
        let parent = read(&format!("00-{ID}-{SPAN}-01")).unwrap();
        assert_eq!(parent.id.to_string(), ID);
        assert_eq!(parent.span.to_string(), SPAN);
        assert!(parent.is_sampled());
        for later in [
            format!("01-{ID}-{SPAN}-01"),
            format!("cc-{ID}-{SPAN}-01-what-the-future-brings"),
            format!("fe-{ID}-{SPAN}-01-"),
        ] {
            assert_eq!(read(&later), Some(parent), "{later}");
        }
    }

    #[test]
    fn what_is_not_exactly_a_parent_is_none() {
        let (no_id, no_span) = ("0".repeat(32), "0".repeat(16));
        for text in [
            String::new(),
            "00".to_owned(),
            format!("ff-{ID}-{SPAN}-01"),
            format!("00-{no_id}-{SPAN}-01"),
            format!("00-{ID}-{no_span}-01"),
            format!("00-{ID}-{SPAN}-01-more"),
            format!("00-{ID}-{SPAN}-01-"),
            format!("00-{ID}-{SPAN}-0"),
            format!("00-{ID}-{SPAN}-0x"),
            format!("00-{ID}-{SPAN}"),
            format!("01-{ID}-{SPAN}-01.more"),
            format!("0-{ID}-{SPAN}-01-"),
            format!("00_{ID}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", ID.to_uppercase()),
            format!("00-{}g-{SPAN}-01", &ID[1..]),
            format!(" 00-{ID}-{SPAN}-01"),
            format!("00-{ID}-{SPAN}-01 "),
            format!("00-{ID}{SPAN}--01-"),
        ] {
            assert_eq!(read(&text), None, "{text}");
        }
    }

    #[test]
    fn several_parents_are_none() {
        let mut headers = HeaderMap::new();
        let value = format!("00-{ID}-{SPAN}-01");
        headers.append(TRACEPARENT, value.parse().unwrap());
        assert!(Parent::read(&headers).is_some());
        headers.append(TRACEPARENT, value.parse().unwrap());
        assert_eq!(Parent::read(&headers), None);
    }
}
