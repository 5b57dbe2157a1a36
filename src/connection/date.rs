//! This file gives the time for the heads of HTTP/2 responses (RFC 9110 section 6.6.1), which `httpdate` writes once a
//! second. In HTTP/1 hyper does it.

use http::HeaderValue;
use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

thread_local! {
    static WRITTEN: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
}

pub fn now() -> HeaderValue {
    let now = SystemTime::now();
    let second = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    WRITTEN.with_borrow_mut(|written| match written {
        Some((of, value)) if *of == second => value.clone(),
        _ => {
            let value = HeaderValue::try_from(httpdate::fmt_http_date(now));
            let value = value.unwrap_or(HeaderValue::from_static(""));
            *written = Some((second, value.clone()));
            value
        }
    })
}
