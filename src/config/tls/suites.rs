//! This file finds ciphers by the names that openssl or the registry of TLS has for them.

use anyhow::{Result, bail};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{ALL_CIPHER_SUITES, cipher_suite as ring};
use rustls::{CipherSuite, SupportedCipherSuite};

/// openssl has these names for the suites of TLS 1.2; those of TLS 1.3 have one name everywhere.
const OPENSSL: [(&str, SupportedCipherSuite); 6] = [
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        ring::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        ring::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        ring::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        ring::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        ring::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        ring::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// Restricts what is spoken to the suites of a list. As in openssl, a list that names none of TLS 1.3 says nothing
/// about those.
pub fn restrict(provider: &mut CryptoProvider, list: &str) -> Result<()> {
    let names = list.split([':', ',', ' ']).filter(|name| !name.is_empty());
    let mut suites = Vec::new();
    for name in names {
        let suite = named(name);
        let Some(suite) = suite else {
            let known: Vec<&str> = OPENSSL.iter().map(|(name, _)| *name).collect();
            bail!(
                "`{name}` is not spoken here; use {}, TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384 and \
                 TLS_CHACHA20_POLY1305_SHA256",
                known.join(", ")
            );
        };
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    if suites.is_empty() {
        bail!("it names no cipher");
    }
    let is_newest = |suite: &SupportedCipherSuite| suite.tls13().is_some();
    if !suites.iter().any(is_newest) {
        let newest = ALL_CIPHER_SUITES.iter().filter(|suite| is_newest(suite));
        suites.splice(0..0, newest.copied());
    }
    provider.cipher_suites = suites;
    Ok(())
}

fn named(name: &str) -> Option<SupportedCipherSuite> {
    let openssl = OPENSSL.iter().find(|(known, _)| *known == name);
    if let Some((_, suite)) = openssl {
        return Some(*suite);
    }
    let mut all = ALL_CIPHER_SUITES.iter();
    let suite = all.find(|suite| registered(suite.suite()) == name);
    suite.copied()
}

/// Finds the name in the registry of TLS, which the library writes otherwise for TLS 1.3.
fn registered(suite: CipherSuite) -> String {
    let name = suite.as_str().unwrap_or_default();
    name.replacen("TLS13_", "TLS_", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(list: &str) -> Vec<String> {
        let mut provider = rustls::crypto::ring::default_provider();
        restrict(&mut provider, list).unwrap();
        let suites = provider.cipher_suites.iter();
        suites.map(|suite| registered(suite.suite())).collect()
    }

    #[test]
    fn a_list_restricts_what_it_speaks_of() {
        let suites = spoken("ECDHE-RSA-AES128-GCM-SHA256");
        assert_eq!(suites.len(), 4, "{suites:?}");
        assert_eq!(suites[3], "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        let only = "TLS_AES_256_GCM_SHA384";
        assert_eq!(spoken(only), [only]);
        let both = "TLS_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
        assert_eq!(spoken(both).len(), 2);
        let mut provider = rustls::crypto::ring::default_provider();
        for list in ["HIGH:!aNULL", "", "RC4-MD5"] {
            assert!(restrict(&mut provider, list).is_err(), "{list}");
        }
    }
}
