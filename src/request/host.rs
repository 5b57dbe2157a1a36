//! Whom a request asks: its target, absolute as guests get it, from what the client wrote where.

use super::front::Arrival;
use super::{Origin, RootPath};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Uri};
use http::{HeaderMap, Method, Version, header};

/// A host and perhaps a port (RFC 9110 section 7.2), where this is that and nothing else.
pub fn host(value: &[u8]) -> Option<Authority> {
    Authority::try_from(value).ok().filter(is_host)
}

fn is_host(authority: &Authority) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%:[]".contains(&byte);
    if !authority.as_str().bytes().all(allowed) {
        return false;
    }
    let port = authority.as_str().strip_prefix(authority.host());
    let port = port.map(|port| port.strip_prefix(':').unwrap_or(port));
    !authority.host().is_empty() && port.is_some_and(|port| port.is_empty() || is_port(port))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// The absolute target. None where it cannot be told: no host, or several, or one that is none, or one
/// that contradicts the target of an HTTP/2 request (RFC 9113 section 8.3.1).
pub fn target(
    parts: &Parts,
    origin: &Origin,
    arrival: &Arrival,
    root: Option<&RootPath>,
) -> Option<Uri> {
    let authority = match parts.uri.authority() {
        Some(authority) => {
            let agrees = |host: &[u8]| host.eq_ignore_ascii_case(authority.as_str().as_bytes());
            let mut hosts = parts.headers.get_all(header::HOST).iter();
            if parts.version == Version::HTTP_2 && !hosts.all(|host| agrees(host.as_bytes())) {
                return None;
            }
            Some(authority)
                .filter(|authority| is_host(authority))
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
    uri.authority = Some(arrival.authority.clone().unwrap_or(authority));
    uri.path_and_query = Some(path);
    Uri::from_parts(uri).ok()
}

fn authority(headers: &HeaderMap, version: Version, origin: &Origin) -> Option<Authority> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(value), None) => host(value.as_bytes()),
        (None, _) if version <= Version::HTTP_10 => match origin.server {
            Some(server) => Authority::try_from(server.to_string()).ok(),
            None => Some(Authority::from_static("localhost")),
        },
        _ => None,
    }
}
