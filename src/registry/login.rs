//! This file says who we are, as a registry wants to see it: name and password, or a token that somebody else gives
//! out.

use super::answer::text;
use super::challenge::Challenge;
use super::client::{Call, LARGEST_ANSWER, RegistryClient, is_loopback};
use super::credentials::Credentials;
use super::push::Body;
use super::retry::CallError;
use anyhow::Context;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::uri::Scheme;
use http::{HeaderValue, Method, Response, Uri};
use hyper::body::Incoming;
use serde::Deserialize;

impl RegistryClient {
    /// Gets what a registry wants to see.
    pub(super) async fn authorize(&self, response: &Response<Incoming>) -> Result<(), CallError> {
        let value = match (Challenge::of(response.headers()), &self.credentials) {
            (Some(Challenge::Basic), Some(credentials)) => credentials.basic(),
            (
                Some(Challenge::Bearer {
                    realm,
                    service,
                    scope,
                }),
                _,
            ) => {
                let token = self
                    .token(&realm, service.as_deref(), scope.as_deref())
                    .await?;
                Some(format!("Bearer {token}"))
            }
            _ => None,
        };
        if let Some(value) = value {
            let mut value: HeaderValue =
                value.parse().context("the login has what no header has")?;
            value.set_sensitive(true);
            *self.authorization.borrow_mut() = Some(value);
        }
        Ok(())
    }

    /// Has a token given out (distribution.github.io, "Token Authentication Specification").
    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<String, CallError> {
        let mut query = String::new();
        for (name, value) in [("service", service), ("scope", scope)] {
            if let Some(value) = value {
                query += &format!("&{name}={}", encoded(value));
            }
        }
        let uri: Uri = realm.parse().context("who gives out tokens has no URL")?;
        let secret = self.credentials.as_ref().filter(|_| self.may_know(&uri));
        let mut call = match secret {
            Some(Credentials::Identity(token)) => {
                let token = encoded(token);
                let mut call = Call::new(Method::POST, realm.to_owned());
                let form = format!(
                    "grant_type=refresh_token&client_id=wasmserve&refresh_token={token}{query}"
                );
                call.body = Body::new(form.into());
                call.with(CONTENT_TYPE, "application/x-www-form-urlencoded")?
            }
            _ => {
                let joined = if realm.contains('?') { "&" } else { "?" };
                let query = query.trim_start_matches('&');
                Call::new(Method::GET, format!("{realm}{joined}{query}"))
            }
        };
        if let Some(basic) = secret.and_then(Credentials::basic) {
            let mut value: HeaderValue =
                basic.parse().context("the login has what no header has")?;
            value.set_sensitive(true);
            call.headers.insert(AUTHORIZATION, value);
        }
        let uri = self.uri(&call.target)?;
        let response = self.send(&call, uri).await?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        #[derive(Deserialize)]
        struct TokenAnswer {
            token: Option<String>,
            access_token: Option<String>,
        }
        let body = text(response, LARGEST_ANSWER).await?;
        let given: TokenAnswer =
            serde_json::from_slice(&body).context("who gives out tokens has given none")?;
        let token = given.token.or(given.access_token);
        Ok(token.context("who gives out tokens has given none")?)
    }

    /// Says whether a server may see a password: nobody listens on the way.
    fn may_know(&self, uri: &Uri) -> bool {
        let Some(authority) = uri.authority() else {
            return false;
        };
        uri.scheme() == Some(&Scheme::HTTPS)
            || is_loopback(authority)
            || self.clear.iter().any(|it| it == authority.as_str())
    }
}

/// Writes a value of a query (RFC 3986 section 2.3).
fn encoded(text: &str) -> String {
    let bytes = text.bytes();
    bytes.fold(String::new(), |text, byte| {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => text + &char::from(byte).to_string(),
            false => text + &format!("%{byte:02X}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_where_nobody_listens() {
        let clear = ["registry.lan:5000".to_owned()];
        let client = RegistryClient::new("registry.lan:5000", &clear, None).unwrap();
        for (uri, may) in [
            ("https://auth.docker.io/token", true),
            ("http://auth.docker.io/token", false),
            ("http://localhost:5001/token", true),
            ("http://[::1]/token", true),
            ("http://registry.lan:5000/token", true),
            ("http://registry.lan/token", false),
            ("http://127.0.0.1.evil.org/token", false),
            ("/token", false),
        ] {
            assert_eq!(client.may_know(&uri.parse().unwrap()), may, "{uri}");
        }
    }

    #[test]
    fn a_scope_is_asked_for_whole() {
        assert_eq!(encoded("repository:a/b:pull"), "repository%3Aa%2Fb%3Apull");
    }
}
