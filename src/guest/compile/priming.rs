//! `Priming` says what is done with an instance before anybody is served, so that each request's instance goes on from
//! there.

use crate::guest::instance::call::Request;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, Empty};
use std::time::Duration;

/// `Priming` is what the operator wants of it.
#[derive(Clone, Debug, Default)]
pub struct Priming {
    /// Nothing is done.
    pub off: bool,
    /// The instance answers these requests, one after the other.
    pub requests: Vec<PrimeRequest>,
    /// Each of them has these fields.
    pub fields: HeaderMap,
    /// The application's start and the requests may take this much time.
    pub time: Duration,
    /// The server does not start where the instance cannot be the beginning of others.
    pub strict: bool,
}

/// A `PrimeRequest` is one that nobody has sent, and that a client could send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimeRequest {
    pub method: Method,
    pub target: PathAndQuery,
}

impl PrimeRequest {
    /// Makes the request, as a client on this machine would send it.
    pub fn request(&self, fields: &HeaderMap) -> Request {
        const HOST: &str = "localhost";
        let empty = Empty::new().map_err(|never| match never {});
        let mut request = http::Request::new(empty.boxed_unsync());
        request.method_mut().clone_from(&self.method);
        let host = fields.get(http::header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or(HOST);
        let uri = http::Uri::builder()
            .scheme("http")
            .authority(host)
            .path_and_query(self.target.clone());
        if let Ok(uri) = uri.build() {
            *request.uri_mut() = uri;
        }
        request.headers_mut().clone_from(fields);
        request.headers_mut().remove(http::header::HOST);
        Box::new(request)
    }
}
