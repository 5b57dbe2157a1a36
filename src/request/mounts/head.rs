//! This file makes the head of a request as a mounted server gets it: what belongs to the client's connection is left
//! out, and what the server cannot see itself is told, which are the client, the scheme and the host.

use crate::guest::outbound::named_by_connection;
use crate::request::asks_first;
use crate::request::client::Client;
use crate::request::forwarded::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO};
use crate::request::header_policy::{Arrival, CLIENT};
use h2::ext::Protocol;
use http::header::{self, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};

/// These fields are of one connection, beside those that `connection` names (RFC 9113 section 8.2.2).
const OF_CONNECTIONS: [HeaderName; 6] = [
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A `Head` is what is sent of a request before its body, and perhaps sent again.
pub struct Head {
    method: Method,
    target: Uri,
    fields: HeaderMap,
    /// A stream is asked for that carries this.
    protocol: Option<Protocol>,
}

impl Head {
    /// Makes the head of a request whose target is absolute.
    pub fn new(parts: Parts, arrival: &Arrival, has_body: bool) -> Head {
        let mut fields = parts.headers;
        remove_connection_fields(&mut fields);
        // Who speaks HTTP/1.0, or has no body, waits for nothing.
        if !has_body || parts.version < Version::HTTP_11 {
            fields.remove(header::EXPECT);
        }
        tell_origin(&mut fields, &parts.uri, arrival);
        Head {
            method: parts.method,
            target: parts.uri,
            fields,
            protocol: None,
        }
    }

    /// Makes the head of a request for a WebSocket (RFC 8441 section 5). A client of HTTP/1.1 has sent a key, by which
    /// the server knows that it has asked in that way.
    pub fn websocket(parts: Parts, arrival: &Arrival) -> Head {
        let is_upgrade = parts.version < Version::HTTP_2;
        let mut head = Head::new(parts, arrival, false);
        head.method = Method::CONNECT;
        if !is_upgrade {
            head.fields.remove(header::SEC_WEBSOCKET_KEY);
        }
        head.protocol = Some(Protocol::from_static("websocket"));
        head
    }

    /// Says whether a stream is asked for that carries something else than a body.
    pub fn opens_tunnel(&self) -> bool {
        self.protocol.is_some()
    }

    /// Says whether asking twice does no more than asking once (RFC 9110 section 9.2.2). A WebSocket has not been told
    /// anything before it is open.
    pub fn is_idempotent(&self) -> bool {
        self.opens_tunnel() || self.method.is_idempotent()
    }

    /// Says whether the client waits to be told to send the body (RFC 9110 section 10.1.1).
    pub fn asks_first(&self) -> bool {
        asks_first(&self.fields)
    }

    pub fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.fields.clone();
        if let Some(protocol) = &self.protocol {
            request.extensions_mut().insert(protocol.clone());
        }
        request
    }
}

fn remove_connection_fields(fields: &mut HeaderMap) {
    let named = named_by_connection(fields);
    // What says that the client takes trailers is named there as well.
    let takes_trailers = fields.get_all(header::TE).iter().any(|value| {
        let mut codings = value.as_bytes().split(|byte| *byte == b',');
        codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    });
    for name in OF_CONNECTIONS.iter().chain(&named).chain([&header::TE]) {
        fields.remove(name);
    }
    if takes_trailers {
        fields.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Tells who asks, in the fields that are read of trusted proxies: one node each, which is what we have found. The
/// server would not find another, whatever proxies it knows of.
fn tell_origin(fields: &mut HeaderMap, target: &Uri, arrival: &Arrival) {
    fields.remove(header::FORWARDED);
    fields.remove(CLIENT);
    // It is the target's (RFC 9113 section 8.3.1).
    fields.remove(header::HOST);
    match node(arrival.client) {
        Some(node) => fields.insert(X_FORWARDED_FOR, node),
        None => fields.remove(X_FORWARDED_FOR),
    };
    let scheme = match arrival.scheme.as_str() {
        "https" => "https",
        _ => "http",
    };
    fields.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    if fields.contains_key(X_FORWARDED_HOST) {
        let authority = target.authority().map(|it| it.as_str());
        match authority.and_then(|it| HeaderValue::from_str(it).ok()) {
            Some(authority) => fields.insert(X_FORWARDED_HOST, authority),
            None => fields.remove(X_FORWARDED_HOST),
        };
    }
}

/// Names the client, without its port, as applications expect it there; none where it is whoever may open our socket's
/// file, as it is to the server too.
fn node(client: Client) -> Option<HeaderValue> {
    let Some(address) = client.address() else {
        let is_hidden = client == Client::Hidden;
        return is_hidden.then(|| HeaderValue::from_static("unknown"));
    };
    HeaderValue::try_from(address.ip().to_canonical().to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::forwarded::{Claims, read};
    use crate::request::{Peer, Proxies};
    use http::uri::Scheme;
    use std::net::SocketAddr;

    fn arrival(client: Client) -> Arrival {
        Arrival {
            client,
            scheme: Scheme::HTTPS,
            authority: None,
            id: None,
            trace: None,
            peer: Peer::Unix,
        }
    }

    fn head(fields: &[(&str, &str)], client: Client, has_body: bool) -> HeaderMap {
        let mut request = Request::get("https://example.com:8443/x?y");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let head = Head::new(parts, &arrival(client), has_body);
        assert_eq!(head.request().uri(), "https://example.com:8443/x?y");
        head.request().into_parts().0.headers
    }

    #[test]
    fn what_is_of_the_clients_connection_is_left_out() {
        let fields = [
            ("connection", "close, X-Hop, te"),
            ("connection", "upgrade"),
            ("x-hop", "1"),
            ("x-other", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
            ("te", "deflate, Trailers"),
            ("host", "example.com:8443"),
            ("expect", "100-continue"),
            ("wasmserve-client", "6.6.6.6:1"),
        ];
        let left = head(&fields, Client::Peer(Peer::Unix), false);
        let mut names: Vec<&str> = left.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["te", "x-forwarded-proto", "x-other"]);
        assert_eq!(left["te"], "trailers");
        let left = head(&fields, Client::Hidden, true);
        assert_eq!(left["expect"], "100-continue");
    }

    /// What is written here is read by the server behind.
    #[test]
    fn the_server_finds_the_client_that_we_have_found() {
        for ip in ["192.0.2.1", "2001:db8::1", "10.0.0.1"] {
            let ip = ip.parse().unwrap();
            let client = Client::Forwarded(SocketAddr::new(ip, 4711));
            let known = Client::Forwarded(SocketAddr::new(ip, 0));
            let before = [
                ("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.0.0.7"),
                ("x-forwarded-proto", "http, http, http"),
                ("x-forwarded-host", "evil.example, a, b"),
                ("forwarded", "for=6.6.6.6"),
            ];
            for proxies in [
                Proxies {
                    unix: true,
                    ..Proxies::default()
                },
                Proxies {
                    unix: true,
                    networks: vec!["10.0.0.0/8".parse().unwrap()],
                    ..Proxies::default()
                },
            ] {
                let mut told = head(&before, client, false);
                let expected = Claims {
                    client: Some(known),
                    scheme: Some(Scheme::HTTPS),
                    authority: Some("example.com:8443".parse().unwrap()),
                };
                assert_eq!(read(&mut told, &proxies), expected, "{ip}");
            }
        }
        let mut told = head(&[("x-forwarded-for", "6.6.6.6")], Client::Hidden, false);
        let claims = read(&mut told, &Proxies::default());
        assert_eq!(claims.client, Some(Client::Hidden));
        let told = head(&[], Client::Peer(Peer::Unix), false);
        assert!(!told.contains_key(X_FORWARDED_FOR));
    }
}
