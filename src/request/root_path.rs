//! A `RootPath` is the prefix under which a proxy has mounted the application. Guests see paths without it, whether the
//! proxy leaves it there or takes it off.

use anyhow::{Result, bail};
use http::HeaderValue;
use http::uri::PathAndQuery;

/// Begins with a slash, and does not end with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootPath {
    text: String,
    value: HeaderValue,
}

impl RootPath {
    /// Parses a prefix; none for the empty one, which `/` is too.
    pub fn parse(text: &str) -> Result<Option<RootPath>> {
        let trimmed = text.trim_end_matches('/');
        if trimmed.is_empty() {
            return Ok(None);
        }
        let legal = |byte: u8| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&byte);
        if !trimmed.starts_with('/') || trimmed.starts_with("//") || !trimmed.bytes().all(legal) {
            bail!("`{text}` is not the path of a URL; write it like /api");
        }
        Ok(Some(RootPath {
            text: trimmed.to_owned(),
            value: HeaderValue::from_str(trimmed)?,
        }))
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the value of the header that tells guests of the prefix.
    pub fn value(&self) -> &HeaderValue {
        &self.value
    }

    /// Gives the target without the prefix; none where it does not have it.
    pub fn strip(&self, target: &PathAndQuery) -> Option<PathAndQuery> {
        let rest = target.as_str().strip_prefix(&self.text)?;
        match rest.as_bytes().first() {
            Some(b'/') => PathAndQuery::try_from(rest).ok(),
            Some(b'?') => PathAndQuery::try_from(format!("/{rest}")).ok(),
            None => Some(PathAndQuery::from_static("/")),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_stripped_segment_by_segment() {
        let root = RootPath::parse("/api/v1/").unwrap().unwrap();
        let strip = |target| {
            let stripped = root.strip(&PathAndQuery::from_static(target));
            stripped.map(|path| path.to_string())
        };
        assert_eq!(strip("/api/v1").as_deref(), Some("/"));
        assert_eq!(strip("/api/v1/").as_deref(), Some("/"));
        assert_eq!(strip("/api/v1?a=b").as_deref(), Some("/?a=b"));
        assert_eq!(strip("/api/v1/x/y?a").as_deref(), Some("/x/y?a"));
        for other in ["/", "/api", "/api/v12", "/x/api/v1", "*"] {
            assert_eq!(strip(other), None, "{other}");
        }
        assert_eq!(root.value(), "/api/v1");
    }

    #[test]
    fn only_paths_are_prefixes() {
        assert_eq!(RootPath::parse("").unwrap(), None);
        assert_eq!(RootPath::parse("/").unwrap(), None);
        for text in [
            "api", "/a b", "/a?b", "/a#b", "//a", "http://a", "/\u{e4}", "/a\n",
        ] {
            assert!(RootPath::parse(text).is_err(), "{text}");
        }
    }
}
