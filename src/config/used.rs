//! This file says what an option comes to on this machine, and which variable of other servers says it, where neither
//! stands in what was given: for `wasmserve check`.

use super::{Config, Endpoint, headers, variable};
use crate::cli::honoured::{PORT, PROXIES, WORKERS};

/// `EffectiveValue` is what an option comes to.
pub struct EffectiveValue {
    pub value: String,
    /// This variable says so, which is none of ours.
    pub variable: Option<&'static str>,
}

impl Config {
    /// Says what the option of this name comes to; none where what was given says all of it.
    pub fn used(&self, option: &str, is_given: bool) -> Option<EffectiveValue> {
        // Where only others are named, this one is none.
        let named = &self.addresses.named;
        let tcp = named.is_empty() || named.iter().any(|address| address.option == "--host");
        let (value, known) = match (option, &self.addresses.fallback.place) {
            ("workers", _) => (self.supervisor.workers.to_string(), Some(WORKERS)),
            ("host", Endpoint::Inet { host, .. }) if tcp => (host.to_string(), None),
            ("port", Endpoint::Inet { port, .. }) if tcp => (port.to_string(), Some(PORT)),
            ("forwarded-allow-ips", _) if !is_given => (headers::trusted_anyway(), Some(PROXIES)),
            _ => return None,
        };
        let variable = known.filter(|name| variable(name).is_some());
        Some(EffectiveValue { value, variable })
    }
}
