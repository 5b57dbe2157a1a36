//! A `Validator` identifies one state of a file, and judges the conditions that requests make of it (RFC 9110 section
//! 13).

use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// A `Validator` is the state that a file is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// The tag is strong: no change leaves all of this as it was, not even one that sets back the time of the last.
    tag: String,
    modified: Option<SystemTime>,
}

/// A `PreconditionResult` is what the conditions of a request come to (section 13.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreconditionResult {
    Met,
    NotModified,
    Failed,
}

impl Validator {
    pub fn of(file: &Metadata) -> Validator {
        let times = [
            (file.mtime(), file.mtime_nsec()),
            (file.ctime(), file.ctime_nsec()),
        ];
        let [modified, changed] = times.map(|(seconds, rest)| format!("{seconds:x}.{rest:x}"));
        let (size, inode) = (file.size(), file.ino());
        Validator {
            tag: format!("\"{size:x}-{inode:x}-{modified}-{changed}\""),
            modified: file.modified().ok().filter(|time| is_telling(*time)),
        }
    }

    /// Adds the fields that tell a client of it.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let modified = self.modified.map(httpdate::fmt_http_date);
        let fields = [
            (header::ETAG, Some(&self.tag)),
            (header::LAST_MODIFIED, modified.as_ref()),
        ];
        for (name, text) in fields {
            if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
                headers.insert(name, value);
            }
        }
    }

    /// Judges the conditions of a request that reads.
    pub fn validate(&self, request: &HeaderMap) -> PreconditionResult {
        if request.contains_key(header::IF_MATCH) {
            if !self.is_listed(request, header::IF_MATCH, false) {
                return PreconditionResult::Failed;
            }
        } else if let Some(date) = date(request, header::IF_UNMODIFIED_SINCE)
            && self
                .modified
                .is_some_and(|modified| seconds(modified) > seconds(date))
        {
            return PreconditionResult::Failed;
        }
        let known = if request.contains_key(header::IF_NONE_MATCH) {
            self.is_listed(request, header::IF_NONE_MATCH, true)
        } else {
            date(request, header::IF_MODIFIED_SINCE)
                .zip(self.modified)
                .is_some_and(|(date, modified)| seconds(modified) <= seconds(date))
        };
        match known {
            true => PreconditionResult::NotModified,
            false => PreconditionResult::Met,
        }
    }

    /// Says whether a range may be taken of what the client has a part of (section 13.1.5): only a strong validator
    /// says so.
    pub fn allows_ranges(&self, request: &HeaderMap, now: SystemTime) -> bool {
        let mut conditions = request.get_all(header::IF_RANGE).iter();
        let (condition, None) = (conditions.next(), conditions.next()) else {
            return false;
        };
        let Some(condition) = condition else {
            return true;
        };
        if condition.as_bytes() == self.tag.as_bytes() {
            return true;
        }
        let Some(modified) = self.modified else {
            return false;
        };
        // It may have changed again within the second of its last change (section 8.8.2.2).
        let settled = now
            .duration_since(modified)
            .is_ok_and(|age| age > Duration::from_secs(1));
        let date = condition
            .to_str()
            .ok()
            .and_then(|text| httpdate::parse_http_date(text).ok());
        settled && date.is_some_and(|date| seconds(date) == seconds(modified))
    }

    /// Says whether a list of tags has this one, or means any. Compared weakly, a weak tag is as good.
    fn is_listed(&self, request: &HeaderMap, name: HeaderName, weakly: bool) -> bool {
        let values = request.get_all(name).iter();
        // A tag of ours holds no comma.
        let tags = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let mut tags = tags.map(|tag| match tag.trim().strip_prefix("W/") {
            Some(tag) if weakly => tag,
            _ => tag.trim(),
        });
        tags.any(|tag| tag == "*" || tag == self.tag)
    }
}

/// Says whether a time means something: images and stores set it to the beginning of time, or a second later.
fn is_telling(time: SystemTime) -> bool {
    seconds(time) >= 2
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Reads a date, where there is one and it is one; others are ignored (sections 13.1.3 and 13.1.4).
fn date(request: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(request.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Tue, 01 Jan 2030 00:00:00 GMT";

    fn validator() -> Validator {
        Validator {
            tag: "\"a\"".to_owned(),
            modified: httpdate::parse_http_date(DATE).ok(),
        }
    }

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        fields.collect()
    }

    fn verdict(fields: &[(&'static str, &'static str)]) -> PreconditionResult {
        validator().validate(&headers(fields))
    }

    #[test]
    fn conditions_are_judged_in_their_order() {
        const EARLIER: &str = "Mon, 31 Dec 2029 23:59:59 GMT";
        for (fields, expected) in [
            (vec![], PreconditionResult::Met),
            (vec![("if-match", "\"b\", \"a\"")], PreconditionResult::Met),
            (vec![("if-match", "*")], PreconditionResult::Met),
            (vec![("if-match", "W/\"a\"")], PreconditionResult::Failed),
            (
                vec![("if-match", "\"b\""), ("if-none-match", "\"a\"")],
                PreconditionResult::Failed,
            ),
            (
                vec![("if-unmodified-since", EARLIER)],
                PreconditionResult::Failed,
            ),
            (vec![("if-unmodified-since", DATE)], PreconditionResult::Met),
            (
                vec![("if-unmodified-since", "yesterday")],
                PreconditionResult::Met,
            ),
            (
                vec![("if-match", "\"a\""), ("if-unmodified-since", EARLIER)],
                PreconditionResult::Met,
            ),
            (
                vec![("if-none-match", "\"x\", W/\"a\"")],
                PreconditionResult::NotModified,
            ),
            (
                vec![("if-none-match", "*")],
                PreconditionResult::NotModified,
            ),
            (
                vec![("if-none-match", "\"b\""), ("if-modified-since", DATE)],
                PreconditionResult::Met,
            ),
            (
                vec![("if-modified-since", DATE)],
                PreconditionResult::NotModified,
            ),
            (
                vec![("if-modified-since", EARLIER)],
                PreconditionResult::Met,
            ),
        ] {
            assert_eq!(verdict(&fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn ranges_need_a_strong_validator() {
        let later = validator().modified.unwrap() + Duration::from_secs(60);
        for (value, now, allowed) in [
            ("\"a\"", later, true),
            ("W/\"a\"", later, false),
            ("\"b\"", later, false),
            (DATE, later, true),
            (DATE, validator().modified.unwrap(), false),
            ("Tue, 01 Jan 2030 00:00:01 GMT", later, false),
        ] {
            let headers = headers(&[("if-range", value)]);
            assert_eq!(validator().allows_ranges(&headers, now), allowed, "{value}");
        }
        assert!(validator().allows_ranges(&HeaderMap::new(), later));
    }
}
