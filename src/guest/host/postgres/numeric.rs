//! Numbers of any precision come as digits of base 10,000 (PostgreSQL's src/backend/utils/adt/numeric.c,
//! `numeric_send`), and are given to guests in decimal notation.

use super::room::Room;

/// The sign of a number is this; the others stand in its place where there is no number.
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITE: u16 = 0xd000;
const NEGATIVE_INFINITE: u16 = 0xf000;

/// A digit of base 10,000 has this many of base ten.
const DIGITS: usize = 4;

/// Reads a number; none where it is not whole, or has no room.
pub fn decimal(bytes: &[u8], room: &Room) -> Option<String> {
    let mut shorts = bytes
        .chunks(2)
        .map(|pair| <[u8; 2]>::try_from(pair).ok().map(u16::from_be_bytes));
    let mut next = || shorts.next().flatten();
    let (count, weight) = (next()?, i32::from(next()?.cast_signed()));
    let (sign, scale) = (next()?, usize::from(next()?));
    match sign {
        NAN => return Some("NaN".to_owned()),
        INFINITE => return Some("Infinity".to_owned()),
        NEGATIVE_INFINITE => return Some("-Infinity".to_owned()),
        _ => {}
    }
    let digits: Vec<u16> = (0..count).map(|_| next()).collect::<Option<_>>()?;
    let digit = |place: i32| {
        let index = usize::try_from(weight - place).ok();
        index
            .and_then(|index| digits.get(index))
            .copied()
            .unwrap_or(0)
    };
    let before = usize::try_from(weight).map_or(1, |weight| DIGITS * (weight + 1));
    let length = "-.".len() + before + scale + DIGITS;
    room.take(length)?;
    let mut text = String::with_capacity(length);
    if sign == NEGATIVE {
        text.push('-');
    }
    match weight {
        0.. => {
            text.push_str(&digit(weight).to_string());
            (0..weight)
                .rev()
                .for_each(|place| push(&mut text, digit(place)));
        }
        _ => text.push('0'),
    }
    if scale > 0 {
        text.push('.');
        let end = text.len() + scale;
        let mut place = -1;
        while text.len() < end {
            push(&mut text, digit(place));
            place -= 1;
        }
        text.truncate(end);
    }
    Some(text)
}

/// Writes a digit of base 10,000 in four of base ten.
fn push(text: &mut String, digit: u16) {
    for power in [1000, 100, 10, 1] {
        text.push(char::from(b'0' + (digit / power % 10) as u8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(shorts: &[u16]) -> Option<String> {
        let bytes: Vec<u8> = shorts
            .iter()
            .flat_map(|short| short.to_be_bytes())
            .collect();
        decimal(&bytes, &Room::new(1000))
    }

    #[test]
    fn a_number_that_is_a_long_text_needs_room_for_it() {
        // 1e131071, and as many digits after the point.
        for shorts in [[1, 32767, 0, 0, 1000], [1, 0, 0, 16383, 1]] {
            assert_eq!(read(&shorts), None);
            let bytes: Vec<u8> = shorts
                .iter()
                .flat_map(|short: &u16| short.to_be_bytes())
                .collect();
            let room = Room::new(200_000);
            let text = decimal(&bytes, &room).unwrap();
            assert!(text.len() > 16_000 && text.len() <= 200_000 - room.left());
            assert!(!room.is_exceeded());
        }
    }

    #[test]
    fn digits_of_ten_thousand_are_written_in_tens() {
        for (shorts, expected) in [
            (&[0, 0, 0, 0][..], "0"),
            (&[0, 0, 0, 2], "0.00"),
            (&[2, 0, 0, 2, 12, 3400], "12.34"),
            (&[2, 1, NEGATIVE, 0, 1, 5], "-10005"),
            (&[1, 2, 0, 0, 3], "300000000"),
            (&[1, 0xffff, 0, 6, 500], "0.050000"),
            (&[1, 0xfffe, 0, 8, 1], "0.00000001"),
            (&[0, 0, NAN, 0], "NaN"),
            (&[0, 0, NEGATIVE_INFINITE, 0], "-Infinity"),
        ] {
            assert_eq!(read(shorts).as_deref(), Some(expected));
        }
        assert_eq!(read(&[2, 0, 0, 0, 1]), None);
    }
}
