//! This file finds where the head of an HTTP/1 request ends, and refuses one that is too large or whose lines do not end as
//! they must.

use super::framing::HeadLimits;
use super::head;
use super::refusal::{HeadRefusal, refused};
use http::StatusCode;

pub const TOO_LARGE: HeadRefusal = refused(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "its head is too large",
);

/// Passes over an empty line; half of one is kept.
pub fn empty_line(bytes: &[u8], kept: &mut Vec<u8>) -> Result<usize, HeadRefusal> {
    match bytes {
        [b'\r', b'\n', ..] => Ok(2),
        [b'\r'] => {
            kept.push(b'\r');
            Ok(1)
        }
        _ => Err(refused(
            StatusCode::BAD_REQUEST,
            "a line does not end in CR LF",
        )),
    }
}

/// Finds where the head ends, if it does; the bytes before `known` were looked at before.
pub fn end(head: &[u8], known: usize, limits: HeadLimits) -> Result<Option<usize>, HeadRefusal> {
    let mut line = memchr::memrchr(b'\n', &head[..known]).map_or(0, |feed| feed + 1);
    let first = line == 0;
    while let Some(feed) = memchr::memchr(b'\n', &head[line..]) {
        let feed = line + feed;
        if feed == 0 || head[feed - 1] != b'\r' {
            return Err(refused(
                StatusCode::BAD_REQUEST,
                "a line does not end in CR LF",
            ));
        }
        if feed >= limits.head {
            break;
        }
        if feed == line + 1 {
            return Ok(Some(feed + 1));
        }
        line = feed + 1;
    }
    if head.len() < limits.head {
        return Ok(None);
    }
    let begun = &head[..limits.head.min(head.len())];
    let in_method = memchr::memchr(b' ', begun).is_none();
    Err(if first && line == 0 && in_method {
        head::METHOD_TOO_LONG
    } else if first && line == 0 {
        refused(StatusCode::URI_TOO_LONG, "its request line is too long")
    } else {
        TOO_LARGE
    })
}
