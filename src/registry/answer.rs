//! A registry answers something that is no component: a text of bounded length, or why it refuses.

use super::client::{RegistryClient, SILENCE};
use super::retry::CallError;
use crate::log;
use anyhow::anyhow;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::timeout;

impl RegistryClient {
    /// Says why an answer is no success.
    pub async fn refused(&self, response: Response<Incoming>) -> CallError {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = text(response, 64 << 10).await.unwrap_or_default();
        let said = reason(&body);
        let host = &self.authority;
        let why = match (status, &self.credentials) {
            (StatusCode::UNAUTHORIZED, None) => {
                anyhow!(
                    "the registry wants to know who asks: log in by `docker login {host}`{said}"
                )
            }
            (StatusCode::UNAUTHORIZED, Some(_)) => anyhow!(
                "the registry does not accept the login that the Docker configuration has for it: log in anew by \
                 `docker login {host}`{said}"
            ),
            (StatusCode::FORBIDDEN, _) => {
                anyhow!("the registry does not let this user do that (403){said}")
            }
            (StatusCode::NOT_FOUND, _) => anyhow!("the registry has no such artifact (404){said}"),
            (status, _) => anyhow!("the registry answered {status}{said}"),
        };
        CallError::of_status(status, &headers, why)
    }
}

/// Reads an answer that is no component.
pub async fn text(response: Response<Incoming>, most: usize) -> Result<Bytes, CallError> {
    let read = Limited::new(response.into_body(), most).collect();
    match timeout(SILENCE, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(anyhow!("the registry's answer is larger than {most} bytes").into())
        }
        Ok(Err(error)) => Err(CallError::passing(anyhow!("the answer broke off: {error}"))),
        Err(_) => Err(CallError::passing(anyhow!("the answer did not end"))),
    }
}

/// Reads what registries say of themselves about an error (distribution specification, "Error Codes").
fn reason(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Said>,
    }
    #[derive(Deserialize)]
    struct Said {
        code: Option<String>,
        message: Option<String>,
    }
    let Ok(Errors { errors }) = serde_json::from_slice(body) else {
        return String::new();
    };
    let Some(Said { code, message }) = errors.into_iter().next() else {
        return String::new();
    };
    let words: Vec<String> = [code, message].into_iter().flatten().collect();
    let words: String = words.join(", ").chars().take(200).collect();
    format!("; it says: {}", log::escape(&words))
}

/// Writes an error with what caused it, in one line.
pub fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let (mut texts, mut next) = (Vec::<String>::new(), Some(error));
    while let Some(error) = next {
        let said = error.to_string();
        if !texts.last().is_some_and(|last| last.contains(&said)) {
            texts.push(said);
        }
        next = error.source();
    }
    log::escape(&texts.join(": ")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_says_is_one_harmless_line() {
        let said = reason(br#"{"errors":[{"code":"DENIED","message":"no\u001b[2J\nway"}]}"#);
        assert!(said.starts_with("; it says: DENIED, no"), "{said}");
        assert!(!said.contains('\x1b') && !said.contains('\n'), "{said}");
        assert_eq!(reason(b"<html>"), "");
    }
}
