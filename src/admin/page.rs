//! This page draws how the server is: it is one document with everything in it, which asks for `/status` and for
//! nothing else. Browsers are told to run this very script and no other.

use crate::scoreboard::totals::BAD_ENDS;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

const PAGE: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
const MODEL: &str = include_str!("page/model.js");
const VIEW: &str = include_str!("page/view.js");

/// A `Page` is the document, and what browsers are told of it.
#[derive(Debug)]
pub struct Page {
    pub html: String,
    /// Content-Security-Policy has this value.
    pub policy: String,
}

impl Page {
    pub fn new() -> Page {
        let script = script();
        let html = PAGE.replace("{{style}}", STYLE);
        // Inline parts are allowed by their digests (Content Security Policy Level 3, section 2.3.1).
        let policy = format!(
            "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            source(&script),
            source(STYLE)
        );
        Page {
            html: html.replace("{{script}}", &script),
            policy,
        }
    }
}

/// Makes the script of what the model is to know of the scoreboard, the model and the view. A script is strict only
/// where it says so first.
fn script() -> String {
    let bad_ends = serde_json::json!(BAD_ENDS);
    format!("\"use strict\";\nconst BAD_ENDS = {bad_ends};\n{MODEL}{VIEW}")
}

fn source(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
        let (_, rest) = text.split_once(start).unwrap();
        rest.split_once(end).unwrap().0
    }

    #[test]
    fn the_policy_allows_what_is_in_the_page_and_nothing_else() {
        let page = Page::new();
        let style = source(between(&page.html, "<style>", "</style>"));
        let script = source(between(&page.html, "<script>", "</script>"));
        assert!(page.policy.contains(&format!("style-src {style};")));
        assert!(page.policy.contains(&format!("script-src {script};")));
        assert_eq!(page.html.matches("<script").count(), 1);
        assert!(!page.policy.contains("-inline") && !page.policy.contains("-eval"));
    }

    /// Guards against an asset from elsewhere, which would tell others of the server, and be missing where there is no
    /// way out.
    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = Page::new().html;
        for (attribute, others) in [(" src=", 0), (" href=", 7), ("url(", 0), ("@import", 0)] {
            assert_eq!(page.matches(attribute).count(), others, "{attribute}");
        }
        for part in page.split(" href=\"").skip(1) {
            let target = part.split('"').next().unwrap();
            let own = ["status", "metrics", "livez", "readyz", "#workers"].contains(&target);
            assert!(own || target.starts_with("data:"), "{target}");
        }
    }

    /// Guards against what clients asked for, which is in status documents.
    #[test]
    fn nothing_from_the_server_becomes_html() {
        for banned in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "style=",
        ] {
            assert!(
                !MODEL.contains(banned) && !VIEW.contains(banned),
                "{banned}"
            );
            assert!(!PAGE.contains(banned), "{banned}");
        }
    }
}
