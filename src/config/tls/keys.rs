//! This file reads private keys, also those that a password protects.

use anyhow::{Context, Result, anyhow, bail};
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem, pem::PemObject};

/// openssl and others mark a key in this way that is encrypted as PKCS#8 has it (RFC 5958), and in their older way.
const ENCRYPTED: &[u8] = b"BEGIN ENCRYPTED PRIVATE KEY";
const ENCRYPTED_BEFORE: &[u8] = b"Proc-Type: 4,ENCRYPTED";

/// Reads a key: PKCS#8, PKCS#1 or SEC1, and PKCS#8 that is encrypted.
pub fn private_key(text: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>> {
    let has = |mark| memchr::memmem::find(text, mark).is_some();
    if has(ENCRYPTED_BEFORE) {
        bail!(
            "is encrypted in openssl's older way; write it anew with `openssl pkcs8 -topk8 -in KEY -out NEW`"
        );
    }
    if has(ENCRYPTED) {
        let password = password.context(
            "is encrypted; name its password with --ssl-keyfile-password-file, or decrypt it with `openssl pkey -in \
             KEY -out PLAIN` and let only its owner read it",
        )?;
        return decrypted(text, password);
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            anyhow!("holds no private key in PEM form (`-----BEGIN PRIVATE KEY-----`)")
        }
        error => anyhow!("is not PEM: {error}"),
    })
}

fn decrypted(text: &[u8], password: &str) -> Result<PrivateKeyDer<'static>> {
    let text = std::str::from_utf8(text).context("is not PEM")?;
    // A certificate may stand before it.
    let begin = text.find("-----BEGIN ENCRYPTED").unwrap_or(0);
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    let end = text[begin..]
        .find(END)
        .context("is not PEM: it has no end")?;
    let block = &text[begin..begin + end + END.len()];
    let (_, document) =
        SecretDocument::from_pem(block).map_err(|error| anyhow!("is not PEM: {error}"))?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|error| anyhow!("is encrypted in a way that is not known here: {error}"))?;
    let key = encrypted.decrypt(password).map_err(|_| {
        anyhow!("cannot be decrypted: the password is wrong, or the cipher is not known here")
    })?;
    let key = PrivatePkcs8KeyDer::from(key.as_bytes().to_vec());
    Ok(PrivateKeyDer::Pkcs8(key))
}
