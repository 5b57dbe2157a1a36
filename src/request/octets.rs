//! `Octets` are sets of octets, of which grammars speak.

pub struct Octets([bool; 256]);

impl Octets {
    /// Makes a set of the letters and digits of ASCII, and these others.
    pub const fn alphanumeric_and(others: &[u8]) -> Octets {
        let mut set = [false; 256];
        let mut octet = 0;
        while octet < 128 {
            set[octet] = (octet as u8).is_ascii_alphanumeric();
            octet += 1;
        }
        let mut index = 0;
        while index < others.len() {
            set[others[index] as usize] = true;
            index += 1;
        }
        Octets(set)
    }

    /// Says whether this consists of nothing else.
    pub fn make_up(&self, text: &[u8]) -> bool {
        text.iter().all(|octet| self.0[usize::from(*octet)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_what_it_was_made_of() {
        const SET: Octets = Octets::alphanumeric_and(b"-\xff");
        assert!(SET.make_up(b"a-Z09\xff") && SET.make_up(b""));
        for other in ["_", "a b", "\u{e9}", "\0"] {
            assert!(!SET.make_up(other.as_bytes()), "{other:?}");
        }
    }
}
