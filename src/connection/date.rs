//! This file gives the time for the heads of responses (RFC 9110 section 6.6.1), which `httpdate` writes once a second.
//! hyper gives HTTP/1 the time only where there is none, as after the machine's clock was set back it says the old time
//! until that comes again.

use super::settings::Settings;
use crate::sys::clock;
use http::{HeaderMap, HeaderValue, header};
use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

thread_local! {
    static WRITTEN: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
}

/// Tells the time in a head, where the operator has it told and nobody else has told it.
pub fn tell(settings: &Settings, headers: &mut HeaderMap) {
    if settings.date_header {
        let date = headers.entry(header::DATE);
        date.or_insert_with(|| at(clock::recent_unix_s()));
    }
}

fn at(second: u64) -> HeaderValue {
    WRITTEN.with_borrow_mut(|written| match written {
        Some((of, value)) if *of == second => value.clone(),
        _ => {
            let now = UNIX_EPOCH + Duration::from_secs(second);
            let value = HeaderValue::try_from(httpdate::fmt_http_date(now));
            let value = value.unwrap_or(HeaderValue::from_static(""));
            *written = Some((second, value.clone()));
            value
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_is_believed() {
        let later = 1_000_000_000;
        assert_eq!(at(later), "Sun, 09 Sep 2001 01:46:40 GMT");
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(at(later), "Sun, 09 Sep 2001 01:46:40 GMT");
    }
}
