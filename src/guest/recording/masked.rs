//! Some fields of a request are secrets: their values are not kept, unless the operator wants it.

/// A field whose name has one of these in it is secret.
const SECRET: [&str; 11] = [
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "passwd",
    "api-key",
    "apikey",
    "credential",
    "session",
    "signature",
];

/// Says whether a field of this name, in lower case, is secret.
pub fn is_secret(name: &str) -> bool {
    SECRET.iter().any(|part| name.contains(part))
}

/// Makes a value of the same length that says nothing else.
pub fn mask(value: &str) -> String {
    "*".repeat(value.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_secret_and_other_fields_are_not() {
        for name in [
            "authorization",
            "proxy-authorization",
            "x-api-key",
            "cookie",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["accept", "host", "content-length", "user-agent"] {
            assert!(!is_secret(name), "{name}");
        }
        assert_eq!(mask("Bearer é"), "********");
    }
}
