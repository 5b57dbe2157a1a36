//! A head says how long its body is: this is read in one way for requests and responses of every protocol, as digits
//! and nothing else (RFC 9110 section 8.6).

use http::{HeaderMap, header};

/// `Malformed` says that the field is there more than once, or is no number.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads the length that a head declares, if it does.
pub fn declared(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut fields = headers.get_all(header::CONTENT_LENGTH).iter();
    match (fields.next(), fields.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => number(value.as_bytes()).map(Some).ok_or(Malformed),
        (Some(_), Some(_)) => Err(Malformed),
    }
}

/// Reads the value of the field.
pub fn number(value: &[u8]) -> Option<u64> {
    let digits = value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| digits)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_one_number_of_digits() {
        for (values, expected) in [
            (&[][..], Ok(None)),
            (&["0"], Ok(Some(0))),
            (&["18446744073709551615"], Ok(Some(u64::MAX))),
            (&["18446744073709551616"], Err(Malformed)),
            (&["+5"], Err(Malformed)),
            (&["-5"], Err(Malformed)),
            (&["5 "], Err(Malformed)),
            (&[""], Err(Malformed)),
            (&["5, 5"], Err(Malformed)),
            (&["5", "5"], Err(Malformed)),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_LENGTH, value.parse().unwrap());
            }
            assert_eq!(declared(&headers), expected, "{values:?}");
        }
    }
}
