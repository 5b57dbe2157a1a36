//! This file resolves what is done with an instance before anybody is served.

use super::option;
use crate::cli::Serve;
use crate::connection::read_request_line;
use crate::guest::{PrimeRequest, Priming};
use crate::request::is_host;
use anyhow::{Context, Result, ensure};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::time::Duration;

/// Resolves it, where the application may take this long to start.
pub fn resolve(serve: &Serve, time: Duration) -> Result<Priming> {
    let instances = &serve.instances;
    let requests = instances.prime.iter();
    let requests = requests.map(|text| option("--prime", text, request));
    let requests = requests.collect::<Result<Vec<_>>>()?;
    ensure!(
        requests.is_empty() || instances.reuse == "1",
        "option --prime: with --reuse an instance goes on from where the last request left it; leave out one of the two"
    );
    let mut fields = HeaderMap::new();
    for text in &instances.prime_header {
        let (name, value) = option("--prime-header", text, field)?;
        fields.append(name, value);
    }
    Ok(Priming {
        off: instances.no_prime,
        requests,
        fields,
        time,
        strict: instances.prime_strict,
    })
}

/// These fields say where a message ends, or are about the connection that it comes over (RFC 9110 sections 7.6.1 and
/// 10.1.1, RFC 9112 section 6): nothing comes over any, and what asks has no content.
const OF_CONNECTIONS: [HeaderName; 10] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Reads `PATH` or `METHOD PATH`. A request that changes something would do so at each start.
fn request(text: &str) -> Result<PrimeRequest> {
    let (method, target) = match text.trim().split_once(' ') {
        Some((method, target)) => (method, target.trim()),
        None => ("GET", text.trim()),
    };
    ensure!(
        target.starts_with('/'),
        "`{text}` is no request; write a path, such as /items/7, or a method and a path: \"POST /items\""
    );
    let line = format!("{method} {target} HTTP/1.1");
    let asked = read_request_line(line.as_bytes()).with_context(|| {
        format!("`{text}` is no request that a client can send; write a path as it stands in a request: without spaces, and without #")
    })?;
    let target = asked.uri().path_and_query();
    Ok(PrimeRequest {
        method: asked.method().clone(),
        target: target.cloned().unwrap_or(PathAndQuery::from_static("/")),
    })
}

fn field(text: &str) -> Result<(HeaderName, HeaderValue)> {
    let (name, value) = text
        .split_once(':')
        .with_context(|| format!("`{text}` is no field; write NAME:VALUE"))?;
    let name = HeaderName::from_bytes(name.trim().as_bytes());
    let value = HeaderValue::from_str(value.trim());
    let name = name.with_context(|| format!("`{text}` has no name of a field"))?;
    let value = value.with_context(|| format!("`{text}` has no value of a field"))?;
    ensure!(
        !OF_CONNECTIONS.contains(&name),
        "`{name}` is about a connection or a request's content, and these requests have neither; leave it out"
    );
    ensure!(
        name != header::HOST || is_host(value.as_bytes()),
        "`{text}` names no host; write Host:NAME or Host:NAME:PORT"
    );
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    #[test]
    fn a_request_is_a_path_or_a_method_and_a_path() {
        let read = |text| request(text).unwrap();
        assert_eq!(read("/items/7?q=a").method, Method::GET);
        assert_eq!(read("HEAD /").method, Method::HEAD);
        assert_eq!(read("POST /items").target.as_str(), "/items");
        for text in [
            "",
            "items",
            "POST items",
            "POST",
            "G@T /",
            "GET / HTTP/1.1 ",
            "/items#7",
            "/a\tb",
            "CONNECT /",
        ] {
            assert!(request(text).is_err(), "{text}");
        }
        // As the server reads what a client sends.
        assert_eq!(read("/é\"").target.as_str(), "/%C3%A9%22");
    }

    #[test]
    fn a_field_has_a_name_and_a_value() {
        let (name, value) = field("Authorization: Bearer a:b").unwrap();
        assert_eq!(
            (name.as_str(), value.as_bytes()),
            ("authorization", &b"Bearer a:b"[..])
        );
        assert!(field("Host: example.com:8000").is_ok());
        for text in [
            "",
            "name",
            ": value",
            "a b: c",
            "Host: a b",
            "Host:",
            "host: a/b",
            "Content-Length: 5",
            "transfer-encoding: chunked",
            "Upgrade: websocket",
            "Connection: keep-alive",
            "Keep-Alive: 5",
        ] {
            assert!(field(text).is_err(), "{text}");
        }
    }
}
