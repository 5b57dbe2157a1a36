//! The head of a recorded request is kept as text: bytes that are none stand for the characters of the same numbers.

use super::body::{self, Shared};
use super::masked;
use anyhow::{Context, Result};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use wasmtime_wasi_http::WasiBody;

/// A `Head` is what a request began with.
#[derive(Clone, Debug)]
pub struct Head {
    method: Method,
    target: Uri,
    version: Version,
    fields: HeaderMap,
}

/// A `WrittenHead` is how a head stands in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenHead {
    pub method: String,
    pub target: String,
    pub http2: bool,
    pub fields: Vec<(String, String)>,
    /// The values of these fields are not those that the client sent.
    pub masked: Vec<String>,
}

impl Head {
    pub fn of(request: &http::Request<WasiBody>) -> Head {
        Head {
            method: request.method().clone(),
            target: request.uri().clone(),
            version: request.version(),
            fields: request.headers().clone(),
        }
    }

    /// Writes the head down, with or without the values of fields that are secret.
    pub fn written(&self, secrets: bool) -> WrittenHead {
        let mut head = WrittenHead {
            method: self.method.to_string(),
            target: self.target.to_string(),
            http2: self.version == Version::HTTP_2,
            fields: fields(&self.fields),
            masked: Vec::new(),
        };
        if !secrets {
            head.masked = masked::fields(&mut head.fields);
            if let Cow::Owned(target) = masked::target(&head.target) {
                head.target = target;
                head.masked.push("parameters of the target".to_owned());
            }
        }
        head
    }
}

impl WrittenHead {
    /// Makes the request again, with this body.
    pub fn request(&self, frames: Shared) -> Result<http::Request<WasiBody>> {
        let mut request = http::Request::new(body::replayed(frames));
        *request.method_mut() = self.method.parse().context("its method is none")?;
        *request.uri_mut() = self.target.parse().context("its target is none")?;
        *request.version_mut() = match self.http2 {
            true => Version::HTTP_2,
            false => Version::HTTP_11,
        };
        *request.headers_mut() = header_map(&self.fields)?;
        Ok(request)
    }
}

/// Writes fields as text.
pub fn fields(fields: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| value.as_bytes().iter().copied().map(char::from).collect();
    let fields = fields.iter();
    fields
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

/// Counts the bytes of fields.
pub fn size(fields: &HeaderMap) -> usize {
    let sizes = fields.iter();
    sizes
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}

/// Counts the bytes of fields that were written as text.
pub fn length(fields: &[(String, String)]) -> usize {
    let lengths = fields.iter();
    lengths.map(|(name, value)| name.len() + value.len()).sum()
}

/// Reads fields that were written as text.
pub fn header_map(fields: &[(String, String)]) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let bytes: Result<Vec<u8>, _> = value.chars().map(u8::try_from).collect();
        let value = HeaderValue::from_bytes(&bytes.context("a field is none")?);
        let name: HeaderName = name.parse().context("a field is none")?;
        map.append(name, value.context("a field is none")?);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Empty};

    #[test]
    fn a_head_is_made_again_without_its_secrets() {
        let empty = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = http::Request::builder()
            .method("PUT")
            .uri("http://example.org/a?b=c&token=t")
            .header("cookie", "id=1234")
            .header("x-bytes", HeaderValue::from_bytes(b"\xe9t\xe9").unwrap())
            .body(empty);
        let head = Head::of(&request.unwrap());
        let written = head.written(false);
        assert_eq!(written.masked, ["cookie", "parameters of the target"]);
        let again = written.request(Shared::default()).unwrap();
        assert_eq!(again.method(), "PUT");
        assert_eq!(again.uri(), "http://example.org/a?b=c&token=*");
        assert_eq!(again.headers()["cookie"], "*******");
        assert_eq!(again.headers()["x-bytes"].as_bytes(), b"\xe9t\xe9");
        assert!(head.written(true).masked.is_empty());
    }
}
