//! This file says, for fuzzing, what must hold for any text that an option or a file of variables has.

use super::address::{self, Endpoint, Host};
use super::{dotenv, units};
use crate::guest::{Rule, Rules};
use crate::sys::regular::LARGEST_TEXT;

/// What stands in braces may make values longer than their file by this much.
const GROWTH: usize = LARGEST_TEXT as usize;

pub fn env_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let outer = |name: &str| (name == "OUTER").then(|| "outside".to_owned());
    let Ok(variables) = dotenv::parse(text, outer) else {
        return;
    };
    let lengths = variables.iter().map(|(name, value)| {
        assert!(!name.is_empty() && !name.contains('='), "{name:?}");
        name.len() + value.len()
    });
    let length: usize = lengths.sum();
    assert!(length <= text.len() + GROWTH, "it grows to {length} bytes");
}

pub fn option_values(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for certificates in [false, true] {
        let Ok(bound) = address::bind(text, certificates) else {
            continue;
        };
        if let Endpoint::Inet { host, .. } = &bound.place
            && !matches!(host, Host::Name(name) if name.contains('%'))
        {
            let again = address::bind(&bound.to_string(), !certificates);
            assert_eq!(again.expect("it was read before"), bound);
        }
    }
    for rule in [Rule::parse(text), Rule::parse_for_sockets(text)] {
        let Ok(rule) = rule else {
            continue;
        };
        let rules = Rules::new(vec![rule]);
        for host in ["example.com", "a.example.com", "10.0.0.1", "::1", text] {
            rules.name(host);
        }
    }
    let _ = units::duration(text);
    let _ = units::positive(text);
    if let Ok(bits) = units::permissions(text) {
        assert!(bits <= 0o777);
    }
    if let Ok(size) = units::size(text) {
        assert_eq!(units::size(&size.to_string()).ok(), Some(size));
    }
}
