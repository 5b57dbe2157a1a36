//! Trusted proxies say of a request for whom they ask, by which scheme, and of which host. Chains are followed from
//! the nearest proxy to the first node that is not trusted: that is the client, and what stands before it was written
//! by strangers.

mod elements;
mod node;

use super::client::Client;
use super::proxies::Proxies;
use elements::{Element, from_the_end};
use http::header::FORWARDED;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue};

pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// `Claims` are what is believed of a request; where a part is missing, the connection tells it.
#[derive(Debug, Default, PartialEq)]
pub struct Claims {
    pub client: Option<Client>,
    pub scheme: Option<Scheme>,
    pub authority: Option<Authority>,
}

/// `Cut` has fields without what strangers wrote in them.
type Cut = Vec<(HeaderName, String)>;

/// Reads the fields of a request that came from a trusted peer, and removes what strangers wrote in
/// them. Where both kinds of fields are there, only `X-Forwarded-*` is believed and left: most proxies
/// write those, and pass on a `Forwarded` that they know nothing of.
pub fn read(headers: &mut HeaderMap, proxies: &Proxies) -> Claims {
    let x_names = [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST];
    let (claims, cut) = if x_names.iter().any(|name| headers.contains_key(name)) {
        headers.remove(FORWARDED);
        x_forwarded(headers, proxies)
    } else {
        forwarded(headers, proxies)
    };
    for (name, text) in cut {
        match HeaderValue::try_from(text) {
            Ok(value) => headers.insert(name, value),
            Err(_) => headers.remove(name),
        };
    }
    claims
}

fn x_forwarded(headers: &HeaderMap, proxies: &Proxies) -> (Claims, Cut) {
    let nodes = items(headers, &X_FORWARDED_FOR);
    let place = first_stranger(nodes.iter().map(|text| node::parse(text)), proxies);
    let mut cut = Cut::new();
    cut.extend(without_strangers(X_FORWARDED_FOR, &nodes, place));
    // A list as long as the other has an item for each hop; of any other, the nearest proxy's counts.
    let mut pick = |name: HeaderName| {
        let items = items(headers, &name);
        let place = match items.len() {
            length if length == nodes.len() => place,
            length if proxies.all => length.saturating_sub(1),
            _ => 0,
        };
        cut.extend(without_strangers(name, &items, place));
        items.get(place).copied()
    };
    let claims = Claims {
        scheme: pick(X_FORWARDED_PROTO).and_then(scheme),
        authority: pick(X_FORWARDED_HOST).and_then(authority),
        client: nodes.get(place).map(|text| client(node::parse(text))),
    };
    (claims, cut)
}

fn forwarded(headers: &HeaderMap, proxies: &Proxies) -> (Claims, Cut) {
    let items = items(headers, &FORWARDED);
    if items.is_empty() {
        return (Claims::default(), Cut::new());
    }
    let elements: Vec<Element<'_>> = items
        .iter()
        .map(|text| Element::parse(text).unwrap_or_default())
        .collect();
    let node = |element: &Element<'_>| element.node.as_deref().and_then(node::parse);
    let place = first_stranger(elements.iter().map(node), proxies);
    // The proxy that met the client knows best; what it leaves out, one nearer to us may tell.
    let known = elements[..=place].iter().rev();
    let claims = Claims {
        client: Some(client(node(&elements[place]))),
        scheme: known
            .clone()
            .find_map(|element| scheme(element.proto.as_deref()?)),
        authority: known
            .clone()
            .find_map(|element| authority(element.host.as_deref()?)),
    };
    let cut = without_strangers(FORWARDED, &items, place);
    (claims, cut.into_iter().collect())
}

/// Returns the items of a list, in however many fields it came, the nearest proxy's first.
fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let fields = headers.get_all(name).iter().rev();
    fields
        .flat_map(|value| items_of(value.as_bytes()))
        .filter(|item| !item.is_empty())
        .collect()
}

/// Returns the items of one field. One that is not even text names nobody, and those before it are passed over; those
/// after it were written by proxies that are nearer, and count whatever a stranger wrote there.
fn items_of(value: &[u8]) -> Vec<&str> {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    let broken = value.iter().rposition(|byte| !is_text(byte));
    let readable = &value[broken.map_or(0, |at| at + 1)..];
    let text = std::str::from_utf8(readable).unwrap_or("?");
    let mut items: Vec<&str> = from_the_end(text, b',').collect();
    if let (Some(_), Some(farthest)) = (broken, items.last_mut()) {
        *farthest = "?";
    }
    items
}

/// Finds where in a chain the client stands: the first node that is not trusted, or the last of all.
fn first_stranger(
    nodes: impl ExactSizeIterator<Item = Option<std::net::SocketAddr>>,
    proxies: &Proxies,
) -> usize {
    let last = nodes.len().saturating_sub(1);
    let trusted = |node: Option<std::net::SocketAddr>| {
        proxies.all || node.is_some_and(|node| proxies.trust_address(node.ip()))
    };
    let mut nodes = nodes;
    nodes.position(|node| !trusted(node)).unwrap_or(last)
}

/// Gives the field without what stands before `place`, if anything does.
fn without_strangers(
    name: HeaderName,
    items: &[&str],
    place: usize,
) -> Option<(HeaderName, String)> {
    let (kept, strange) = items.split_at_checked(place + 1)?;
    if strange.is_empty() {
        return None;
    }
    let kept: Vec<&str> = kept.iter().rev().copied().collect();
    Some((name, kept.join(", ")))
}

fn client(address: Option<std::net::SocketAddr>) -> Client {
    address.map_or(Client::Hidden, Client::Forwarded)
}

/// Reads a scheme. Those of WebSockets are those of HTTP (RFC 6455 section 3); guests know no others.
fn scheme(text: &str) -> Option<Scheme> {
    let is = |names: [&str; 2]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
    if is(["https", "wss"]) {
        Some(Scheme::HTTPS)
    } else if is(["http", "ws"]) {
        Some(Scheme::HTTP)
    } else {
        None
    }
}

/// Reads a host, with a port or without; never with a user (RFC 9110 section 4.2.4).
fn authority(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok()?;
    (!text.contains('@') && !authority.host().is_empty()).then_some(authority)
}

#[cfg(test)]
mod tests;
