//! A node of a chain of proxies is written as `X-Forwarded-For` and RFC 7239 section 6 have it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Parses an address, with port 0 where there is none. Returns none for `unknown`, for what begins with `_`, and for
/// everything else that names nobody.
pub fn parse(text: &str) -> Option<SocketAddr> {
    let text = text.trim_matches([' ', '\t']);
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(address.to_canonical(), 0));
    }
    let (host, rest) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (IpAddr::V6(host.parse::<Ipv6Addr>().ok()?), rest)
        }
        None => {
            let colon = text.find(':')?;
            let (host, rest) = text.split_at(colon);
            (IpAddr::V4(host.parse().ok()?), rest)
        }
    };
    let port = match rest.strip_prefix(':') {
        // A port may be hidden too: `_token`.
        Some(port) => port.parse().unwrap_or(0),
        None if rest.is_empty() => 0,
        None => return None,
    };
    Some(SocketAddr::new(host.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1:0"),
            (" 192.0.2.1\t", "192.0.2.1:0"),
            ("192.0.2.1:4711", "192.0.2.1:4711"),
            ("192.0.2.1:_hidden", "192.0.2.1:0"),
            ("2001:db8::1", "[2001:db8::1]:0"),
            ("[2001:db8::1]", "[2001:db8::1]:0"),
            ("[2001:db8::1]:4711", "[2001:db8::1]:4711"),
            ("::ffff:192.0.2.1", "192.0.2.1:0"),
        ] {
            assert_eq!(parse(text), Some(expected.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_names_nobody_is_no_address() {
        for text in [
            "",
            "unknown",
            "_gazonk",
            "example.com",
            "[2001:db8::1",
            "[192.0.2.1]",
            "[::1]x",
            "192.0.2.256",
            "1.2.3",
            "a:80",
            "\"192.0.2.1\"",
            "fe80::1%eth0",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
