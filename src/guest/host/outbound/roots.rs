//! `Roots` says which certificate authorities are believed: the system's, or those of a file.

use crate::sys::regular::{self, LARGEST_TEXT};
use crate::warning;
use anyhow::{Context, Result, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// A file of all the authorities of a system is read up to this size.
const LARGEST_BUNDLE: u64 = 64 << 20;

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

    /// Takes the system's, where what the environment names in their place can be read at once: whoever needs them
    /// reads it later, and would wait for the other end of a FIFO.
    pub fn system() -> Result<Roots> {
        if let Some(path) = std::env::var_os("SSL_CERT_FILE") {
            let path = Path::new(&path);
            match regular::open(path, LARGEST_BUNDLE) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| {
                        format!(
                            "variable SSL_CERT_FILE: `{}` cannot be read",
                            path.display()
                        )
                    });
                }
                _ => {}
            }
        }
        Ok(Roots::System)
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
