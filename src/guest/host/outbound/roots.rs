//! `Roots` says which certificate authorities are believed: the system's, or those of a file.

use crate::sys::regular::{self, LARGEST_TEXT};
use crate::warning;
use anyhow::{Context, Result, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// `Roots` holds certificate authorities.
#[derive(Clone, Debug, Default)]
pub enum Roots {
    #[default]
    System,
    Listed(Vec<CertificateDer<'static>>),
}

impl Roots {
    /// Reads a file of certificates in PEM.
    pub fn read(path: &Path) -> Result<Roots> {
        let pem = regular::read(path, LARGEST_TEXT)
            .with_context(|| format!("`{}` cannot be read", path.display()))?;
        let certificates = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("`{}` is not PEM", path.display()))?;
        let mut store = RootCertStore::empty();
        let (usable, _) = store.add_parsable_certificates(certificates.iter().cloned());
        if usable == 0 {
            bail!(
                "`{}` has no certificate; give the certificate authority's, in PEM",
                path.display()
            );
        }
        Ok(Roots::Listed(certificates))
    }

    pub fn store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        match self {
            Roots::Listed(certificates) => {
                store.add_parsable_certificates(certificates.iter().cloned());
            }
            Roots::System => {
                let found = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(found.certs);
                if store.is_empty() {
                    warning!(
                        "this system has no certificate authorities, and no server that speaks TLS will be \
                         believed; install ca-certificates or give --outbound-ca"
                    );
                }
            }
        }
        store
    }
}

/// Configures TLS as a client speaks it. Without `roots` nobody is believed.
pub fn tls(roots: Option<&Roots>) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let store = roots.map_or_else(RootCertStore::empty, Roots::store);
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS cannot be set up")?
        .with_root_certificates(store)
        .with_no_client_auth())
}
