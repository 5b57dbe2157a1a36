//! Some names of header fields cannot be told apart by gateways to older interfaces: CGI, and so WSGI and PHP, read
//! `_` and `-` as one (RFC 3875 section 4.1.18). Where one of two such names is ours, or a variable of CGI, nobody
//! else may send the other.

use http::{HeaderMap, HeaderName};

/// These are variables of CGI and fields that decide who asks for what, as their fields are written.
const KNOWN: [&str; 26] = [
    "auth-type",
    "content-encoding",
    "content-length",
    "content-type",
    "document-root",
    "gateway-interface",
    "https",
    "path-info",
    "path-translated",
    "query-string",
    "remote-addr",
    "remote-host",
    "remote-ident",
    "remote-port",
    "remote-user",
    "request-method",
    "request-scheme",
    "request-uri",
    "script-filename",
    "script-name",
    "server-name",
    "server-port",
    "server-protocol",
    "server-software",
    "transfer-encoding",
    "www-authenticate",
];

/// Removes each field whose name can be taken for another: one of `ours`, of CGI, or of a field that is
/// there as well.
pub fn remove_ambiguous<'a>(headers: &mut HeaderMap, ours: impl Iterator<Item = &'a HeaderName>) {
    let ours: Vec<&HeaderName> = ours.collect();
    let stands_for_ours = ours.iter().any(|ours| ours.as_str().contains('_'));
    if !stands_for_ours && !headers.keys().any(|name| name.as_str().contains('_')) {
        return;
    }
    let is_ambiguous = |name: &HeaderName| {
        let text = name.as_str();
        let mut ours = ours.iter();
        if ours.any(|ours| **ours != *name && are_one(ours.as_str(), text)) {
            return true;
        }
        let mut others = headers.keys();
        text.contains('_')
            && (KNOWN.iter().any(|known| are_one(known, text))
                || others
                    .any(|other| !other.as_str().contains('_') && are_one(other.as_str(), text)))
    };
    let names: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_ambiguous(name))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}

/// Says whether two names are one where `_` and `-` are.
pub fn are_one(one: &str, other: &str) -> bool {
    let is_dash = |byte| matches!(byte, b'-' | b'_');
    let same = |(one, other): (u8, u8)| one == other || (is_dash(one) && is_dash(other));
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn left(names: &[&'static str], ours: &[&'static str]) -> Vec<String> {
        let names = names.iter().map(|name| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static("x"))
        });
        let mut headers: HeaderMap = names.collect();
        let ours: Vec<HeaderName> = ours
            .iter()
            .map(|name| HeaderName::from_static(name))
            .collect();
        remove_ambiguous(&mut headers, ours.iter());
        let mut left: Vec<String> = headers.keys().map(HeaderName::to_string).collect();
        left.sort();
        left
    }

    #[test]
    fn what_can_be_taken_for_ours_goes() {
        assert_eq!(left(&["x_client", "x-client"], &["x-client"]), ["x-client"]);
        assert_eq!(left(&["x-client-id"], &["x_client_id"]), [""; 0]);
        assert_eq!(left(&["x_client-id"], &["x_client_id"]), [""; 0]);
    }

    #[test]
    fn what_can_be_taken_for_a_variable_or_for_another_field_goes() {
        for name in [
            "content_length",
            "content_type",
            "remote_user",
            "transfer_encoding",
        ] {
            assert_eq!(left(&[name], &[]), [""; 0], "{name}");
        }
        assert_eq!(left(&["x_user", "x-user"], &[]), ["x-user"]);
        assert_eq!(
            left(&["x_user", "content-type", "remote-user"], &[]).len(),
            3
        );
    }
}
