//! What is mounted is named by where it answers: this file says which ways to write that mean the same.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// Writes the place of a mount as others of the same meaning are written: a slash at its end says nothing.
pub fn canonical_mount(place: &str) -> String {
    let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let path = path.trim_end_matches('/');
    format!(
        "{}{}",
        canonical_host(host),
        if path.is_empty() { "/" } else { path }
    )
}

/// Writes a host without a port as mounts have it: the case of letters says nothing, and neither does the dot at the
/// end of a name (RFC 9110 section 4.2.3, RFC 3986 section 3.2.2), or how an IPv6 address is shortened.
pub fn canonical_host(host: &str) -> Cow<'_, str> {
    let address = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    if let Some(Ok(address)) = address.map(str::parse::<Ipv6Addr>) {
        return Cow::Owned(format!("[{address}]"));
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(host.to_ascii_lowercase()),
        false => Cow::Borrowed(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_as_names_and_addresses() {
        for (host, expected) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("[0:0::1]", "[::1]"),
            ("[::1]", "[::1]"),
            ("127.0.0.1", "127.0.0.1"),
        ] {
            assert_eq!(canonical_host(host), expected);
        }
    }

    #[test]
    fn places_that_mean_the_same_are_written_alike() {
        for (place, expected) in [
            ("/api", "/api"),
            ("/api/", "/api"),
            ("/API", "/API"),
            ("/", "/"),
            ("Admin.Example.com.", "admin.example.com/"),
            ("admin.example.com/", "admin.example.com/"),
            ("[0::1]/x/", "[::1]/x"),
        ] {
            assert_eq!(canonical_mount(place), expected);
        }
    }
}
