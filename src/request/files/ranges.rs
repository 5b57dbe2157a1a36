//! This file finds which parts of a file a request asks for (RFC 9110 section 14). What overlaps is sent once, and who
//! asks for too many parts gets the whole.

use http::{HeaderMap, header};

/// One response has no more parts. Players and readers of archives ask for a few.
const MOST: usize = 16;

/// A `Part` is this many bytes from `start` on, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub start: u64,
    pub length: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectedRanges {
    Whole,
    /// The parts are in the order of the file, at least one, none of which touches another.
    Parts(Vec<Part>),
    /// None of what is asked for is there.
    Nothing,
}

/// Gives what is asked for of a file of `size` bytes. A field that is none is ignored (section 14.2).
pub fn wanted(request: &HeaderMap, size: u64) -> SelectedRanges {
    let mut values = request.get_all(header::RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return SelectedRanges::Whole;
    };
    let text = value.to_str().ok().and_then(|text| text.split_once('='));
    let Some((_, list)) = text.filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes")) else {
        return SelectedRanges::Whole;
    };
    let items = list
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    let Some(ranges) = items
        .map(|item| range(item, size))
        .collect::<Option<Vec<_>>>()
    else {
        return SelectedRanges::Whole;
    };
    if ranges.is_empty() {
        return SelectedRanges::Whole;
    }
    let mut parts: Vec<(u64, u64)> = ranges.into_iter().flatten().collect();
    parts.sort_unstable();
    let parts = merged(&parts);
    match parts.len() {
        0 => SelectedRanges::Nothing,
        1..=MOST => SelectedRanges::Parts(parts),
        _ => SelectedRanges::Whole,
    }
}

/// Reads the first byte of a range and the one after its last: `Some(None)` where the file does not have them, and none
/// where it is not a range.
fn range(text: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = text.split_once('-')?;
    let range = match (first, last) {
        ("", "") => return None,
        ("", length) => (size.saturating_sub(number(length)?), size),
        (first, "") => (number(first)?, size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            (first, last.saturating_add(1).min(size))
        }
    };
    Some(Some(range).filter(|(start, end)| start < end))
}

/// Reads digits; numbers that are beyond all files are as good as the largest.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn merged(sorted: &[(u64, u64)]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (start, end) in sorted {
        match parts.last_mut() {
            Some(last) if last.start + last.length >= *start => {
                last.length = last.length.max(end - last.start);
            }
            _ => parts.push(Part {
                start: *start,
                length: end - start,
            }),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> SelectedRanges {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, text.parse().unwrap());
        wanted(&headers, 10)
    }

    fn parts(parts: &[(u64, u64)]) -> SelectedRanges {
        let parts = parts.iter().map(|(start, length)| Part {
            start: *start,
            length: *length,
        });
        SelectedRanges::Parts(parts.collect())
    }

    #[test]
    fn ranges_are_read() {
        for (text, expected) in [
            ("bytes=2-4", parts(&[(2, 3)])),
            ("Bytes = 2-", parts(&[(2, 8)])),
            ("bytes=-3", parts(&[(7, 3)])),
            ("bytes=-99", parts(&[(0, 10)])),
            ("bytes=8-99999999999999999999", parts(&[(8, 2)])),
            ("bytes=-18446744073709551615", parts(&[(0, 10)])),
            ("bytes=0-1, 5-6,,", parts(&[(0, 2), (5, 2)])),
            ("bytes=20-30, 1-1", parts(&[(1, 1)])),
        ] {
            assert_eq!(asked(text), expected, "{text}");
        }
    }

    #[test]
    fn what_touches_is_one_part_and_too_many_are_the_whole() {
        let many = format!("bytes={}", ["0-"; 5000].join(","));
        assert_eq!(asked(&many), parts(&[(0, 10)]));
        assert_eq!(asked("bytes=4-5,0-1,1-3"), parts(&[(0, 6)]));
        let mut headers = HeaderMap::new();
        let every_second: Vec<String> = (0..40).map(|at| format!("{0}-{0}", at * 2)).collect();
        let text = format!("bytes={}", every_second.join(","));
        headers.insert(header::RANGE, text.parse().unwrap());
        assert_eq!(wanted(&headers, 100), SelectedRanges::Whole);
    }

    #[test]
    fn what_is_no_range_is_ignored_and_what_is_not_there_is_said() {
        for text in [
            "2-4",
            "lines=2-4",
            "bytes=4-2",
            "bytes=-",
            "bytes=a-",
            "bytes=",
            "bytes=1-2,x",
        ] {
            assert_eq!(asked(text), SelectedRanges::Whole, "{text}");
        }
        for text in ["bytes=10-", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(asked(text), SelectedRanges::Nothing, "{text}");
        }
    }
}
