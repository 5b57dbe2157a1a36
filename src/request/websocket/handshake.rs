//! This file reads the request that asks for a WebSocket, and checks what of it must be right (RFC 6455 section 4.2.1,
//! RFC 8441 section 5).

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The protocol has this version (RFC 6455 section 4.1).
pub const VERSION: HeaderValue = HeaderValue::from_static("13");

/// A key is the Base64 of this many bytes.
const KEY: usize = 16;

/// `OpeningMethod` says how a request asks for a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpeningMethod {
    /// The client asks by an upgrade of HTTP/1.1.
    Upgrade,
    /// The client asks by a CONNECT of HTTP/2 that names the protocol.
    Connect,
}

/// `InvalidOpening` says why a request cannot be answered with a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidOpening {
    /// The request asks for another version of the protocol.
    Version,
    /// The request's key is missing, or is none.
    Key,
    /// The request has a body.
    Body,
}

/// Says whether a request asks for a WebSocket.
pub fn asked<B>(request: &Request<B>) -> Option<OpeningMethod> {
    let protocol = request.extensions().get::<h2::ext::Protocol>();
    if *request.method() == Method::CONNECT {
        let named = protocol.is_some_and(|protocol| protocol.as_str() == "websocket");
        return named.then_some(OpeningMethod::Connect);
    }
    let upgrades = request.version() == Version::HTTP_11
        && *request.method() == Method::GET
        && has(request.headers(), &header::CONNECTION, "upgrade")
        && has(request.headers(), &header::UPGRADE, "websocket");
    upgrades.then_some(OpeningMethod::Upgrade)
}

/// Judges the request; gives the proof that it was understood, where there has to be one.
pub fn validate<B: http_body::Body>(
    asked: OpeningMethod,
    request: &Request<B>,
) -> Result<Option<HeaderValue>, InvalidOpening> {
    let headers = request.headers();
    if only(headers, &header::SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        return Err(InvalidOpening::Version);
    }
    match asked {
        OpeningMethod::Connect => Ok(None),
        OpeningMethod::Upgrade if !request.body().is_end_stream() => Err(InvalidOpening::Body),
        OpeningMethod::Upgrade => {
            let key = only(headers, &header::SEC_WEBSOCKET_KEY).filter(|key| is_key(key));
            let proof = key.map(|key| derive_accept_key(key.as_bytes()));
            let proof = proof.and_then(|proof| HeaderValue::try_from(proof).ok());
            proof.map(Some).ok_or(InvalidOpening::Key)
        }
    }
}

/// Has a request be again what the client of a trusted proxy has sent. One that had asked by an upgrade of HTTP/1.1 has
/// sent a key, which no client of HTTP/2 does (RFC 8441 section 5).
pub fn undo_translation<B>(asked: OpeningMethod, request: &mut Request<B>) {
    let key = only(request.headers(), &header::SEC_WEBSOCKET_KEY);
    if asked != OpeningMethod::Connect || !key.is_some_and(is_key) {
        return;
    }
    *request.method_mut() = Method::GET;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Returns the subprotocols that a client offers, in its order.
pub fn subprotocols(headers: &HeaderMap) -> Vec<String> {
    let words = words(headers, &header::SEC_WEBSOCKET_PROTOCOL);
    words.map(str::to_owned).collect()
}

/// Returns the words of a list.
fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    let words = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    words.map(str::trim).filter(|word| !word.is_empty())
}

fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    words(headers, name).any(|other| other.eq_ignore_ascii_case(word))
}

/// Gives the value of a field that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Says whether this is the Base64 of sixteen bytes.
fn is_key(value: &HeaderValue) -> bool {
    let text = value.as_bytes();
    let Some(digits) = text.strip_suffix(b"==") else {
        return false;
    };
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    digits.len() == (KEY * 8).div_ceil(6)
        && digits.iter().all(is_digit)
        // Of the last digit, two bits are of the sixteen bytes.
        && digits.last().is_some_and(|last| b"AQgw".contains(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Empty;

    type Body = Empty<bytes::Bytes>;

    fn request(fields: &[(&str, &str)]) -> Request<Body> {
        let usual = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let mut request = Request::new(Body::new());
        let headers = request.headers_mut();
        for (name, value) in usual.iter().chain(fields) {
            let name: HeaderName = name.parse().unwrap();
            let value = value.parse().unwrap();
            match name.as_str().starts_with("sec-websocket-p") {
                true => headers.append(name, value),
                false => headers.insert(name, value).is_some(),
            };
        }
        request
    }

    #[test]
    fn the_example_of_the_standard_is_proved() {
        let request = request(&[]);
        assert_eq!(asked(&request), Some(OpeningMethod::Upgrade));
        let proof = validate(OpeningMethod::Upgrade, &request).unwrap().unwrap();
        assert_eq!(proof, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn other_upgrades_and_methods_do_not_ask_for_it() {
        for field in [("upgrade", "h2c"), ("connection", "close")] {
            assert_eq!(asked(&request(&[field])), None, "{field:?}");
        }
        let mut post = request(&[]);
        *post.method_mut() = Method::POST;
        assert_eq!(asked(&post), None);
        let mut old = request(&[]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(asked(&old), None);
    }

    #[test]
    fn a_wrong_version_and_a_key_that_is_none_are_told_apart() {
        for (name, value, expected) in [
            ("sec-websocket-version", "8", InvalidOpening::Version),
            ("sec-websocket-version", "13, 8", InvalidOpening::Version),
            ("sec-websocket-key", "", InvalidOpening::Key),
            ("sec-websocket-key", "dGhlIHNhbXBsZQ==", InvalidOpening::Key),
            (
                "sec-websocket-key",
                "dGhlIHNhbXBsZSBub25jZR==",
                InvalidOpening::Key,
            ),
            (
                "sec-websocket-key",
                "dGhlIHNhbXBsZSBub25jZ!==",
                InvalidOpening::Key,
            ),
        ] {
            let judged = validate(OpeningMethod::Upgrade, &request(&[(name, value)]));
            assert_eq!(judged, Err(expected), "{name}: {value}");
        }
    }

    #[test]
    fn what_a_proxy_has_translated_is_an_upgrade_again_and_nothing_else_is() {
        let connect = |fields: &[(&str, &str)]| {
            let mut request = request(fields);
            *request.method_mut() = Method::CONNECT;
            *request.version_mut() = Version::HTTP_2;
            request.headers_mut().remove(header::CONNECTION);
            request.headers_mut().remove(header::UPGRADE);
            request
        };
        let mut translated = connect(&[]);
        undo_translation(OpeningMethod::Connect, &mut translated);
        assert_eq!(asked(&translated), Some(OpeningMethod::Upgrade));
        for mut other in [connect(&[("sec-websocket-key", "none")]), {
            let mut other = connect(&[]);
            other.headers_mut().remove(header::SEC_WEBSOCKET_KEY);
            other
        }] {
            undo_translation(OpeningMethod::Connect, &mut other);
            assert_eq!(other.method(), Method::CONNECT);
            assert_eq!(other.version(), Version::HTTP_2);
        }
    }

    #[test]
    fn subprotocols_are_a_list_in_however_many_fields() {
        let request = request(&[
            ("sec-websocket-protocol", "chat, superchat"),
            ("sec-websocket-protocol", "soap"),
        ]);
        let offered = subprotocols(request.headers());
        assert_eq!(offered, ["chat", "superchat", "soap"]);
    }
}
