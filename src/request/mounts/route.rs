//! A `Route` says which requests a mounted component answers: those of a path and what is under it, and perhaps those
//! of one host alone.

use crate::channel::canonical_host;
use crate::request::{RootPath, is_host};
use anyhow::{Context, Result, bail};
use http::uri::Authority;
use std::net::Ipv6Addr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The route is written so in the log.
    pub name: String,
    /// Requests must be for this host, in lower case and without a port, where there is one.
    pub host: Option<String>,
    /// Paths begin with this, which does not end with a slash; all do where it is empty.
    pub prefix: String,
}

impl Route {
    /// Parses a route: a path, or a host and a path.
    pub fn parse(text: &str) -> Result<Route> {
        let slash = text.find('/');
        let Some(slash) = slash.filter(|_| !text.contains("://")) else {
            bail!(
                "`{text}` is no route; write a path like /api, or a host and a path like admin.example.com/"
            );
        };
        let (host, path) = text.split_at(slash);
        let host = match host {
            "" => None,
            host => Some(parse_host(host).with_context(|| format!("`{text}` is no route"))?),
        };
        let prefix = RootPath::parse(path).with_context(|| format!("`{text}` is no route"))?;
        let prefix = prefix.map_or_else(String::new, |prefix| prefix.as_str().to_owned());
        // What others write in two ways could be asked for in one that this does not match.
        if prefix.contains(['%', ';']) || prefix.split('/').skip(1).any(is_special) {
            bail!(
                "`{text}` is no route: its path must not have `%`, `;`, `.`, `..` or an empty part; write it like /api"
            );
        }
        let path = if prefix.is_empty() { "/" } else { &prefix };
        Ok(Route {
            name: format!("{}{path}", host.as_deref().unwrap_or_default()),
            host,
            prefix,
        })
    }

    /// Says whether this is the route of a request for this host and path.
    pub fn matches(&self, host: &str, path: &str) -> bool {
        let rest = path.strip_prefix(&self.prefix);
        let is_whole = |rest: &str| rest.is_empty() || rest.starts_with('/');
        let is_path = self.prefix.is_empty() || rest.is_some_and(is_whole);
        is_path && self.host.as_ref().is_none_or(|own| own == host)
    }

    /// Says how much comes before others: a host first, and then the longest path.
    pub fn rank(&self) -> (bool, usize) {
        (self.host.is_some(), self.prefix.len())
    }
}

/// Says whether a part of a path is not itself for everybody who reads it.
fn is_special(part: &str) -> bool {
    matches!(part, "" | "." | "..")
}

fn parse_host(text: &str) -> Result<String> {
    let authority = is_host(text.as_bytes()).then(|| text.parse::<Authority>().ok());
    let Some(authority) = authority.flatten() else {
        bail!("`{text}` is no host; write it like admin.example.com");
    };
    if authority.host() != text {
        bail!("`{text}` has a port, and the route is for all of them; leave it out");
    }
    let host = canonical_host(text);
    if host.contains('%') || host.is_empty() || text.starts_with('[') && !host.contains(':') {
        bail!("`{text}` is no host; write it like admin.example.com");
    }
    if let Some(address) = host.strip_prefix('[')
        && address.trim_end_matches(']').parse::<Ipv6Addr>().is_err()
    {
        bail!("`{text}` is no IPv6 address; write it like [2001:db8::1]");
    }
    Ok(host.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_a_path_and_perhaps_a_host() {
        for (text, name, host, prefix) in [
            ("/api", "/api", None, "/api"),
            ("/api/", "/api", None, "/api"),
            ("/api/v1", "/api/v1", None, "/api/v1"),
            ("/", "/", None, ""),
            (
                "admin.example.com/",
                "admin.example.com/",
                Some("admin.example.com"),
                "",
            ),
            (
                "Admin.Example.com./x/",
                "admin.example.com/x",
                Some("admin.example.com"),
                "/x",
            ),
            (
                "[2001:DB8:0::1]/",
                "[2001:db8::1]/",
                Some("[2001:db8::1]"),
                "",
            ),
        ] {
            let route = Route::parse(text).unwrap();
            let expected = (name, host, prefix);
            let parsed = (&*route.name, route.host.as_deref(), &*route.prefix);
            assert_eq!(parsed, expected, "{text}");
            assert_eq!(Route::parse(&route.name).unwrap(), route);
        }
    }

    #[test]
    fn what_is_no_route_is_refused_with_the_reason() {
        for (text, reason) in [
            ("api", "write a path like /api"),
            ("", "write a path like /api"),
            ("http://example.com/", "write a path like /api"),
            ("example.com:8080/", "has a port"),
            ("[::1]:80/", "has a port"),
            ("[::g]/", "no IPv6 address"),
            ("a b/", "is no host"),
            ("me@example.com/", "is no host"),
            ("ex%61mple.com/", "is no host"),
            ("/a b", "is not the path of a URL"),
            ("/a?b", "is not the path of a URL"),
            ("//a", "is not the path of a URL"),
            ("/%61pi", "must not have"),
            ("/a/../b", "must not have"),
            ("/a//b", "must not have"),
            ("/.", "must not have"),
            ("/a;b", "must not have"),
        ] {
            let error = format!("{:#}", Route::parse(text).unwrap_err());
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
