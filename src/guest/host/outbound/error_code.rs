//! This file says what went wrong with a request, in the words that WASI has for it.

use crate::guest::host::network::Denial;
use crate::scoreboard::Outbound;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use wasmtime_wasi_http::Error;

/// The name has no address.
#[derive(Debug)]
pub struct NoAddress(pub String);

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no address: {}", self.0)
    }
}

impl StdError for NoAddress {}

/// `Why` says why a request failed: a rule forbids it, or the network failed.
pub enum Why {
    Denied(Denial),
    Failed(Error),
}

/// Finds the most telling of the errors that caused each other.
pub fn why(error: &(dyn StdError + 'static)) -> Why {
    let mut found = None;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(denial) = error.downcast_ref::<Denial>() {
            return Why::Denied(denial.clone());
        }
        found = telling(error).or(found);
        next = error.source();
    }
    Why::Failed(found.unwrap_or(Error::HttpProtocolError))
}

fn telling(error: &(dyn StdError + 'static)) -> Option<Error> {
    if let Some(NoAddress(what)) = error.downcast_ref::<NoAddress>() {
        return Some(Error::DnsError {
            rcode: Some(what.clone()),
            info_code: None,
        });
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        // What an I/O error wraps is not among its sources.
        let inner = error.get_ref().and_then(|inner| telling(inner));
        return inner.or_else(|| of_io(error));
    }
    error.downcast_ref::<hyper::Error>().and_then(of_hyper)
}

fn of_tls(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            Error::TlsCertificateError
        }
        rustls::Error::AlertReceived(alert) => Error::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: Some(format!("{alert:?}")),
        },
        _ => Error::TlsProtocolError,
    }
}

fn of_io(error: &io::Error) -> Option<Error> {
    use io::ErrorKind::*;
    Some(match error.kind() {
        ConnectionRefused => Error::ConnectionRefused,
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof | NotConnected => {
            Error::ConnectionTerminated
        }
        TimedOut => Error::ConnectionTimeout,
        HostUnreachable | NetworkUnreachable => Error::DestinationIpUnroutable,
        _ => return None,
    })
}

fn of_hyper(error: &hyper::Error) -> Option<Error> {
    if error.is_parse_too_large() {
        Some(Error::HttpResponseHeaderSectionSize(None))
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Some(Error::ConnectionTerminated)
    } else if error.is_timeout() {
        Some(Error::HttpResponseTimeout)
    } else {
        None
    }
}

/// Says how a request is counted.
pub fn outcome<T>(answered: &Result<T, Error>) -> Outbound {
    match answered {
        Ok(_) => Outbound::Response,
        Err(Error::HttpRequestDenied | Error::DestinationIpProhibited) => Outbound::Denied,
        Err(
            Error::DnsTimeout
            | Error::ConnectionTimeout
            | Error::ConnectionReadTimeout
            | Error::ConnectionWriteTimeout
            | Error::ConnectionLimitReached
            | Error::HttpResponseTimeout,
        ) => Outbound::Timeout,
        Err(
            Error::DnsError { .. }
            | Error::DestinationNotFound
            | Error::DestinationUnavailable
            | Error::DestinationIpUnroutable
            | Error::ConnectionRefused
            | Error::TlsProtocolError
            | Error::TlsCertificateError
            | Error::TlsAlertReceived { .. },
        ) => Outbound::Unreachable,
        Err(_) => Outbound::Error,
    }
}
