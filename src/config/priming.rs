//! This file resolves what is done with an instance before anybody is served.

use super::option;
use crate::cli::Serve;
use crate::guest::{PrimeRequest, Priming};
use anyhow::{Context, Result, ensure};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

pub fn resolve(serve: &Serve) -> Result<Priming> {
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
        strict: instances.prime_strict,
    })
}

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
    let target = PathAndQuery::try_from(target);
    Ok(PrimeRequest {
        method: Method::from_bytes(method.as_bytes())
            .with_context(|| format!("`{method}` is no method"))?,
        target: target.with_context(|| format!("`{text}` has no path that can be asked for"))?,
    })
}

fn field(text: &str) -> Result<(HeaderName, HeaderValue)> {
    let (name, value) = text
        .split_once(':')
        .with_context(|| format!("`{text}` is no field; write NAME:VALUE"))?;
    let name = HeaderName::from_bytes(name.trim().as_bytes());
    let value = HeaderValue::from_str(value.trim());
    Ok((
        name.with_context(|| format!("`{text}` has no name of a field"))?,
        value.with_context(|| format!("`{text}` has no value of a field"))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            assert!(request(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_field_has_a_name_and_a_value() {
        let (name, value) = field("Authorization: Bearer a:b").unwrap();
        assert_eq!(
            (name.as_str(), value.as_bytes()),
            ("authorization", &b"Bearer a:b"[..])
        );
        for text in ["", "name", ": value", "a b: c"] {
            assert!(field(text).is_err(), "{text}");
        }
    }
}
