//! Arrays and ranges come as their parts, each in the format of its type (PostgreSQL's `array_send` and `range_send`),
//! and are given to the server as text.

use super::interface::wit::RangeBoundKind;
use super::room::Room;

/// Takes whole numbers off the front of what a server sent.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

fn integer(bytes: &mut &[u8]) -> Option<i32> {
    take(bytes).map(i32::from_be_bytes)
}

/// Takes a part, with its length before it; a negative one is null.
fn part<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let Ok(length) = usize::try_from(integer(bytes)?) else {
        return Some(None);
    };
    let (part, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(Some(part))
}

/// Reads an array of one dimension; none where it has more, is not whole, or has no room.
pub fn array<T>(
    mut bytes: &[u8],
    room: &Room,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    let bytes = &mut bytes;
    let dimensions = integer(bytes)?;
    let (_has_nulls, _kind) = (integer(bytes)?, integer(bytes)?);
    match dimensions {
        0 => return Some(Vec::new()),
        1 => {}
        _ => return None,
    }
    let (count, _first) = (integer(bytes)?, integer(bytes)?);
    let mut all = Vec::new();
    for _ in 0..count {
        // It may be null, which the server says in less.
        room.take(size_of::<Option<T>>())?;
        all.push(match part(bytes)? {
            Some(part) => Some(read(part)?),
            None => None,
        });
    }
    Some(all)
}

/// A `RangeBound` is where a range ends on this side, if it does.
pub type RangeBound<T> = Option<(T, RangeBoundKind)>;

const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;

/// Reads a range; none where it is empty, which the interface cannot say, or not whole.
pub fn range<T>(
    mut bytes: &[u8],
    read: impl Fn(&[u8]) -> Option<T>,
) -> Option<(RangeBound<T>, RangeBound<T>)> {
    let bytes = &mut bytes;
    let [flags] = take(bytes)?;
    if flags & EMPTY != 0 {
        return None;
    }
    let mut bound = |infinite, inclusive| {
        if flags & infinite != 0 {
            return Some(None);
        }
        let value = read(part(bytes)??)?;
        let kind = match flags & inclusive != 0 {
            true => RangeBoundKind::Inclusive,
            false => RangeBoundKind::Exclusive,
        };
        Some(Some((value, kind)))
    };
    let lower = bound(LOWER_INFINITE, LOWER_INCLUSIVE)?;
    let upper = bound(UPPER_INFINITE, UPPER_INCLUSIVE)?;
    Some((lower, upper))
}

/// Writes an array of what needs no quotes.
pub fn written_array<T: ToString>(all: &[Option<T>]) -> String {
    let parts = all
        .iter()
        .map(|part| part.as_ref().map_or("NULL".to_owned(), T::to_string));
    format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
}

/// Writes an array of texts, each in quotes.
pub fn written_texts(all: &[Option<String>]) -> String {
    let quoted = |text: &String| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{text}\"")
    };
    let all: Vec<Option<String>> = all.iter().map(|text| text.as_ref().map(quoted)).collect();
    written_array(&all)
}

/// Writes a range.
pub fn written_range<T: ToString>((lower, upper): &(RangeBound<T>, RangeBound<T>)) -> String {
    let text = |bound: &RangeBound<T>| {
        bound
            .as_ref()
            .map_or(String::new(), |(it, _)| it.to_string())
    };
    let inclusive = |bound: &RangeBound<T>| matches!(bound, Some((_, RangeBoundKind::Inclusive)));
    format!(
        "{}{},{}{}",
        if inclusive(lower) { '[' } else { '(' },
        text(lower),
        text(upper),
        if inclusive(upper) { ']' } else { ')' }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: &[u8]) -> Option<i32> {
        bytes.try_into().ok().map(i32::from_be_bytes)
    }

    fn sent(integers: &[i32]) -> Vec<u8> {
        integers.iter().flat_map(|it| it.to_be_bytes()).collect()
    }

    #[test]
    fn arrays_are_read_and_written() {
        let bytes = sent(&[1, 1, 23, 3, 1, 4, 7, -1, 4, -8]);
        let all = array(&bytes, &Room::new(1000), number).unwrap();
        assert_eq!(all, [Some(7), None, Some(-8)]);
        assert_eq!(written_array(&all), "{7,NULL,-8}");
        assert_eq!(
            array(&sent(&[0, 0, 23]), &Room::new(1000), number),
            Some(Vec::new())
        );
        assert_eq!(
            array(
                &sent(&[2, 0, 23, 1, 1, 1, 1, 4, 7]),
                &Room::new(1000),
                number
            ),
            None
        );
        assert_eq!(
            array(&bytes[..bytes.len() - 1], &Room::new(1000), number),
            None
        );
        // Nothing is set aside for what only a number announces.
        assert_eq!(
            array(&sent(&[1, 0, 23, i32::MAX, 1]), &Room::new(1000), number),
            None
        );
        let texts = [Some("a\"b\\c".to_owned()), None, Some("NULL".to_owned())];
        assert_eq!(written_texts(&texts), r#"{"a\"b\\c",NULL,"NULL"}"#);
    }

    #[test]
    fn ranges_are_read_and_written() {
        let mut bytes = vec![LOWER_INCLUSIVE];
        bytes.extend(sent(&[4, 1, 4, 10]));
        let found = range(&bytes, number).unwrap();
        assert_eq!(written_range(&found), "[1,10)");
        let mut bytes = vec![UPPER_INFINITE];
        bytes.extend(sent(&[4, 1]));
        assert_eq!(written_range(&range(&bytes, number).unwrap()), "(1,)");
        assert!(range(&[EMPTY], number).is_none());
    }
}
