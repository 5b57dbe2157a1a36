//! This file says, for fuzzing, what must hold for any header fields that a client sends.

use super::client::Client;
use super::ids::Ids;
use super::proxies::Proxies;
use super::{HeaderPolicy, Origin, Peer};
use http::header::{COOKIE, FORWARDED};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue};

const PROXY: &str = "127.0.0.1:5";
const STRANGER: &str = "192.0.2.99:5";

/// The proxy names this client.
const NAMED: &str = "198.51.100.7";

/// Checks fields, one a line.
pub fn header_policy(bytes: &[u8]) {
    let sent = fields(bytes);
    asked_by_a_stranger(sent.clone());
    for (name, appended) in [
        ("x-forwarded-for", NAMED.to_owned()),
        ("forwarded", format!("for={NAMED}")),
    ] {
        for is_joined in [false, true] {
            let name = HeaderName::from_static(name);
            asked_by_a_proxy(sent.clone(), name, &appended, is_joined);
        }
    }
}

fn fields(bytes: &[u8]) -> HeaderMap {
    let lines = bytes.split(|byte| *byte == b'\n');
    let read = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((
            name,
            HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?,
        ))
    };
    lines
        .filter_map(read)
        .fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(name, value);
            all
        })
}

fn policy() -> HeaderPolicy {
    let user = (
        HeaderName::from_static("x-user"),
        HeaderValue::from_static("operator"),
    );
    HeaderPolicy {
        proxies: Proxies {
            networks: vec!["127.0.0.1/32".parse().expect("a network")],
            ..Proxies::default()
        },
        root_path: None,
        request_id: true,
        client_header: Some(HeaderName::from_static("x-client")),
        request_headers: [user].into_iter().collect(),
        server: None,
        response_headers: HeaderMap::new(),
    }
}

fn origin(peer: &str) -> Origin {
    Origin {
        peer: Peer::Inet(peer.parse().expect("an address")),
        server: None,
        scheme: Scheme::HTTP,
    }
}

/// Checks that nothing is believed of a stranger, and nothing of it is left.
fn asked_by_a_stranger(mut headers: HeaderMap) {
    let origin = origin(STRANGER);
    let arrival = policy().receive(&origin, &mut headers, &Ids::seeded());
    assert_eq!(arrival.client, Client::Peer(origin.peer));
    assert_eq!((arrival.scheme, arrival.authority), (Scheme::HTTP, None));
    assert_eq!(headers.get("x-request-id"), arrival.id.as_ref());
    assert_eq!(all(&headers, "x-client"), ["192.0.2.99"]);
    let claims = headers.keys().filter(|name| claims(name.as_str()));
    let claims: Vec<&HeaderName> = claims.collect();
    assert_eq!(claims, ["x-request-id"], "what a stranger claims is left");
    left_is_sound(&headers);
}

/// Checks that what a stranger wrote before a proxy's own words changes nothing.
fn asked_by_a_proxy(mut headers: HeaderMap, name: HeaderName, appended: &str, is_joined: bool) {
    if name == FORWARDED {
        // The other kind counts more.
        let others: Vec<HeaderName> = headers.keys().cloned().collect();
        for other in others
            .iter()
            .filter(|name| name.as_str().starts_with("x-forwarded-"))
        {
            headers.remove(other);
        }
    }
    let before = headers.get_all(&name).iter().next_back().cloned();
    match before.filter(|_| is_joined) {
        Some(before) => {
            let mut values: Vec<HeaderValue> = headers.get_all(&name).iter().cloned().collect();
            values.pop();
            let joined = [before.as_bytes(), b", ", appended.as_bytes()].concat();
            values.push(HeaderValue::from_bytes(&joined).expect("a value"));
            headers.remove(&name);
            for value in values {
                headers.append(&name, value);
            }
        }
        None => {
            headers.append(&name, HeaderValue::from_str(appended).expect("a value"));
        }
    }
    let arrival = policy().receive(&origin(PROXY), &mut headers, &Ids::seeded());
    let expected =
        Client::Forwarded((NAMED.parse::<std::net::IpAddr>().expect("it is one"), 0).into());
    assert_eq!(arrival.client, expected);
    assert_eq!(
        elements(&headers, &name),
        [appended],
        "what strangers wrote is left"
    );
    assert_eq!(all(&headers, "x-client"), [NAMED]);
    let mut names = headers.keys().map(HeaderName::as_str);
    let with_underscore = names.find(|name| claims(name) && name.contains('_'));
    assert_eq!(with_underscore, None);
    left_is_sound(&headers);
}

/// Checks that what guests see of ours is ours, also to those who take `_` and `-` for one.
fn left_is_sound(headers: &HeaderMap) {
    assert_eq!(all(headers, "x-user"), ["operator"]);
    assert!(all(headers, "x-request-id").len() == 1);
    assert!(
        headers.get_all(COOKIE).iter().count() < 2,
        "several cookies"
    );
    for name in headers.keys().map(HeaderName::as_str) {
        let is_ours =
            ["x-user", "x-client", "content-length"].contains(&name.replace('_', "-").as_str());
        assert!(!is_ours || !name.contains('_'), "{name} is left");
    }
}

fn claims(name: &str) -> bool {
    let name = name.replace('_', "-");
    name.starts_with("x-forwarded-")
        || ["forwarded", "x-real-ip", "x-request-id"].contains(&name.as_str())
}

/// Lists the elements of a list that are not empty (RFC 9110 section 5.6.1).
fn elements(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = all(headers, name.as_str()).join(",");
    let elements = values.split(',').map(|element| element.trim().to_owned());
    elements.filter(|element| !element.is_empty()).collect()
}

fn all(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter();
    values
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect()
}
