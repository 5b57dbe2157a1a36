//! These options are about TLS: certificates, and whose are wanted.

use clap::Args;
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "TLS")]
pub struct Tls {
    /// Speak TLS with this certificate chain (PEM); repeat it for further names
    #[arg(long, value_name = "FILE", env = "WASMSERVE_SSL_CERTFILE")]
    pub ssl_certfile: Vec<PathBuf>,

    /// The private key of each certificate (PEM) [default: in the certificate's file]
    #[arg(long, value_name = "FILE", env = "WASMSERVE_SSL_KEYFILE")]
    pub ssl_keyfile: Vec<PathBuf>,

    /// The password of private keys that are encrypted; everybody on this machine can read it in the list of processes
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "WASMSERVE_SSL_KEYFILE_PASSWORD",
        hide_env_values = true
    )]
    pub ssl_keyfile_password: Option<String>,

    /// Read that password from the first line of this file
    #[arg(long, value_name = "FILE", env = "WASMSERVE_SSL_KEYFILE_PASSWORD_FILE")]
    pub ssl_keyfile_password_file: Option<PathBuf>,

    /// Check clients' certificates with these authorities (PEM)
    #[arg(long, value_name = "FILE", env = "WASMSERVE_SSL_CA_CERTS")]
    pub ssl_ca_certs: Option<PathBuf>,

    /// Whether clients show a certificate: none, optional or required
    /// [default: required with --ssl-ca-certs, else none]
    #[arg(
        long,
        visible_alias = "ssl-cert-reqs",
        value_name = "WHETHER",
        env = "WASMSERVE_SSL_CLIENT_AUTH"
    )]
    pub ssl_client_auth: Option<String>,

    /// Refuse clients' certificates that these lists revoke (PEM)
    #[arg(long, value_name = "FILE", env = "WASMSERVE_SSL_CRL")]
    pub ssl_crl: Vec<PathBuf>,

    /// Ciphers that are spoken, by the names of openssl or of the standard, with `:` between them
    #[arg(
        long,
        visible_alias = "ciphers",
        value_name = "LIST",
        env = "WASMSERVE_SSL_CIPHERS"
    )]
    pub ssl_ciphers: Option<String>,

    /// Oldest version of TLS that is spoken: 1.2 or 1.3
    #[arg(
        long,
        visible_alias = "ssl-version",
        default_value = "1.2",
        value_name = "VERSION",
        env = "WASMSERVE_SSL_MIN_VERSION"
    )]
    pub ssl_min_version: String,

    /// Time a TLS handshake may take
    #[arg(
        long,
        default_value = "10s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_HANDSHAKE"
    )]
    pub timeout_handshake: String,
}
