//! This file resolves what TLS is spoken with: certificates and keys are read and matched here, so that a mistake is
//! known before anything is served with it.

mod keys;
mod suites;

use super::{maybe, option};
use crate::cli::Tls;
use crate::connection::{Certificates, Protocols};
use crate::sys::regular::{self, LARGEST_TEXT};
use anyhow::{Context, Result, anyhow, bail};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A session with a client's certificates needs tickets of this length.
const LONGEST_TICKET: usize = 8 << 10;

/// Resolves the options; none where no certificate was named.
pub fn resolve(tls: &Tls, protocols: Protocols) -> Result<Option<Arc<ServerConfig>>> {
    if tls.ssl_certfile.is_empty() {
        return match unused(tls) {
            Some(name) => {
                bail!("option {name}: there is no certificate; name one with --ssl-certfile")
            }
            None => Ok(None),
        };
    }
    let keys = &tls.ssl_keyfile;
    if !keys.is_empty() && keys.len() != tls.ssl_certfile.len() {
        bail!(
            "option --ssl-keyfile: there are {} for {} certificates; name one for each --ssl-certfile, \
             in the same order",
            keys.len(),
            tls.ssl_certfile.len()
        );
    }
    let mut provider = ring::default_provider();
    if let Some(list) = &tls.ssl_ciphers {
        option("--ssl-ciphers", list, |list| {
            suites::restrict(&mut provider, list)
        })?;
    }
    let provider = Arc::new(provider);
    let password = password(tls)?;
    let certified = tls.ssl_certfile.iter().enumerate().map(|(index, chain)| {
        let key = keys.get(index).unwrap_or(chain);
        certified(chain, key, password.as_deref(), &provider)
    });
    let certificates = Certificates::new(certified.collect::<Result<_>>()?);
    for (path, why) in tls.ssl_certfile.iter().zip(certificates.doubts()) {
        if let Some(why) = why {
            crate::warning!("certificate `{}`: {why}", path.display());
        }
    }
    let versions = option("--ssl-min-version", &tls.ssl_min_version, versions)?;
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .context("option --ssl-ciphers")?
        .with_client_cert_verifier(client_verifier(tls, provider)?)
        .with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = match protocols {
        Protocols::Both => vec![b"h2".to_vec(), b"http/1.1".to_vec(), b"http/1.0".to_vec()],
        Protocols::Http1 => vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()],
        Protocols::Http2 => vec![b"h2".to_vec()],
    };
    // Made before the first fork: a session that one worker began is resumed by any.
    config.ticketer = ring::Ticketer::new().context("cannot make a key for session tickets")?;
    // A worker takes no ticket that is longer than the longest that it has made itself.
    config.ticketer.encrypt(&[0; LONGEST_TICKET]);
    Ok(Some(Arc::new(config)))
}

/// Lists the files that private keys are in: each certificate's own where it names no other.
pub fn key_files(tls: &Tls) -> impl Iterator<Item = &Path> {
    let keys = match tls.ssl_keyfile.is_empty() {
        true => &tls.ssl_certfile,
        false => &tls.ssl_keyfile,
    };
    keys.iter().map(PathBuf::as_path)
}

/// Finds an option that has no meaning without a certificate.
fn unused(tls: &Tls) -> Option<&'static str> {
    let options = [
        ("--ssl-keyfile", !tls.ssl_keyfile.is_empty()),
        ("--ssl-ca-certs", tls.ssl_ca_certs.is_some()),
        ("--ssl-client-auth", tls.ssl_client_auth.is_some()),
        ("--ssl-crl", !tls.ssl_crl.is_empty()),
        ("--ssl-ciphers", tls.ssl_ciphers.is_some()),
        ("--ssl-keyfile-password", tls.ssl_keyfile_password.is_some()),
        (
            "--ssl-keyfile-password-file",
            tls.ssl_keyfile_password_file.is_some(),
        ),
    ];
    let mut given = options.iter().filter(|(_, given)| *given);
    given.next().map(|(name, _)| *name)
}

/// Reads the password that keys are decrypted with.
fn password(tls: &Tls) -> Result<Option<String>> {
    match (&tls.ssl_keyfile_password, &tls.ssl_keyfile_password_file) {
        (Some(_), Some(_)) => bail!(
            "option --ssl-keyfile-password: --ssl-keyfile-password-file says it too; leave one of them out"
        ),
        (Some(password), None) => Ok(Some(password.clone())),
        (None, Some(path)) => {
            let name = "--ssl-keyfile-password-file";
            let text = String::from_utf8(read(name, path)?);
            let text = text.with_context(|| format!("option {name}: `{}`", path.display()))?;
            Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
        }
        (None, None) => Ok(None),
    }
}

fn certified(
    chain: &Path,
    key: &Path,
    password: Option<&str>,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>> {
    let certificates = read("--ssl-certfile", chain)?;
    let certificates: Vec<_> = certificates_in(&certificates)
        .with_context(|| format!("option --ssl-certfile: `{}`", chain.display()))?;
    let text = read("--ssl-keyfile", key)?;
    let key_der = keys::private_key(&text, password);
    let key_der = key_der.with_context(|| format!("option --ssl-keyfile: `{}`", key.display()))?;
    let certified = CertifiedKey::from_der(certificates, key_der, provider);
    let certified = certified.map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => anyhow!(
            "option --ssl-keyfile: `{}` is not the key of the first certificate in `{}`",
            key.display(),
            chain.display()
        ),
        _ if is_p521(&text) => anyhow!(
            "option --ssl-keyfile: `{}` is a key of the curve P-521, which is not spoken here; make one \
             of P-256 or P-384, or an RSA key",
            key.display()
        ),
        error => anyhow!(error).context(format!(
            "option --ssl-certfile: `{}` with the key in `{}`",
            chain.display(),
            key.display()
        )),
    });
    certified.map(Arc::new)
}

/// Says whether a key is one of secp521r1: its object identifier, 1.3.132.0.35, stands in it (RFC 5480).
fn is_p521(pem: &[u8]) -> bool {
    const IDENTIFIER: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
    let key = PrivateKeyDer::from_pem_slice(pem);
    key.is_ok_and(|key| memchr::memmem::find(key.secret_der(), &IDENTIFIER).is_some())
}

fn read(option: &str, path: &Path) -> Result<Vec<u8>> {
    regular::read(path, LARGEST_TEXT)
        .with_context(|| format!("option {option}: cannot read `{}`", path.display()))
}

fn certificates_in(text: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            bail!("holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)")
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(anyhow!("is not PEM: {error}")),
    }
}

static SINCE_1_2: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
static SINCE_1_3: [&SupportedProtocolVersion; 1] = [&version::TLS13];

fn versions(text: &str) -> Result<&'static [&'static SupportedProtocolVersion]> {
    match text {
        // The second is what Python calls all versions that are good enough, and uvicorn's --ssl-version says.
        "1.2" | "17" => Ok(&SINCE_1_2),
        "1.3" => Ok(&SINCE_1_3),
        _ => bail!("`{text}` is not a version of TLS that is spoken here; use 1.2 or 1.3"),
    }
}

fn client_verifier(
    tls: &Tls,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>> {
    let wanted = maybe(
        "--ssl-client-auth",
        tls.ssl_client_auth.as_ref(),
        |text| match text {
            // Numbers are Python's, for uvicorn's --ssl-cert-reqs.
            "none" | "0" => Ok(None),
            "optional" | "1" => Ok(Some(false)),
            "required" | "2" => Ok(Some(true)),
            _ => bail!("`{text}` is not one of none, optional and required"),
        },
    )?;
    let wanted = wanted.unwrap_or(tls.ssl_ca_certs.is_some().then_some(true));
    let Some(required) = wanted else {
        if !tls.ssl_crl.is_empty() {
            bail!("option --ssl-crl: no certificates of clients are checked; name --ssl-ca-certs");
        }
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let Some(path) = &tls.ssl_ca_certs else {
        bail!("option --ssl-client-auth: nothing to check certificates with; name --ssl-ca-certs");
    };
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(path)?), provider);
    let builder = if required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    let builder = match revocations(&tls.ssl_crl)? {
        none if none.is_empty() => builder,
        lists => builder.with_crls(lists).enforce_revocation_expiration(),
    };
    builder.build().context("option --ssl-ca-certs")
}

fn authorities(path: &Path) -> Result<RootCertStore> {
    let context = || format!("option --ssl-ca-certs: `{}`", path.display());
    let text = read("--ssl-ca-certs", path)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates_in(&text).with_context(context)? {
        roots.add(certificate).with_context(context)?;
    }
    Ok(roots)
}

/// Reads lists of certificates that are not to be trusted any more.
fn revocations(paths: &[PathBuf]) -> Result<Vec<CertificateRevocationListDer<'static>>> {
    let mut lists = Vec::new();
    for path in paths {
        let text = read("--ssl-crl", path)?;
        let found = CertificateRevocationListDer::pem_slice_iter(&text);
        let found = found.collect::<Result<Vec<_>, _>>();
        let found = found.map_err(|error| anyhow!("is not PEM: {error}"));
        let found = found.and_then(|found| match found.is_empty() {
            true => bail!("holds no list in PEM form (`-----BEGIN X509 CRL-----`)"),
            false => Ok(found),
        });
        lists.extend(found.with_context(|| format!("option --ssl-crl: `{}`", path.display()))?);
    }
    Ok(lists)
}
