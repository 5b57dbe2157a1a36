//! This file says where a client is sent that is to ask over https.

use super::header_policy::Arrival;
use super::{Origin, host};
use http::request::Parts;
use http::{HeaderValue, Uri};

/// URLs of https leave this port out (RFC 9110 section 4.2.2).
const HTTPS: u16 = 443;

/// Finds where a request is sent to: the resource that it asks for, over https at this port. Returns none where it
/// cannot be told what that is.
pub fn location(
    parts: &Parts,
    origin: &Origin,
    arrival: &Arrival,
    port: u16,
) -> Option<HeaderValue> {
    secure(&host::target(parts, origin, arrival, None)?.uri, port)
}

/// Names the same resource over https.
fn secure(target: &Uri, port: u16) -> Option<HeaderValue> {
    let host = target.authority()?.host();
    let path = match target.path_and_query().map(|path| path.as_str()) {
        // The server as a whole, which is no resource of its own (RFC 9110 section 7.1).
        None | Some("*") => "/",
        Some(path) => path,
    };
    let location = match port {
        HTTPS => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };
    HeaderValue::try_from(location).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_path_and_query_stay_and_the_port_becomes_that_of_https() {
        for (asked, port, answered) in [
            ("http://example.com/a?b=c", 443, "https://example.com/a?b=c"),
            ("http://example.com:80/", 443, "https://example.com/"),
            (
                "http://example.com:8080/",
                8443,
                "https://example.com:8443/",
            ),
            ("http://[::1]:80/a%20b", 8443, "https://[::1]:8443/a%20b"),
            (
                "http://example.com//evil.example/",
                443,
                "https://example.com//evil.example/",
            ),
            ("http://example.com", 443, "https://example.com/"),
        ] {
            let location = secure(&asked.parse().unwrap(), port).unwrap();
            assert_eq!(location, answered);
        }
    }
}
