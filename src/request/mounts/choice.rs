//! This file chooses who answers a request, by its host and its path.
//!
//! Paths are compared as they are written, and what a component gets is not rewritten. But a path can be written in
//! several ways (`/%61pi`, `/x/../api`, `//api`), and whoever stands before us or behind may read them as one: a rule of
//! theirs would cover what goes elsewhere here. So a path that would go to another component once it is read like that
//! is refused. Browsers and libraries of clients write none: they resolve such paths before they ask.

use super::route::Route;
use crate::channel::canonical_host;

/// A `Choice` says who answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice {
    /// The component of the route with this index answers.
    Mount(usize),
    /// No route is the request's.
    None,
    /// It depends on who reads the request whose it is.
    Unclear,
}

/// Chooses among the routes for a host and a path.
pub fn choose(routes: &[Route], host: &str, path: &str) -> Choice {
    let host = canonical_host(host);
    let chosen = best(routes, &host, path);
    if is_plain(path) {
        return chosen.map_or(Choice::None, Choice::Mount);
    }
    for reading in READINGS {
        if best(routes, &host, &reading.read(path)) != chosen {
            return Choice::Unclear;
        }
    }
    chosen.map_or(Choice::None, Choice::Mount)
}

/// Finds the best of the routes that match.
fn best(routes: &[Route], host: &str, path: &str) -> Option<usize> {
    let matching = routes.iter().enumerate();
    let matching = matching.filter(|(_, route)| route.matches(host, path));
    let best = matching.max_by_key(|(_, route)| route.rank());
    best.map(|(index, _)| index)
}

/// Says whether everybody reads this path as it is written.
fn is_plain(path: &str) -> bool {
    !path.contains(['%', '\\', ';']) && !path.contains("//") && !path.contains("/.")
}

/// A `Reading` is one way to read a path.
#[derive(Clone, Copy)]
struct Reading {
    /// What is percent-encoded is a slash too.
    decodes_slashes: bool,
    /// Several slashes are one.
    merges_slashes: bool,
}

const READINGS: [Reading; 4] = [
    Reading::new(false, false),
    Reading::new(false, true),
    Reading::new(true, false),
    Reading::new(true, true),
];

impl Reading {
    const fn new(decodes_slashes: bool, merges_slashes: bool) -> Reading {
        Reading {
            decodes_slashes,
            merges_slashes,
        }
    }

    /// Reads a path: decodes it once, leaves out what follows a `;`, and follows `.` and `..` (RFC 3986 section 5.2.4).
    fn read(self, path: &str) -> String {
        let decoded = self.decode(path);
        let mut parts: Vec<&str> = Vec::new();
        let mut is_folder = false;
        for part in decoded.split('/').skip(1) {
            let part = part.split(';').next().unwrap_or_default();
            is_folder = matches!(part, "" | "." | "..");
            match part {
                "." => {}
                ".." => {
                    parts.pop();
                }
                "" if self.merges_slashes => {}
                part => parts.push(part),
            }
        }
        // The last empty part is the slash at the end.
        if !self.merges_slashes && parts.last() == Some(&"") {
            parts.pop();
        }
        let mut read = String::with_capacity(decoded.len());
        for part in parts {
            read.push('/');
            read.push_str(part);
        }
        if is_folder || read.is_empty() {
            read.push('/');
        }
        read
    }

    fn decode(self, path: &str) -> String {
        let mut decoded = Vec::with_capacity(path.len());
        let mut rest = path.as_bytes();
        while let [first, behind @ ..] = rest {
            let byte = behind.split_at_checked(2).filter(|_| *first == b'%');
            let byte = byte.and_then(|(digits, behind)| Some((hex(digits)?, behind)));
            let is_slash = |byte: u8| matches!(byte, b'/' | b'\\');
            match byte.filter(|(byte, _)| self.decodes_slashes || !is_slash(*byte)) {
                Some((byte, behind)) => {
                    decoded.push(byte);
                    rest = behind;
                }
                None => {
                    decoded.push(*first);
                    rest = behind;
                }
            }
        }
        if self.decodes_slashes {
            for byte in &mut decoded {
                if *byte == b'\\' {
                    *byte = b'/';
                }
            }
        }
        String::from_utf8_lossy(&decoded).into_owned()
    }
}

fn hex(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok()?;
    let are_digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u8::from_str_radix(text, 16).ok().filter(|_| are_digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Uri;

    fn routes() -> Vec<Route> {
        let texts = [
            "/api",
            "/api/v2",
            "admin.example.com/",
            "admin.example.com/static",
            "[2001:db8::1]/x",
        ];
        texts.map(|text| Route::parse(text).unwrap()).to_vec()
    }

    fn choose_for(routes: &[Route], target: &Uri) -> Choice {
        choose(routes, target.host().unwrap(), target.path())
    }

    fn chosen(routes: &[Route], target: &str) -> String {
        match choose_for(routes, &target.parse().unwrap()) {
            Choice::Mount(index) => routes[index].name.clone(),
            Choice::None => "none".to_owned(),
            Choice::Unclear => "unclear".to_owned(),
        }
    }

    #[test]
    fn the_host_comes_first_and_then_the_longest_path_by_whole_parts() {
        let routes = routes();
        for (target, expected) in [
            ("http://a/api", "/api"),
            ("http://a/api/", "/api"),
            ("http://a/api?x=/api/v2", "/api"),
            ("http://a/api/x", "/api"),
            ("http://a/api/v2", "/api/v2"),
            ("http://a/api/v2/x", "/api/v2"),
            ("http://a/api/v23", "/api"),
            ("http://a/apix", "none"),
            ("http://a/API", "none"),
            ("http://a/x/api", "none"),
            ("http://a/", "none"),
            ("http://a", "none"),
            ("http://admin.example.com/", "admin.example.com/"),
            ("http://ADMIN.example.com:8443/", "admin.example.com/"),
            ("https://admin.example.com.:443/q", "admin.example.com/"),
            ("http://admin.example.com/api", "admin.example.com/"),
            (
                "http://admin.example.com/static/x",
                "admin.example.com/static",
            ),
            ("http://x.admin.example.com/", "none"),
            ("http://admin.example.com.evil/", "none"),
            ("http://[2001:db8:0::1]:80/x/y", "[2001:db8::1]/x"),
            ("http://[2001:db8::2]/x", "none"),
        ] {
            assert_eq!(chosen(&routes, target), expected, "{target}");
        }
        let whole = [Route::parse("/").unwrap()];
        for target in ["http://a/", "http://a", "http://a/x", "http://a//x/../y"] {
            assert_eq!(chosen(&whole, target), "/", "{target}");
        }
        let mut asterisk = http::uri::Parts::default();
        asterisk.scheme = Some(http::uri::Scheme::HTTP);
        asterisk.authority = Some("a".parse().unwrap());
        asterisk.path_and_query = Some("*".parse().unwrap());
        let asterisk = Uri::from_parts(asterisk).unwrap();
        assert_eq!(choose_for(&whole, &asterisk), Choice::Mount(0));
        assert_eq!(choose_for(&routes, &asterisk), Choice::None);
    }

    #[test]
    fn a_path_that_goes_elsewhere_for_another_reader_is_refused() {
        let routes = routes();
        for target in [
            "http://a/%61pi/x",
            "http://a/%61%70%69",
            "http://a/api%2Fx",
            "http://a/api%2fv2",
            "http://a/api%5Cx",
            "http://a/x/../api",
            "http://a/x/%2e%2E/api",
            "http://a/x/..%2fapi",
            "http://a/x%2F..%2F..%2Fapi/y",
            "http://a/x%2Fy/../api",
            "http://a/x//../api",
            "http://a//api",
            "http://a/./api",
            "http://a/api/../x",
            "http://a/api/..",
            "http://a/api/%2e%2e/x",
            "http://a/api/../api/v2",
            "http://a/api/v2/../x",
            "http://a/api//v2",
            "http://a/api;x=1",
            "http://a/api;/v2",
            "http://admin.example.com/x/../static",
        ] {
            assert_eq!(chosen(&routes, target), "unclear", "{target}");
        }
    }

    #[test]
    fn other_paths_are_nobodys_concern() {
        let routes = routes();
        for (target, expected) in [
            ("http://a/api/a%20b", "/api"),
            ("http://a/api/%C3%A4/..", "/api"),
            ("http://a/api//x", "/api"),
            ("http://a/api/x/../y", "/api"),
            ("http://a/api/v2/a%2Fb", "/api/v2"),
            ("http://a/api/%", "/api"),
            ("http://a/api/%zz%2", "/api"),
            ("http://a/api/.well-known/x", "/api"),
            ("http://a/x/../y", "none"),
            ("http://a/../../x", "none"),
            ("http://a/%FF/%00", "none"),
            ("http://a/x;api", "none"),
            ("http://a/x?y=../api", "none"),
        ] {
            assert_eq!(chosen(&routes, target), expected, "{target}");
        }
    }
}
