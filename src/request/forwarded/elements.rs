//! This file reads the `Forwarded` field (RFC 7239 section 4) from its end: what stands at the end was written by
//! whoever is nearest, and nothing that strangers wrote before it may change how it is read.

use std::borrow::Cow;

/// Returns the parts of `text` between `separator`s outside of quotes, the last one first.
pub fn from_the_end(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let part = match last_separator(text.as_bytes(), separator) {
            Some(at) => {
                rest = Some(&text[..at]);
                &text[at + 1..]
            }
            None => {
                rest = None;
                text
            }
        };
        Some(part.trim_matches([' ', '\t']))
    })
}

fn last_separator(bytes: &[u8], separator: u8) -> Option<usize> {
    let mut quoted = false;
    for (at, byte) in bytes.iter().enumerate().rev() {
        if *byte == b'"' {
            let escapes = bytes[..at].iter().rev().take_while(|byte| **byte == b'\\');
            // Within quotes, an odd number of backslashes makes it a part of the text.
            if !quoted || escapes.count() % 2 == 0 {
                quoted = !quoted;
            }
        } else if *byte == separator && !quoted {
            return Some(at);
        }
    }
    None
}

/// An `Element` is what one proxy says of the request that it was sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Element<'a> {
    pub node: Option<Cow<'a, str>>,
    pub proto: Option<Cow<'a, str>>,
    pub host: Option<Cow<'a, str>>,
}

impl Element<'_> {
    /// Parses an element; none where it is not well-formed, or says something twice.
    pub fn parse(text: &str) -> Option<Element<'_>> {
        let mut element = Element::default();
        for pair in from_the_end(text, b';').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            let value = unquoted(value)?;
            let place = match name {
                _ if name.eq_ignore_ascii_case("for") => &mut element.node,
                _ if name.eq_ignore_ascii_case("proto") => &mut element.proto,
                _ if name.eq_ignore_ascii_case("host") => &mut element.host,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        Some(element)
    }
}

/// Reads the value of a token or of a quoted string (RFC 9110 section 5.6.4).
fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    let Some(inside) = text.strip_prefix('"') else {
        // Wider than a token: addresses are often left without the quotes that they need.
        let plain = !text.is_empty() && !text.contains(['"', '\\', ' ', '\t', ',']);
        return plain.then_some(Cow::Borrowed(text));
    };
    let inside = inside.strip_suffix('"')?;
    if !inside.contains(['"', '\\']) {
        return Some(Cow::Borrowed(inside));
    }
    let mut value = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
    Some(Cow::Owned(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<&str> {
        from_the_end(text, b',').collect()
    }

    #[test]
    fn elements_are_split_outside_of_quotes() {
        assert_eq!(parts("a, b ,c"), ["c", "b", "a"]);
        assert_eq!(parts(r#"for="a,b", for=c"#), ["for=c", r#"for="a,b""#]);
        assert_eq!(parts(r#"for="a\",b", c"#), ["c", r#"for="a\",b""#]);
        assert_eq!(parts(r#"for="a\\", c"#), ["c", r#"for="a\\""#]);
        assert_eq!(parts(""), [""]);
    }

    #[test]
    fn a_stranger_cannot_swallow_what_a_proxy_appends() {
        for begun in [
            "for=\"",
            "for=\"x\\",
            "\"",
            "a=\"b\\\"",
            ",\"",
            "for=\"a\";b=\"",
        ] {
            for appended in ["for=192.0.2.1", "for=\"[2001:db8::1]:5\";proto=https"] {
                let whole = format!("{begun}, {appended}");
                assert_eq!(parts(&whole)[0], appended, "{whole}");
            }
        }
    }

    #[test]
    fn an_element_is_read() {
        let text = r#"For="[2001:db8::1]:47";PROTO=https; by=203.0.113.43 ;host="a.b:8\0""#;
        let element = Element::parse(text).unwrap();
        assert_eq!(element.node.as_deref(), Some("[2001:db8::1]:47"));
        assert_eq!(element.proto.as_deref(), Some("https"));
        assert_eq!(element.host.as_deref(), Some("a.b:80"));
        assert_eq!(Element::parse(""), Some(Element::default()));
        assert!(Element::parse("for=_hidden;x=").is_none());
    }

    #[test]
    fn a_broken_element_says_nothing() {
        for text in [
            "for",
            "for=",
            "for=\"a",
            "for=a\"",
            "for=a;for=b",
            "for=a b",
            "for=\"a\"b\"",
        ] {
            assert_eq!(Element::parse(text), None, "{text}");
        }
    }
}
