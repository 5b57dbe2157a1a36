//! This file finishes the heads of guests' responses, and writes those that we answer ourselves.

use super::Body;
use super::{compress, length};
use crate::guest::{self, Failure, GuestBody};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body::Body as _;
use hyper::ext::ReasonPhrase;

/// A client that found no room may come again after this many seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// A guest may be asked these methods (RFC 9110 section 10.2.1 wants a 405 to say so).
const ALLOW: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS");

/// These fields must not come after the content: they frame messages, route them, change what the content means, or
/// are not for this connection (RFC 9110 section 6.5.1).
const NOT_IN_TRAILERS: [HeaderName; 15] = [
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::HOST,
    header::MAX_FORWARDS,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Removes from trailers what must not be there.
pub fn legal_trailers(mut trailers: HeaderMap) -> HeaderMap {
    trim(&mut trailers);
    for name in NOT_IN_TRAILERS {
        trailers.remove(name);
    }
    trailers
}

/// Removes white space around values: HTTP/2 has none (RFC 9113 section 8.2.1), and in HTTP/1 it is not part of them.
fn trim(headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
        if is_blank(value.as_bytes().first()) || is_blank(value.as_bytes().last()) {
            let trimmed = HeaderValue::from_bytes(value.as_bytes().trim_ascii());
            *value = trimmed.unwrap_or_else(|_| HeaderValue::from_static(""));
        }
    }
}

/// Makes a guest's response ready for the wire. What frames a message or belongs to a connection the guest was not
/// allowed to set in the first place, except for the length; that is checked here.
pub fn finish(response: guest::Response, method: &Method) -> Result<Response<Body>, Failure> {
    let (mut parts, body) = response.into_parts();
    if !(200..=599).contains(&parts.status.as_u16()) {
        let status = parts.status.as_u16();
        let why = format!("its status is {status}, and final ones are from 200 to 599");
        return Err(Failure::IllegalHead(why));
    }
    if parts.status.canonical_reason().is_none() {
        parts.extensions.insert(ReasonPhrase::from_static(b""));
    }
    trim(&mut parts.headers);
    // It speaks of requests (RFC 9110 section 10.1.4).
    parts.headers.remove(header::TE);
    let length = body.size_hint().exact();
    let mut declared = declared(&parts.headers)?;
    let bodiless = guest::is_bodiless(parts.status);
    if bodiless && parts.status != StatusCode::NOT_MODIFIED {
        parts.headers.remove(header::CONTENT_LENGTH);
        declared = None;
    }
    if bodiless || method == Method::HEAD {
        // A guest that knows that it is asked for the head alone may have left the body away, so that
        // nothing tells nothing of its length (RFC 9110 section 8.6).
        if let (false, None, Some(length @ 1..)) = (bodiless, declared, length) {
            parts.headers.insert(header::CONTENT_LENGTH, length.into());
        }
        return Ok(Response::from_parts(parts, Body::unsent(body)));
    }
    if let (Some(declared), Some(length)) = (declared, length)
        && declared != length
    {
        let why = format!("its content-length is {declared}, and its body has {length} bytes");
        return Err(Failure::IllegalHead(why));
    }
    announce_trailers(&mut parts.headers, &body);
    Ok(Response::from_parts(parts, Body::guest(body, declared)))
}

fn declared(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let illegal = |_| Failure::IllegalHead("its content-length is not one number".to_owned());
    length::declared(headers).map_err(illegal)
}

/// Announces trailers: only those that were announced are sent in HTTP/1.1.
fn announce_trailers(headers: &mut HeaderMap, body: &GuestBody) {
    if let Some(trailers) = body.trailers()
        && !headers.contains_key(header::TRAILER)
    {
        let names = trailers
            .keys()
            .filter(|name| !NOT_IN_TRAILERS.contains(name));
        let names: Vec<&str> = names.map(HeaderName::as_str).collect();
        if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
            headers.insert(header::TRAILER, names);
        }
    }
}

/// Compresses a response where that is wanted and worth it. The head that answers HEAD is the one that GET would get
/// (RFC 9110 section 9.3.2).
pub fn compress(
    response: &mut Response<Body>,
    settings: compress::Settings,
    coding: Option<compress::Coding>,
    method: &Method,
) {
    let exact = response.body().size_hint().exact();
    let (status, headers) = (response.status(), response.headers_mut());
    let declared = length::declared(headers).ok().flatten();
    let length = match *method == Method::HEAD {
        true => declared,
        false => exact.or(declared),
    };
    let Some(coding) = settings.choose(coding, status, headers, length) else {
        return;
    };
    if *method == Method::HEAD {
        compress::announce(coding, headers);
    } else if let Ok(encoder) = compress::Encoder::new(coding) {
        compress::announce(coding, headers);
        response.body_mut().compress(encoder);
    }
}

/// Makes a short answer of our own.
pub fn plain(status: StatusCode, method: &Method) -> Response<Body> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let text = Bytes::from(format!("{reason}\n"));
    let length = text.len();
    let mut response = Response::new(if method == Method::HEAD {
        Body::empty()
    } else {
        Body::text(text)
    });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length.into());
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

#[cfg(test)]
mod tests {
    use super::*;

    /// HTTP/2 sent it along (RFC 9113 section 8.2.1).
    #[test]
    fn white_space_around_values_is_removed() {
        for (value, expected) in [
            ("  y  ", "y"),
            ("\ta\tb ", "a\tb"),
            (" ", ""),
            ("", ""),
            ("a", "a"),
        ] {
            let value = HeaderValue::from_static(value);
            let mut headers = HeaderMap::from_iter([(header::LINK, value)]);
            trim(&mut headers);
            assert_eq!(headers[header::LINK], expected);
        }
    }
}
