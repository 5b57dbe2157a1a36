//! A `HeaderPolicy` says what is done to the head of every request before a guest sees it, and to the head of every
//! response after: identity, and the fields that the operator adds.

use super::ambiguous_names;
use super::client::Client;
use super::forwarded::{self, Claims};
use super::ids::{self, Ids};
use super::proxies::Proxies;
use super::{Origin, Peer, RootPath};
use crate::trace::{Trace, Tracing};
use http::header::{self, HeaderName};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Request};
use std::net::SocketAddr;
use std::sync::Arc;

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

#[derive(Clone, Debug)]
pub struct HeaderPolicy {
    pub proxies: Proxies,
    pub root_path: Option<RootPath>,
    /// Every request has an id.
    pub request_id: bool,
    /// Tells guests the address of their client.
    pub client_header: Option<HeaderName>,
    /// Guests see these fields instead of what the client sent by these names.
    pub request_headers: HeaderMap,
    /// Responses say this in `server` where the guest says nothing.
    pub server: Option<HeaderValue>,
    /// Every response has these fields.
    pub response_headers: HeaderMap,
}

/// An `Arrival` is a request as it came, once it is clear whom to believe.
pub struct Arrival {
    pub client: Client,
    pub scheme: Scheme,
    /// The authority is `None` where it is the request that names it.
    pub authority: Option<Authority>,
    pub id: Option<HeaderValue>,
    pub trace: Option<Arc<Trace>>,
    /// This peer is connected.
    pub peer: Peer,
}

impl Arrival {
    /// Has the request belong to a trace, which its guest finds among its extensions.
    pub fn trace<B>(&mut self, tracing: Tracing, is_trusted: bool, request: &mut Request<B>) {
        let trace = tracing.begin(request.headers_mut(), is_trusted);
        request.extensions_mut().insert(trace.clone());
        self.trace = Some(trace);
    }
}

impl HeaderPolicy {
    /// Decides who asks, leaves in the head only what guests may believe, and adds what the operator has them see.
    pub fn receive(&self, origin: &Origin, headers: &mut HeaderMap, ids: &Ids) -> Arrival {
        let arrival = self.identify(origin, headers, ids);
        self.add(headers, arrival.client);
        arrival
    }

    /// Decides who asks, and leaves in the head only what guests may believe.
    pub fn identify(&self, origin: &Origin, headers: &mut HeaderMap, ids: &Ids) -> Arrival {
        let mut claims = Claims::default();
        let mut id = None;
        if headers.keys().any(|name| is_claim(name.as_str())) {
            if self.proxies.trust(origin.peer) {
                strip(headers, |name| name.contains('_'));
                claims = forwarded::read(headers, &self.proxies);
                id = headers.remove(X_REQUEST_ID).filter(ids::is_valid);
            } else {
                strip(headers, |_| true);
            }
        }
        if self.request_id {
            let id = id.get_or_insert_with(|| ids.make());
            headers.insert(X_REQUEST_ID, id.clone());
        }
        let ours = self.client_header.iter().chain(self.request_headers.keys());
        ambiguous_names::remove_ambiguous(headers, ours);
        join_cookies(headers);
        Arrival {
            client: claims.client.unwrap_or(Client::Peer(origin.peer)),
            scheme: claims.scheme.unwrap_or_else(|| origin.scheme.clone()),
            authority: claims.authority,
            id,
            trace: None,
            peer: origin.peer,
        }
    }

    /// Adds what the operator has guests see.
    pub fn add(&self, headers: &mut HeaderMap, client: Client) {
        if let Some(root) = &self.root_path {
            headers.insert(X_FORWARDED_PREFIX, root.value().clone());
        }
        if let Some(name) = &self.client_header {
            match address(client) {
                Some(value) => headers.insert(name, value),
                None => headers.remove(name),
            };
        }
        replace(headers, &self.request_headers);
    }

    /// Gives what `send` adds to a head that has nothing yet, except for the id.
    pub fn response_lines(&self) -> String {
        let mut headers = HeaderMap::new();
        self.send(&mut headers, None);
        let lines = headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            format!("{name}: {value}\r\n")
        });
        lines.collect()
    }

    /// Completes the head of a response.
    pub fn send(&self, headers: &mut HeaderMap, id: Option<&HeaderValue>) {
        if let Some(id) = id {
            headers.insert(X_REQUEST_ID, id.clone());
        }
        replace(headers, &self.response_headers);
        if let Some(server) = &self.server {
            headers
                .entry(header::SERVER)
                .or_insert_with(|| server.clone());
        }
    }
}

/// Says whether a field is one of those by which proxies say for whom they ask. Gateways to older interfaces read `_`
/// and `-` as one.
fn is_claim(name: &str) -> bool {
    const NAMES: [&str; 3] = ["forwarded", "x-real-ip", "x-request-id"];
    let Some(b'x' | b'f') = name.as_bytes().first() else {
        return false;
    };
    let same = |(one, other): (u8, u8)| one == other || (one == b'_' && other == b'-');
    let begins = |with: &str| name.len() >= with.len() && name.bytes().zip(with.bytes()).all(same);
    begins("x-forwarded-")
        || NAMES
            .iter()
            .any(|with| name.len() == with.len() && begins(with))
}

/// Removes the claims that `unwanted` says.
fn strip(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let names = headers.keys().filter(|name| is_claim(name.as_str()));
    let names: Vec<HeaderName> = names
        .filter(|name| unwanted(name.as_str()))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}

/// Joins cookies: HTTP/2 lets clients send one in pieces, and whoever knows only one field is to see it whole (RFC
/// 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut pieces = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (pieces.next(), pieces.next()) else {
        return;
    };
    let mut whole = first.as_bytes().to_vec();
    for piece in std::iter::once(second).chain(pieces) {
        whole.extend_from_slice(b"; ");
        whole.extend_from_slice(piece.as_bytes());
    }
    match HeaderValue::from_bytes(&whole) {
        Ok(whole) => headers.insert(header::COOKIE, whole),
        // Pieces that are values are one together.
        Err(_) => headers.remove(header::COOKIE),
    };
}

/// Puts `fields` in the place of what is there by their names, except where that is a list that grows.
fn replace(headers: &mut HeaderMap, fields: &HeaderMap) {
    const LISTS: [HeaderName; 5] = [
        header::LINK,
        header::SET_COOKIE,
        header::VARY,
        header::VIA,
        header::WWW_AUTHENTICATE,
    ];
    for name in fields.keys() {
        if !LISTS.contains(name) {
            headers.remove(name);
        }
        for value in fields.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
}

fn address(client: Client) -> Option<HeaderValue> {
    HeaderValue::try_from(inet(client)?.ip().to_canonical().to_string()).ok()
}

/// Gives the address of a client that has one.
fn inet(client: Client) -> Option<SocketAddr> {
    match client {
        Client::Peer(Peer::Inet(address)) | Client::Forwarded(address) => Some(address),
        _ => None,
    }
}

/// The bridges of `wasmserve build` read the client's address here (`wit/world.wit`).
pub const CLIENT: HeaderName = HeaderName::from_static("wasmserve-client");

/// Tells a bridge of ours who asks, whatever the client has written there.
pub fn tell_client(headers: &mut HeaderMap, client: Client) {
    headers.remove(CLIENT);
    let value = inet(client).map(|address| {
        let canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
        HeaderValue::try_from(canonical.to_string())
    });
    if let Some(Ok(value)) = value {
        headers.insert(CLIENT, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header_policy() -> HeaderPolicy {
        HeaderPolicy {
            proxies: Proxies {
                networks: vec!["127.0.0.1/32".parse().unwrap()],
                ..Proxies::default()
            },
            root_path: None,
            request_id: true,
            client_header: None,
            request_headers: HeaderMap::new(),
            server: Some(HeaderValue::from_static("wasmserve")),
            response_headers: HeaderMap::new(),
        }
    }

    fn origin(address: &str) -> Origin {
        Origin {
            peer: Peer::Inet(address.parse().unwrap()),
            server: None,
            scheme: Scheme::HTTP,
        }
    }

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields.iter();
        fields
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    const CLAIMS: [(&str, &str); 8] = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "example.com"),
        ("x-forwarded-port", "8443"),
        ("x-real-ip", "192.0.2.1"),
        ("x-request-id", "abc-123"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x-other", "kept"),
    ];

    #[test]
    fn a_trusted_proxy_is_believed() {
        let mut headers = headers(&CLAIMS);
        let arrival = header_policy().receive(&origin("127.0.0.1:5"), &mut headers, &Ids::seeded());
        assert_eq!(arrival.client.to_string(), "192.0.2.1:0");
        assert_eq!(arrival.scheme, Scheme::HTTPS);
        assert_eq!(arrival.authority.unwrap(), "example.com");
        assert_eq!(arrival.id.unwrap(), "abc-123");
        assert_eq!(headers["x-request-id"], "abc-123");
        assert_eq!(headers["x-forwarded-port"], "8443");
        assert!(!headers.contains_key("x_forwarded_for"));
    }

    #[test]
    fn a_stranger_is_not_believed_and_guests_see_nothing_of_it() {
        let mut headers = headers(&CLAIMS);
        let arrival = header_policy().receive(&origin("127.0.0.2:5"), &mut headers, &Ids::seeded());
        assert_eq!(arrival.client.to_string(), "127.0.0.2:5");
        assert_eq!(arrival.scheme, Scheme::HTTP);
        assert_eq!(arrival.authority, None);
        let id = arrival.id.unwrap();
        assert_eq!(headers["x-request-id"], id);
        let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!((names.len(), id.len()), (2, 32), "{names:?}");
        assert!(headers.contains_key("x-other"));
    }

    #[test]
    fn an_unsound_id_is_replaced() {
        let mut headers = headers(&[("x-request-id", "a b")]);
        let arrival = header_policy().receive(&origin("127.0.0.1:5"), &mut headers, &Ids::seeded());
        assert_eq!(arrival.id.unwrap().len(), 32);
        let header_policy = HeaderPolicy {
            request_id: false,
            ..header_policy()
        };
        let mut headers = self::headers(&[("x-request-id", "a b")]);
        let arrival = header_policy.receive(&origin("127.0.0.1:5"), &mut headers, &Ids::seeded());
        assert_eq!((arrival.id, headers.len()), (None, 0));
    }

    #[test]
    fn guests_are_told_the_address_where_they_ask_for_it() {
        let header_policy = HeaderPolicy {
            client_header: Some(HeaderName::from_static("x-client")),
            ..header_policy()
        };
        let mut headers = headers(&[("x-client", "6.6.6.6")]);
        header_policy.receive(
            &origin("[::ffff:192.0.2.7]:5"),
            &mut headers,
            &Ids::seeded(),
        );
        assert_eq!(headers["x-client"], "192.0.2.7");
        headers.insert("x-forwarded-for", HeaderValue::from_static("unknown"));
        header_policy.receive(&origin("127.0.0.1:5"), &mut headers, &Ids::seeded());
        assert!(!headers.contains_key("x-client"));
    }

    #[test]
    fn a_cookie_that_came_in_pieces_is_whole() {
        let mut headers = headers(&[("cookie", "a=1"), ("cookie", "b=2; c"), ("cookie", "d=")]);
        header_policy().receive(&origin("127.0.0.1:5"), &mut headers, &Ids::seeded());
        let cookies: Vec<_> = headers.get_all("cookie").iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c; d="]);
    }

    #[test]
    fn names_that_older_interfaces_take_for_ours_are_not_passed_on() {
        let header_policy = HeaderPolicy {
            client_header: Some(HeaderName::from_static("x-client")),
            request_headers: headers(&[("x-user", "operator")]),
            ..header_policy()
        };
        let mut headers = headers(&[("x_client", "6.6.6.6"), ("x_user", "admin")]);
        header_policy.receive(&origin("127.0.0.1:5"), &mut headers, &Ids::seeded());
        assert_eq!(headers["x-user"], "operator");
        for name in ["x_client", "x_user"] {
            assert!(!headers.contains_key(name), "{name}");
        }
    }

    #[test]
    fn an_operators_fields_take_the_place_of_others() {
        let header_policy = HeaderPolicy {
            response_headers: headers(&[("x-a", "1"), ("x-a", "2"), ("vary", "origin")]),
            ..header_policy()
        };
        let mut response = headers(&[("x-a", "guest"), ("vary", "accept"), ("server", "guest")]);
        header_policy.send(&mut response, None);
        let all = |name| response.get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(all("x-a"), ["1", "2"]);
        assert_eq!(all("vary"), ["accept", "origin"]);
        assert_eq!(all("server"), ["guest"]);
        let mut ours = HeaderMap::new();
        header_policy.send(&mut ours, Some(&HeaderValue::from_static("id")));
        assert_eq!(ours["server"], "wasmserve");
        assert_eq!(ours["x-request-id"], "id");
    }
}
