//! `Settings` says what the operator decided about exporting, by options and by OpenTelemetry's variables.

use crate::guest::outbound::Roots;
use http::{HeaderMap, Uri};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Spans are posted to this URL, the path included.
    pub endpoint: Uri,
    /// Each request has these fields, which may be secrets.
    pub headers: HeaderMap,
    /// These authorities are believed to vouch for the collector.
    pub roots: Roots,
    /// All spans have these in common, by OpenTelemetry's names.
    pub resource: Vec<(String, String)>,
    /// The collector may take this long to answer.
    pub timeout: Duration,
    /// A span waits for others no longer than this.
    pub delay: Duration,
    /// This many spans are sent together.
    pub batch: usize,
    /// This many spans wait to be sent.
    pub queue: usize,
}

impl Settings {
    /// Gives the one TCP port that is connected to.
    pub fn port(&self) -> u16 {
        let default = match self.is_secure() {
            true => 443,
            false => 80,
        };
        self.endpoint.port_u16().unwrap_or(default)
    }

    pub fn is_secure(&self) -> bool {
        self.endpoint.scheme_str() == Some("https")
    }

    /// Returns a number that is another where the settings are.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{self:?}").hash(&mut hasher);
        for (name, value) in &self.headers {
            (name.as_str(), value.as_bytes()).hash(&mut hasher);
        }
        hasher.finish()
    }
}
