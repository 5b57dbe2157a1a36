//! A registry says in a `Challenge` what it wants to see before it answers (WWW-Authenticate, RFC 9110 section
//! 11.6.1).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// A `Challenge` is what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// The registry wants name and password with each request.
    Basic,
    /// The registry wants a token that somebody else gives out.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// Chooses the challenge that is understood, a token before a password; none where there is none.
    pub fn of(headers: &HeaderMap) -> Option<Challenge> {
        let all = headers.get_all(WWW_AUTHENTICATE).iter();
        let mut known: Vec<Challenge> = all.filter_map(|it| parse(it.to_str().ok()?)).collect();
        known.sort_by_key(|challenge| *challenge == Challenge::Basic);
        known.into_iter().next()
    }
}

fn parse(text: &str) -> Option<Challenge> {
    let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let parameters = parameters(rest);
    let value = |wanted: &str| {
        let mut found = parameters.iter();
        let found = found.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.clone())
    };
    Some(Challenge::Bearer {
        realm: value("realm")?,
        service: value("service"),
        scope: value("scope"),
    })
}

/// `name="value", name=value`; a backslash takes the next character for itself.
fn parameters(text: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([',', ' ']).to_owned();
        let (mut value, mut characters) = (String::new(), after.char_indices());
        let quoted = after.starts_with('"');
        if quoted {
            characters.next();
        }
        let mut end = after.len();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' if quoted => {
                    end = at + 1;
                    break;
                }
                ',' if !quoted => {
                    end = at;
                    break;
                }
                '\\' if quoted => value.extend(characters.next().map(|(_, next)| next)),
                other => value.push(other),
            }
        }
        found.push((name, value));
        rest = &after[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(WWW_AUTHENTICATE, text.parse().unwrap());
        }
        Challenge::of(&headers)
    }

    #[test]
    fn what_registries_say_is_understood() {
        let docker = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let Some(Challenge::Bearer {
            realm,
            service,
            scope,
        }) = of(&["Basic realm=x", docker])
        else {
            panic!("no token is asked for");
        };
        assert_eq!(realm, "https://auth.docker.io/token");
        assert_eq!(service.as_deref(), Some("registry.docker.io"));
        assert_eq!(scope.as_deref(), Some("repository:a/b:pull,push"));
        assert_eq!(
            of(&[r#"basic realm="Registry Realm""#]),
            Some(Challenge::Basic)
        );
        let plain = of(&[r#"bearer realm=https://a/t, error="\"x\"""#]);
        let realm = "https://a/t".to_owned();
        let (service, scope) = (None, None);
        assert_eq!(
            plain,
            Some(Challenge::Bearer {
                realm,
                service,
                scope
            })
        );
        for none in [&[][..], &["Negotiate"], &["Bearer"], &["Bearer service=x"]] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
