//! This room says which responses are compressed, and how (RFC 9110 section 8.4). What a guest has compressed itself,
//! or does not want to be changed, is left as it is.

mod coding;
mod encoder;

pub use coding::Coding;
pub use encoder::Encoder;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};

/// `Settings` says what is worth compressing.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bodies that are known to be shorter stay as they are.
    pub least: u64,
}

impl Settings {
    /// Says how to compress a response to a client that accepts `coding`, if at all. Its head is made to say that this
    /// depends on the client. `length` is that of its body, where it is known.
    pub fn choose(
        self,
        coding: Option<Coding>,
        status: StatusCode,
        headers: &mut HeaderMap,
        length: Option<u64>,
    ) -> Option<Coding> {
        let bodiless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        if status == StatusCode::NOT_MODIFIED && !headers.contains_key(header::CONTENT_TYPE) {
            // What it stands for may have been compressible.
            vary(headers);
        }
        let partial =
            status == StatusCode::PARTIAL_CONTENT || headers.contains_key(header::CONTENT_RANGE);
        let short = length.is_some_and(|length| length < self.least);
        if (short && !partial) || !is_compressible(headers) {
            return None;
        }
        // Caches must know that others may get other bytes, this client included (section 12.5.5).
        vary(headers);
        coding.filter(|_| !bodiless && !partial)
    }
}

/// Makes a head that of the compressed body.
pub fn announce(coding: Coding, headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, coding.name());
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::ACCEPT_RANGES);
    remove_digests(headers);
    weaken(headers);
}

/// Says whether the guest has left it to us, and it is of a type that gets shorter.
fn is_compressible(headers: &HeaderMap) -> bool {
    let untouchable = headers.get_all(header::CACHE_CONTROL).iter().any(|value| {
        let value = value.to_str().unwrap_or_default().to_ascii_lowercase();
        value
            .split(',')
            .any(|directive| directive.trim() == "no-transform")
    });
    if untouchable || headers.contains_key(header::CONTENT_ENCODING) {
        return false;
    }
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    is_text(&kind.to_ascii_lowercase())
}

fn is_text(kind: &str) -> bool {
    const TYPES: [&str; 14] = [
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/rtf",
        "application/vnd.ms-fontobject",
        "application/wasm",
        "application/x-javascript",
        "application/x-ndjson",
        "application/xml",
        "application/yaml",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/svg+xml",
    ];
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || TYPES.contains(&kind)
}

fn vary(headers: &mut HeaderMap) {
    let named = headers.get_all(header::VARY).iter().any(|value| {
        let value = value.to_str().unwrap_or_default();
        let mut names = value.split(',').map(str::trim);
        names.any(|name| name == "*" || name.eq_ignore_ascii_case("accept-encoding"))
    });
    if !named {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// Removes digests of what is not sent as it was (RFC 9530 sections 2 and 3, RFC 3230, RFC 1864).
pub fn remove_digests(headers: &mut HeaderMap) {
    const NAMES: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];
    for name in NAMES {
        headers.remove(name);
    }
}

/// Weakens the validator: compressed, a body is equivalent to what that names, but not the same (section 8.8.1).
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(header::ETAG) else {
        return;
    };
    if !tag.as_bytes().starts_with(b"W/") {
        let weak = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat());
        match weak {
            Ok(weak) => headers.insert(header::ETAG, weak),
            Err(_) => headers.remove(header::ETAG),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { least: 100 };

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields.iter().map(|(name, value)| {
            let name = header::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        fields.collect()
    }

    fn applied(fields: &[(&'static str, &'static str)], length: Option<u64>) -> (bool, HeaderMap) {
        let mut headers = headers(fields);
        let (wanted, ok) = (Some(Coding::Gzip), StatusCode::OK);
        let coding = SETTINGS.choose(wanted, ok, &mut headers, length);
        if let Some(coding) = coding {
            announce(coding, &mut headers);
        }
        (coding.is_some(), headers)
    }

    #[test]
    fn text_is_compressed_and_says_so() {
        let fields = [
            ("content-type", "text/html; charset=utf-8"),
            ("content-length", "5000"),
            ("etag", "\"a\""),
            ("vary", "cookie"),
        ];
        let (compressed, headers) = applied(&fields, Some(5000));
        assert!(compressed);
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
        assert_eq!(headers[header::ETAG], "W/\"a\"");
        assert!(!headers.contains_key(header::CONTENT_LENGTH));
        let vary: Vec<_> = headers.get_all(header::VARY).iter().collect();
        assert_eq!(vary, ["cookie", "accept-encoding"]);
    }

    #[test]
    fn what_is_known_of_the_plain_body_goes() {
        let (compressed, headers) = applied(
            &[
                ("content-type", "text/html"),
                ("accept-ranges", "bytes"),
                ("repr-digest", "sha-256=:x:"),
                ("content-digest", "sha-256=:x:"),
            ],
            None,
        );
        assert!(compressed);
        let mut names: Vec<&str> = headers.keys().map(header::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-encoding", "content-type", "vary"]);
    }

    #[test]
    fn a_response_without_content_varies_like_the_one_that_it_stands_for() {
        let mut headers = HeaderMap::new();
        let status = StatusCode::NOT_MODIFIED;
        let coding = SETTINGS.choose(Some(Coding::Gzip), status, &mut headers, None);
        assert_eq!((coding, headers.len()), (None, 1));
        assert_eq!(headers[header::VARY], "accept-encoding");
    }

    /// What a part says is to be what the whole would say (RFC 9110 section 15.3.7).
    #[test]
    fn a_part_varies_like_the_whole_and_stays_as_it_is() {
        let html = ("content-type", "text/html");
        let mut headers = headers(&[html, ("content-range", "bytes 0-1/5000")]);
        let status = StatusCode::PARTIAL_CONTENT;
        let coding = SETTINGS.choose(Some(Coding::Gzip), status, &mut headers, Some(2));
        assert_eq!(coding, None);
        assert_eq!(headers[header::VARY], "accept-encoding");
    }

    #[test]
    fn what_would_not_gain_or_must_not_change_is_left_alone() {
        let html = ("content-type", "text/html");
        for (fields, length) in [
            (vec![("content-type", "image/png")], None),
            (vec![], None),
            (vec![html], Some(99)),
            (vec![html, ("content-encoding", "br")], None),
            (vec![html, ("cache-control", "public, No-Transform")], None),
        ] {
            let (compressed, headers) = applied(&fields, length);
            assert!(!compressed, "{fields:?}");
            assert!(!headers.contains_key(header::VARY), "{fields:?}");
        }
    }

    #[test]
    fn a_client_that_accepts_nothing_is_part_of_what_varies() {
        let mut headers = headers(&[("content-type", "application/problem+json")]);
        let ok = StatusCode::OK;
        assert_eq!(SETTINGS.choose(None, ok, &mut headers, None), None);
        assert_eq!(headers[header::VARY], "accept-encoding");
    }
}
