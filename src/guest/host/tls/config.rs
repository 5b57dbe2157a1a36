//! This file makes rustls' configuration of what a guest asks of a session.

use super::interface::wit::{Error, Identity, Settings, Verification, Version};
use super::verify::LessStrict;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::sync::Arc;

/// A guest may name authorities in this many bytes of PEM; all of the Internet's are a quarter of it.
const AUTHORITIES: usize = 1 << 20;

/// A certificate never has this name (RFC 6761 section 6.4); it is not sent.
const NOBODY: &str = "nobody.invalid";

/// A `SessionConfig` is what one session begins with.
pub struct SessionConfig {
    pub config: Arc<ClientConfig>,
    pub server: ServerName<'static>,
}

/// Makes a configuration of a guest's settings, and of the authorities that the host believes.
pub fn client(
    settings: Settings,
    host: Option<&Arc<RootCertStore>>,
) -> Result<SessionConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions(settings.lowest, settings.highest))
        .map_err(|error| Error::Settings(error.to_string()))?;
    let issued = match settings.verification {
        Verification::Full | Verification::None => None,
        Verification::Issuer => {
            let believed = believed(&settings, host)?;
            let verifier =
                WebPkiServerVerifier::builder_with_provider(believed, provider.clone()).build();
            Some(verifier.map_err(|_| nobody_believed())?)
        }
    };
    let builder = match settings.verification {
        Verification::Full => builder.with_root_certificates(believed(&settings, host)?),
        Verification::Issuer | Verification::None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(LessStrict { issued, provider })),
    };
    let mut config = match settings.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (certificates, key) = read(&identity)?;
            builder
                .with_client_auth_cert(certificates, key)
                .map_err(|error| Error::Settings(error.to_string()))?
        }
    };
    let server = match (settings.server_name, settings.verification) {
        (Some(name), _) => ServerName::try_from(name)
            .map_err(|_| Error::Settings("the server's name is not one of a host".to_owned()))?,
        (None, Verification::Full) => {
            return Err(Error::Settings(
                "a certificate cannot be verified in full without the server's name".to_owned(),
            ));
        }
        (None, _) => {
            config.enable_sni = false;
            ServerName::try_from(NOBODY).expect("it is a name")
        }
    };
    config.alpn_protocols = settings.protocols;
    Ok(SessionConfig {
        config: Arc::new(config),
        server,
    })
}

fn versions(lowest: Version, highest: Version) -> Vec<&'static SupportedProtocolVersion> {
    let mut versions = Vec::new();
    if highest == Version::Tls13 {
        versions.push(&TLS13);
    }
    if lowest == Version::Tls12 {
        versions.push(&TLS12);
    }
    versions
}

fn believed(
    settings: &Settings,
    host: Option<&Arc<RootCertStore>>,
) -> Result<Arc<RootCertStore>, Error> {
    let host = host.filter(|_| settings.host_authorities);
    let believed = if settings.authorities.is_empty() {
        host.cloned()
            .unwrap_or_else(|| Arc::new(RootCertStore::empty()))
    } else {
        if settings.authorities.len() > AUTHORITIES {
            return Err(Error::Settings(format!(
                "the authorities are more than {AUTHORITIES} bytes of PEM"
            )));
        }
        let mut store = host.map_or_else(RootCertStore::empty, |host| host.as_ref().clone());
        let listed = CertificateDer::pem_slice_iter(&settings.authorities);
        let listed: Result<Vec<_>, _> = listed.collect();
        let listed = listed.map_err(|error| Error::Settings(format!("authorities: {error}")))?;
        store.add_parsable_certificates(listed);
        Arc::new(store)
    };
    match believed.is_empty() {
        true => Err(nobody_believed()),
        false => Ok(believed),
    }
}

fn nobody_believed() -> Error {
    Error::Certificate(
        "no certificate authority is believed; name one with --outbound-ca, or give --allow-net \
         the server, for which the system's are read"
            .to_owned(),
    )
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(identity: &Identity) -> Result<Pair, Error> {
    let wrong = |what: &str| Error::Settings(format!("the client's {what} cannot be read"));
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&identity.certificates).collect();
    let certificates = certificates.map_err(|_| wrong("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key).map_err(|_| wrong("key"))?;
    Ok((certificates, key))
}
