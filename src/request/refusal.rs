//! A `Refusal` is an answer of our own to a request: this file says which status it has, and what is told of it.

use super::exchange::Exchange;
use super::mounts::MountFailure;
use super::upload::UploadError;
use super::{Body, reply};
use crate::guest::Failure;
use http::{Response, StatusCode};

/// A `Refusal` says why a request gets an answer from us and not from the guest.
pub(crate) enum Refusal {
    BadRequest,
    /// No guest is asked to answer this method: CONNECT asks a proxy, TRACE shows what proxies added.
    Method,
    /// Nobody knows this method.
    UnknownMethod,
    Head,
    Body(UploadError),
    Full,
    /// No mounted server is asked for this, and nobody else answers.
    NotFound,
    Mount(MountFailure),
    Failed(Failure),
}

impl Refusal {
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::BadRequest | Refusal::Body(UploadError::Broken) => StatusCode::BAD_REQUEST,
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::UnknownMethod => StatusCode::NOT_IMPLEMENTED,
            Refusal::Head => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refusal::Body(UploadError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Body(UploadError::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Refusal::Full | Refusal::Mount(MountFailure::Unreachable) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Refusal::NotFound => StatusCode::NOT_FOUND,
            Refusal::Mount(MountFailure::Lost(_)) => StatusCode::BAD_GATEWAY,
            Refusal::Failed(Failure::TimedOut | Failure::OutOfTime) => StatusCode::GATEWAY_TIMEOUT,
            Refusal::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Says what was wrong with the request, in the log's words. What our side lacked is told elsewhere.
    pub fn why(&self) -> Option<&'static str> {
        Some(match self {
            Refusal::BadRequest => "it does not say clearly what it asks for",
            Refusal::Method => "CONNECT and TRACE are not for guests",
            Refusal::UnknownMethod => "its method is too long",
            Refusal::Head => "it has too many header fields",
            Refusal::Body(UploadError::TooLarge) => "its body is too large",
            Refusal::Body(UploadError::TooSlow) => "its body did not come in time",
            Refusal::Body(UploadError::Broken) => "its body is broken or unfinished",
            Refusal::Full | Refusal::NotFound | Refusal::Mount(_) | Refusal::Failed(_) => {
                return None;
            }
        })
    }

    pub fn reply(self, exchange: &Exchange) -> Response<Body> {
        let response = reply::plain(self.status(), exchange.method());
        if let Refusal::Failed(failure) = self {
            exchange.failed(&failure);
        }
        exchange.abandon_upload();
        response
    }
}
