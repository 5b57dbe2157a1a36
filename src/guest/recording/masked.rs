//! Some fields of a request are secrets, and so are parameters of a query and what stands before a host: their values are
//! not kept, unless the operator wants it.

use std::borrow::Cow;

/// What has one of these in its name is secret.
const SECRET: [&str; 17] = [
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "session",
    "signature",
    "jwt",
    "assertion",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "authkey",
];

/// What has one of these among the words of its name is secret: it is too short to be looked for within words.
const SECRET_WORDS: [&str; 7] = ["auth", "pwd", "pin", "otp", "sig", "csrf", "xsrf"];

/// A key that is called this is no secret.
const PLAIN_KEYS: [&str; 5] = ["cache", "idempotency", "partition", "sort", "surrogate"];

/// These fields hold targets.
const TARGETS: [&str; 6] = [
    "content-location",
    "location",
    "referer",
    "x-forwarded-uri",
    "x-original-uri",
    "x-original-url",
];

/// Says whether a field or a parameter of this name is secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let together = name.replace(['-', '_', '.'], "");
    let words: Vec<&str> = name.split(['-', '_', '.']).collect();
    let is_key = |pair: &[&str]| pair[1] == "key" && !PLAIN_KEYS.contains(&pair[0]);
    SECRET.iter().any(|part| together.contains(part))
        || words.iter().any(|word| SECRET_WORDS.contains(word))
        || words.windows(2).any(is_key)
}

/// Masks the values of secret fields, and what is secret in fields that hold a target. Lists the fields that are no
/// longer as they were.
pub fn fields(fields: &mut [(String, String)]) -> Vec<String> {
    let mut masked: Vec<String> = Vec::new();
    for (name, value) in fields {
        if is_secret(name) {
            *value = mask(value);
        } else if TARGETS.contains(&name.as_str())
            && let Cow::Owned(target) = target(value)
        {
            *value = target;
        } else {
            continue;
        }
        masked.push(name.clone());
    }
    masked.dedup();
    masked
}

/// Makes a target that does not say what its secret parameters are, nor what stands before the host.
pub fn target(target: &str) -> Cow<'_, str> {
    let (before, query) = target.split_once('?').unwrap_or((target, ""));
    let user = user(before);
    let parameters = query.split('&');
    let parameters = parameters.map(|parameter| match parameter.split_once('=') {
        Some((name, value)) if is_secret(name) => Cow::from(format!("{name}={}", mask(value))),
        _ => Cow::from(parameter),
    });
    let parameters: Vec<Cow<'_, str>> = parameters.collect();
    let is_plain = |parameter: &Cow<'_, str>| matches!(parameter, Cow::Borrowed(_));
    if user.is_none() && parameters.iter().all(is_plain) {
        return Cow::Borrowed(target);
    }
    let mut masked = match user {
        Some((begin, user, end)) => format!("{begin}{}{end}", mask(user)),
        None => before.to_owned(),
    };
    if before.len() < target.len() {
        masked.push('?');
        masked.push_str(&parameters.join("&"));
    }
    Cow::Owned(masked)
}

/// Finds who asks in `scheme://user:password@host/path`, with what stands before and behind.
fn user(target: &str) -> Option<(&str, &str, &str)> {
    let begin = target.find("://")? + 3;
    let end = target[begin..]
        .find('/')
        .map_or(target.len(), |at| begin + at);
    let at = begin + target[begin..end].rfind('@')?;
    Some((&target[..begin], &target[begin..at], &target[at..]))
}

/// Makes a value of the same length that says nothing else.
fn mask(value: &str) -> String {
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
            "X-Auth-Key",
            "x-auth",
            "api_key",
            "apikey",
            "ocp-apim-subscription-key",
            "cookie",
            "x-goog-iap-jwt-assertion",
            "access_token",
            "AWSAccessKeyId",
            "X-Amz-Signature",
            "sig",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "accept",
            "author",
            "content-length",
            "host",
            "idempotency-key",
            "key",
            "keyword",
            "shipping",
            "user-agent",
            ":authority",
        ] {
            assert!(!is_secret(name), "{name}");
        }
        assert_eq!(mask("Bearer é"), "********");
    }
    #[test]
    fn fields_that_hold_targets_are_kept_but_for_credentials() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut all = [
            field("referer", "http://a/?token=b"),
            field("location", "/c?d=e"),
            field("cookie", "f"),
            field("cookie", "g"),
        ];
        assert_eq!(fields(&mut all), ["referer", "cookie"]);
        assert_eq!(all[0].1, "http://a/?token=*");
        assert_eq!(all[1].1, "/c?d=e");
        assert_eq!(all[3].1, "*");
    }

    #[test]
    fn targets_are_kept_but_for_credentials() {
        for plain in ["/", "/a?b=c&d", "http://a/b?c=d@e", "*", "http://a"] {
            assert!(matches!(target(plain), Cow::Borrowed(it) if it == plain));
        }
        for (secret, masked) in [
            ("/a?b=c&api_key=abc&d", "/a?b=c&api_key=***&d"),
            ("http://a/?token=x%20y", "http://a/?token=*****"),
            ("http://ann:b@c/d", "http://*****@c/d"),
            ("http://ann:b@c", "http://*****@c"),
            ("http://a@b@c/?d=e&sig=f", "http://***@c/?d=e&sig=*"),
        ] {
            assert_eq!(target(secret), masked);
        }
    }
}
