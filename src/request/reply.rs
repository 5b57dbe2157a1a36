//! The heads of responses: what is added to a guest's, and those that we answer ourselves.

use super::Body;
use super::exchange::Exchange;
use crate::guest;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};

/// Seconds after which a client that found no room may come again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What a guest may be asked (RFC 9110 section 10.2.1 wants a 405 to say so).
const ALLOW: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS");

/// A guest's response, made ready for the wire.
pub fn finish(response: guest::Response, exchange: &Exchange) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    exchange.head(parts.status);
    if let Some(trailers) = body.trailers()
        && !parts.headers.contains_key(header::TRAILER)
    {
        let names: Vec<&str> = trailers.keys().map(|name| name.as_str()).collect();
        if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
            parts.headers.insert(header::TRAILER, names);
        }
    }
    let declared = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let headless = exchange.method() == Method::HEAD
        || parts.status == StatusCode::NO_CONTENT
        || parts.status == StatusCode::NOT_MODIFIED;
    Response::from_parts(parts, Body::guest(body, declared, headless))
}

/// A short answer of our own.
pub fn plain(status: StatusCode) -> Response<Body> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let mut response = Response::new(Body::text(Bytes::from(format!("{reason}\n"))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    match status {
        StatusCode::SERVICE_UNAVAILABLE => headers.insert(header::RETRY_AFTER, RETRY_AFTER),
        StatusCode::METHOD_NOT_ALLOWED => headers.insert(header::ALLOW, ALLOW),
        _ => None,
    };
    response
}
