//! Answers that send a client to the same resource over https.

use super::exchange::Exchange;
use super::{Body, Origin, Refusal, Requests, host, reply};
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;

/// The port of https, which its URLs leave out (RFC 9110 section 4.2.2).
const HTTPS: u16 = 443;

impl Requests {
    /// Redirects one request to https at this port, for good and whatever its method is (RFC 9110
    /// section 15.4.9). No guest is asked.
    pub fn redirect(
        &self,
        origin: &Origin,
        mut request: Request<Incoming>,
        port: u16,
    ) -> Response<Body> {
        let sound = self.judge(&request);
        let front = &self.settings.front;
        let arrival = front.receive(origin, request.headers_mut(), &self.ids);
        let exchange = Exchange::begin(&arrival, &request, &self.slot, self.settings.access_log);
        let (parts, _) = request.into_parts();
        let target = sound.and_then(|()| {
            let target = host::target(&parts, origin, &arrival, None);
            let location = target.and_then(|target| location(&target, port));
            location.ok_or(Refusal::BadRequest)
        });
        let mut response = match target {
            Ok(location) => {
                let mut response = reply::plain(StatusCode::PERMANENT_REDIRECT, exchange.method());
                response.headers_mut().insert(header::LOCATION, location);
                exchange.head(response.status());
                response
            }
            Err(refusal) => refusal.reply(exchange),
        };
        front.send(response.headers_mut(), arrival.id.as_ref());
        response
    }
}

/// The same resource over https.
fn location(target: &Uri, port: u16) -> Option<HeaderValue> {
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
            let location = location(&asked.parse().unwrap(), port).unwrap();
            assert_eq!(location, answered);
        }
    }
}
