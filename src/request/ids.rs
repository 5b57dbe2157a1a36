//! `Ids` makes names for requests, by which a client, a guest and the log mean the same one: nobody can guess the
//! next, and no two workers make the same.

use super::Octets;
use bytes::Bytes;
use http::HeaderValue;
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng};
use std::cell::RefCell;

/// Makes ids for one process. To be seeded after the fork: a copy would make the same.
pub struct Ids(RefCell<StdRng>);

impl Ids {
    pub fn seeded() -> Ids {
        // The kernel has random bytes for whoever asks, from early in its start (getrandom(2)).
        let seeded = StdRng::try_from_rng(&mut SysRng).expect("the kernel has random bytes");
        Ids(RefCell::new(seeded))
    }

    /// Makes a name of 128 random bits in hexadecimal digits.
    pub fn make(&self) -> HeaderValue {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut bits = [0; 16];
        self.0.borrow_mut().fill_bytes(&mut bits);
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(bits) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        // Several have it, without a copy of their own.
        let text = Bytes::from_owner(text);
        HeaderValue::from_maybe_shared(text).expect("digits are legal in a value")
    }
}

/// Longer names only fill logs; a UUID has 36 characters, a trace id with its parents about 60.
const LONGEST: usize = 128;

/// Says whether an id that somebody else made can be passed on, and written into logs, as it is.
pub fn is_valid(id: &HeaderValue) -> bool {
    static PLAIN: Octets = Octets::alphanumeric_and(b"-._~+/=:@");
    (1..=LONGEST).contains(&id.len()) && PLAIN.make_up(id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_ids_are_the_same() {
        let (one, other) = (Ids::seeded(), Ids::seeded());
        let made: HashSet<HeaderValue> =
            (0..500).flat_map(|_| [one.make(), other.make()]).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|id| id.len() == 32 && is_valid(id)));
    }

    #[test]
    fn an_id_that_could_forge_something_is_not_sound() {
        let valid = |text: &str| is_valid(&HeaderValue::from_bytes(text.as_bytes()).unwrap());
        assert!(valid("6f1ed002-ab5f-4a3c-8f5e-1a2b3c4d5e6f"));
        assert!(valid("Root=1-67891233-abcdef012345678912345678"));
        assert!(valid(&"a".repeat(128)));
        for text in ["", "a b", "a\"b", "a\tb", "a]b", "\u{e4}", &"a".repeat(129)] {
            assert!(!valid(text), "{text}");
        }
    }
}
