//! This file finds whom a request asks: its target, absolute as guests get it, from what the client wrote where.

use super::header_policy::Arrival;
use super::{Octets, Origin, RootPath};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Uri};
use http::{HeaderMap, Method, Version, header};

/// Reads a host and perhaps a port (RFC 9110 section 7.2), where this is that and nothing else.
pub fn host(value: &[u8]) -> Option<Authority> {
    is_host(value)
        .then(|| Authority::try_from(value).ok())
        .flatten()
}

/// Says whether this is a host and perhaps a port, as far as can be seen without parsing an IPv6 address.
pub fn is_host(value: &[u8]) -> bool {
    /// A name or an address has these bytes (RFC 3986 section 3.2.2, without the comma, which separates values of
    /// fields).
    static ALLOWED: Octets = Octets::alphanumeric_and(b"-._~!$&'()*+;=%:");
    let (name, port) = match value.strip_prefix(b"[") {
        Some(address) => match memchr::memchr(b']', address) {
            Some(end) => (&address[..end], &address[end + 1..]),
            None => return false,
        },
        None => {
            let end = memchr::memchr(b':', value).unwrap_or(value.len());
            value.split_at(end)
        }
    };
    !name.is_empty() && ALLOWED.make_up(name) && is_port(port)
}

/// Says whether this is nothing, or a colon and perhaps a port.
fn is_port(text: &[u8]) -> bool {
    match text {
        [] | [b':'] => true,
        [b':', digits @ ..] => {
            let text = std::str::from_utf8(digits).ok();
            let number = text.and_then(|text| text.parse::<u16>().ok());
            digits.iter().all(u8::is_ascii_digit) && number.is_some()
        }
        _ => false,
    }
}

/// A `Target` is what a request asks for.
pub struct Target {
    /// The target is absolute, as guests get it: a trusted proxy may say of which host it was asked.
    pub uri: Uri,
    /// The request itself names this host, which decides whose it is.
    pub named: Authority,
}

/// Makes the absolute target. None where it cannot be told: no host, or several, or one that is none, or one that
/// contradicts the target of an HTTP/2 request (RFC 9113 section 8.3.1).
pub fn target(
    parts: &Parts,
    origin: &Origin,
    arrival: &Arrival,
    root: Option<&RootPath>,
) -> Option<Target> {
    let named = match parts.uri.authority() {
        Some(authority) => {
            let agrees = |host: &[u8]| host.eq_ignore_ascii_case(authority.as_str().as_bytes());
            let mut hosts = parts.headers.get_all(header::HOST).iter();
            if parts.version == Version::HTTP_2 && !hosts.all(|host| agrees(host.as_bytes())) {
                return None;
            }
            Some(authority)
                .filter(|authority| is_host(authority.as_str().as_bytes()))
                .cloned()?
        }
        None => authority(&parts.headers, parts.version, origin)?,
    };
    let path = match parts.uri.path_and_query() {
        Some(path) if path == "*" && parts.method != Method::OPTIONS => return None,
        Some(path) => root
            .and_then(|root| root.strip(path))
            .unwrap_or_else(|| path.clone()),
        None if parts.method == Method::OPTIONS => PathAndQuery::from_static("*"),
        None => PathAndQuery::from_static("/"),
    };
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(arrival.scheme.clone());
    uri.authority = Some(arrival.authority.clone().unwrap_or_else(|| named.clone()));
    uri.path_and_query = Some(path);
    let uri = Uri::from_parts(uri).ok()?;
    Some(Target { uri, named })
}

fn authority(headers: &HeaderMap, version: Version, origin: &Origin) -> Option<Authority> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        // What HTTP/1.1 says with an empty field, 1.0 says with none (RFC 9110 section 7.2).
        (Some(value), None) if value.is_empty() && version <= Version::HTTP_11 => own(origin),
        (Some(value), None) => host(value.as_bytes()),
        (None, _) if version <= Version::HTTP_10 => own(origin),
        _ => None,
    }
}

/// Gives the address that was connected to, where a request names no host.
fn own(origin: &Origin) -> Option<Authority> {
    match origin.server {
        Some(server) => Authority::try_from(server.to_string()).ok(),
        None => Some(Authority::from_static("localhost")),
    }
}
