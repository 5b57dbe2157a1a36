//! What a request or a body has failed by is written down, and made again as the same error with what it holds.

use serde::{Deserialize, Serialize};
use wasmtime_wasi_http::Error;

/// A `WrittenError` is how an error stands in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenError {
    /// The engine calls it this.
    name: String,
    /// It holds a text, or a number, or both.
    text: Option<String>,
    number: Option<u64>,
}

impl WrittenError {
    /// Writes an error down.
    pub fn of(error: &Error) -> WrittenError {
        let said = format!("{error:?}");
        let end = said.find(|letter: char| !letter.is_ascii_alphanumeric());
        let name = &said[..end.unwrap_or(said.len())];
        let number = |number: &Option<u32>| number.map(u64::from);
        let (text, number) = match error {
            Error::InternalError(text)
            | Error::HttpResponseTransferCoding(text)
            | Error::HttpResponseContentCoding(text) => (text.clone(), None),
            Error::HttpRequestBodySize(size) | Error::HttpResponseBodySize(size) => (None, *size),
            Error::HttpRequestHeaderSectionSize(size)
            | Error::HttpRequestTrailerSectionSize(size)
            | Error::HttpResponseHeaderSectionSize(size)
            | Error::HttpResponseTrailerSectionSize(size) => (None, number(size)),
            Error::HttpRequestHeaderSize {
                field_name: name,
                field_size: size,
            }
            | Error::HttpRequestTrailerSize {
                field_name: name,
                field_size: size,
            }
            | Error::HttpResponseHeaderSize {
                field_name: name,
                field_size: size,
            }
            | Error::HttpResponseTrailerSize {
                field_name: name,
                field_size: size,
            } => (name.clone(), number(size)),
            Error::DnsError { rcode, info_code } => (rcode.clone(), info_code.map(u64::from)),
            Error::TlsAlertReceived {
                alert_id,
                alert_message,
            } => (alert_message.clone(), alert_id.map(u64::from)),
            _ => (None, None),
        };
        let name = name.to_owned();
        WrittenError { name, text, number }
    }

    /// Counts what it takes.
    pub fn length(&self) -> usize {
        self.name.len() + self.text.as_ref().map_or(0, String::len)
    }

    /// Makes the error again, as far as it is one that a request or a body can end with.
    pub fn again(&self) -> Error {
        let text = || self.text.clone();
        let (field_name, alert_message, rcode) = (text(), text(), text());
        let field_size: Option<u32> = self.number.and_then(|it| it.try_into().ok());
        let known = [
            Error::DnsTimeout,
            Error::DnsError {
                rcode,
                info_code: self.number.and_then(|it| it.try_into().ok()),
            },
            Error::DestinationNotFound,
            Error::DestinationUnavailable,
            Error::DestinationIpProhibited,
            Error::DestinationIpUnroutable,
            Error::ConnectionRefused,
            Error::ConnectionTerminated,
            Error::ConnectionTimeout,
            Error::ConnectionReadTimeout,
            Error::ConnectionWriteTimeout,
            Error::ConnectionLimitReached,
            Error::TlsProtocolError,
            Error::TlsCertificateError,
            Error::TlsAlertReceived {
                alert_id: self.number.and_then(|it| it.try_into().ok()),
                alert_message,
            },
            Error::HttpRequestDenied,
            Error::HttpRequestLengthRequired,
            Error::HttpRequestBodySize(self.number),
            Error::HttpRequestMethodInvalid,
            Error::HttpRequestUriInvalid,
            Error::HttpRequestUriTooLong,
            Error::HttpRequestHeaderSectionSize(field_size),
            Error::HttpRequestHeaderSize {
                field_name: text(),
                field_size,
            },
            Error::HttpRequestTrailerSectionSize(field_size),
            Error::HttpRequestTrailerSize {
                field_name: text(),
                field_size,
            },
            Error::HttpResponseIncomplete,
            Error::HttpResponseHeaderSectionSize(field_size),
            Error::HttpResponseHeaderSize {
                field_name: text(),
                field_size,
            },
            Error::HttpResponseBodySize(self.number),
            Error::HttpResponseTrailerSectionSize(field_size),
            Error::HttpResponseTrailerSize {
                field_name,
                field_size,
            },
            Error::HttpResponseTransferCoding(text()),
            Error::HttpResponseContentCoding(text()),
            Error::HttpResponseTimeout,
            Error::HttpUpgradeFailed,
            Error::HttpProtocolError,
            Error::LoopDetected,
            Error::ConfigurationError,
            Error::InternalError(text()),
        ];
        let found = known
            .into_iter()
            .find(|error| WrittenError::of(error).name == self.name);
        found.unwrap_or_else(|| Error::InternalError(Some(self.name.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_made_again_with_what_they_hold() {
        let name = Some("x-a".to_owned());
        for error in [
            Error::ConnectionRefused,
            Error::DnsError {
                rcode: Some("SERVFAIL".to_owned()),
                info_code: Some(7),
            },
            Error::TlsAlertReceived {
                alert_id: Some(42),
                alert_message: None,
            },
            Error::HttpRequestBodySize(Some(u64::MAX)),
            Error::HttpResponseHeaderSectionSize(Some(8)),
            Error::HttpResponseTrailerSize {
                field_name: name.clone(),
                field_size: Some(9),
            },
            Error::HttpResponseContentCoding(name.clone()),
            Error::InternalError(name),
        ] {
            let written = WrittenError::of(&error);
            let json = serde_json::to_string(&written).unwrap();
            let read: WrittenError = serde_json::from_str(&json).unwrap();
            assert_eq!(format!("{:?}", read.again()), format!("{error:?}"));
        }
        let other = WrittenError {
            name: "Hyper".to_owned(),
            ..WrittenError::default()
        };
        let again = format!("{:?}", other.again());
        assert_eq!(again, "InternalError(Some(\"Hyper\"))");
    }
}
