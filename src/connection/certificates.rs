//! This file says which certificate is shown to whom.

use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use webpki::{EndEntityCert, KeyUsage};

/// `Certificates` are chosen by the name that the client asks for (SNI, RFC 6066 section 3): one that has the name
/// itself before one that has it by a wildcard, and the first of each. The first of all is shown to clients that ask
/// for no name, or for one that no certificate has.
#[derive(Debug)]
pub struct Certificates(Vec<Arc<CertifiedKey>>);

impl Certificates {
    /// Takes certificates, of which there must be one at least.
    pub fn new(certified: Vec<Arc<CertifiedKey>>) -> Certificates {
        Certificates(certified)
    }

    /// Says of each why clients will not trust it, as far as that can be told from here.
    pub fn doubts(&self) -> Vec<Option<&'static str>> {
        self.0.iter().map(|certified| doubt(certified)).collect()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| {
            let asked = ServerName::try_from(name).ok()?;
            let mut fitting = self.0.iter().filter(|certified| is_for(certified, &asked));
            let first = fitting.clone().next();
            fitting.find(|certified| names(certified, name)).or(first)
        });
        named.or(self.0.first()).cloned()
    }
}

fn is_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = certified.end_entity_cert().ok();
    let parsed = certificate.and_then(|der| EndEntityCert::try_from(der).ok());
    parsed.is_some_and(|parsed| parsed.verify_is_valid_for_subject_name(name).is_ok())
}

/// Says whether a certificate has this name as it is.
fn names(certified: &CertifiedKey, name: &str) -> bool {
    let certificate = certified.end_entity_cert().ok();
    let parsed = certificate.and_then(|der| EndEntityCert::try_from(der).ok());
    parsed.is_some_and(|parsed| {
        let mut names = parsed.valid_dns_names();
        names.any(|own| own.eq_ignore_ascii_case(name))
    })
}

fn doubt(certified: &CertifiedKey) -> Option<&'static str> {
    let parsed = EndEntityCert::try_from(certified.end_entity_cert().ok()?).ok()?;
    // Nobody is trusted here: all that can be found out is what is wrong with the certificate itself.
    let verified = parsed.verify_for_usage(
        &[],
        &[],
        &[],
        UnixTime::now(),
        KeyUsage::server_auth(),
        None,
        None,
    );
    match verified.err()? {
        webpki::Error::CertExpired { .. } => Some("it has expired"),
        webpki::Error::CertNotValidYet { .. } => Some("it is not valid yet"),
        webpki::Error::RequiredEkuNotFoundContext(_) => Some("it is not for servers"),
        _ => None,
    }
}
