//! This file reads the field `tracestate` (Trace Context section 3.3): what other systems noted about the trace. It is
//! joined, checked and passed on; a broken one is left out whole, and the trace goes on without it.

use super::TRACESTATE;
use http::{HeaderMap, HeaderValue};

/// This many systems may have noted something.
const MEMBERS: usize = 32;

/// This much is passed on; where there is more, long members go first, and then the last ones (section 3.3.1.5).
const LENGTH: usize = 512;
const LONG: usize = 128;

/// Joins the fields of this name. Returns `None` where there is nothing to pass on.
pub fn read(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut members = Vec::new();
    for field in headers.get_all(TRACESTATE) {
        for member in field.to_str().ok()?.split(',') {
            // Members may be empty.
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            if !is_member(member) {
                return None;
            }
            members.push(member);
        }
    }
    if members.is_empty() || members.len() > MEMBERS {
        return None;
    }
    shorten(&mut members);
    HeaderValue::try_from(members.join(",")).ok()
}

fn shorten(members: &mut Vec<&str>) {
    let length = |members: &[&str]| -> usize {
        let letters: usize = members.iter().map(|member| member.len()).sum();
        letters + members.len().saturating_sub(1)
    };
    while length(members) > LENGTH {
        match members.iter().rposition(|member| member.len() > LONG) {
            Some(long) => members.remove(long),
            None => members.remove(members.len() - 1),
        };
    }
}

fn is_member(member: &str) -> bool {
    member
        .split_once('=')
        .is_some_and(|(key, value)| is_key(key) && is_value(value))
}

/// A key may have the name of a tenant before an `@`.
fn is_key(key: &str) -> bool {
    let plain = |text: &str, longest: usize| {
        let letters = text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/'));
        let first = text.bytes().next();
        letters && text.len() <= longest && first.is_some_and(|byte| byte.is_ascii_alphanumeric())
    };
    match key.split_once('@') {
        Some((tenant, system)) => plain(tenant, 241) && plain(system, 14),
        None => plain(key, 256),
    }
}

fn is_value(value: &str) -> bool {
    let printable = value
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~') && byte != b'=');
    printable && (1..=256).contains(&value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(fields: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(
                TRACESTATE,
                HeaderValue::from_bytes(field.as_bytes()).unwrap(),
            );
        }
        Some(read(&headers)?.to_str().unwrap().to_owned())
    }

    #[test]
    fn several_fields_are_one() {
        assert_eq!(
            joined(&["a=1,b=2", " c=3 ,, d=4\t"]).unwrap(),
            "a=1,b=2,c=3,d=4"
        );
        assert_eq!(joined(&["t1@s=1 2!"]).unwrap(), "t1@s=1 2!");
        assert_eq!(joined(&[]), None);
        assert_eq!(joined(&["", " , "]), None);
    }

    #[test]
    fn a_broken_one_is_left_out_whole() {
        for broken in [
            "a", "=1", "a=", "A=1", "a b=1", "a=1=2", "a@=1", "@b=1", "a@b@c=1", "-a=1", "a=\u{e4}",
        ] {
            assert_eq!(joined(&["x=1", broken]), None, "{broken}");
        }
        assert_eq!(joined(&[&format!("{}=1", "a".repeat(257))]), None);
        assert_eq!(joined(&[&format!("a={}", "b".repeat(257))]), None);
        let many: Vec<String> = (0..33).map(|key| format!("a{key}=1")).collect();
        assert_eq!(joined(&[&many.join(",")]), None);
        assert!(joined(&[&many[..32].join(",")]).is_some());
    }

    #[test]
    fn a_long_one_is_shortened_where_that_costs_least() {
        let long = format!("b={}", "x".repeat(200));
        let others: Vec<String> = (0..5)
            .map(|key| format!("a{key}={}", "y".repeat(90)))
            .collect();
        let [first, rest @ ..] = others.as_slice() else {
            unreachable!()
        };
        let all = format!("{first},{long},{}", rest.join(","));
        assert_eq!(joined(&[&all]).unwrap(), others.join(","));
        let short: Vec<String> = (0..8)
            .map(|key| format!("a{key}={}", "y".repeat(90)))
            .collect();
        assert_eq!(joined(&[&short.join(",")]).unwrap(), short[..5].join(","));
    }
}
