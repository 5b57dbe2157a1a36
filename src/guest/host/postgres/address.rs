//! The operator's connection URL says where a database is, and who asks. It holds a password: nothing of it is
//! repeated in an error or a log.

use anyhow::{Result, bail};
use std::fmt;
use std::path::PathBuf;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// An `Address` is a connection URL that was understood.
#[derive(Clone)]
pub struct Address {
    pub(super) config: Config,
}

const FORM: &str = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %-escapes for what is \
                    special in the password";

impl Address {
    pub fn parse(url: &str) -> Result<Address> {
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            bail!("it is not the URL of a PostgreSQL server; {FORM}");
        }
        let (url, secure) = split_sslmode(url)?;
        let Ok(mut config) = url.parse::<Config>() else {
            bail!("it is not the URL of a PostgreSQL server; {FORM}");
        };
        if config.get_user().is_none_or(str::is_empty) {
            bail!("it names no user; {FORM}");
        }
        if config.get_hosts().is_empty() {
            bail!("it names no host; {FORM}");
        }
        if !config.get_hostaddrs().is_empty()
            || config.get_target_session_attrs() != TargetSessionAttrs::Any
        {
            bail!("hostaddr and target_session_attrs are not offered; leave them out");
        }
        if secure && config.get_hosts().iter().any(is_unix) {
            bail!("a Unix socket does not speak TLS; leave sslmode out");
        }
        config.ssl_mode(match secure {
            true => SslMode::Require,
            false => SslMode::Disable,
        });
        if config.get_application_name().is_none() {
            config.application_name("wasmserve");
        }
        Ok(Address { config })
    }

    /// Says whether TLS is spoken.
    pub fn is_secure(&self) -> bool {
        self.config.get_ssl_mode() == SslMode::Require
    }

    /// Says whether one of its hosts is reached over the network.
    pub fn is_remote(&self) -> bool {
        self.config.get_hosts().iter().any(|host| !is_unix(host))
    }

    /// Lists the Unix sockets that are connected to.
    pub fn unix_sockets(&self) -> Vec<PathBuf> {
        let hosts = self.config.get_hosts().iter().enumerate();
        let sockets = hosts.filter_map(|(nth, host)| match host {
            Host::Unix(directory) => Some(socket(directory, port(&self.config, nth))),
            Host::Tcp(_) => None,
        });
        sockets.collect()
    }
}

fn is_unix(host: &Host) -> bool {
    matches!(host, Host::Unix(_))
}

/// The server's socket has this name in the directory that a URL names.
pub(super) fn socket(directory: &std::path::Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}

/// Returns the port of the nth host: one for all, or one each.
pub(super) fn port(config: &Config, nth: usize) -> u16 {
    let ports = config.get_ports();
    let one = ports.first().filter(|_| ports.len() == 1);
    *one.or_else(|| ports.get(nth)).unwrap_or(&5432)
}

/// Takes `sslmode` out of a URL, and says whether it asks for TLS. A mode that lets whoever stands between decide is
/// none that an operator can mean, so TLS is either checked in full or not spoken.
fn split_sslmode(url: &str) -> Result<(String, bool)> {
    let Some((base, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), false));
    };
    let mut secure = false;
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", "disable")) => secure = false,
            Some(("sslmode", "require" | "verify-ca" | "verify-full")) => secure = true,
            Some(("sslmode", _)) => {
                bail!("its sslmode is none of disable, require and verify-full")
            }
            Some(("sslrootcert", _)) => {
                bail!("certificate authorities are named with --outbound-ca, not with sslrootcert")
            }
            _ => rest.push(pair),
        }
    }
    let rest = rest.join("&");
    match rest.is_empty() {
        true => Ok((base.to_owned(), secure)),
        false => Ok((format!("{base}?{rest}"), secure)),
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_people_write_them() {
        for (url, secure, remote) in [
            ("postgres://u:pw@db/app", false, true),
            (
                "postgresql://u:p%40w@db:5433/app?sslmode=verify-full&connect_timeout=3",
                true,
                true,
            ),
            (
                "postgres://u@%2Frun%2Fpostgresql/app?sslmode=disable",
                false,
                false,
            ),
            ("postgres:///app?host=/run/postgresql&user=u", false, false),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(
                (address.is_secure(), address.is_remote()),
                (secure, remote),
                "{url}"
            );
            assert_eq!(format!("{address:?}"), "postgres");
        }
        let sockets = Address::parse("postgres://u@%2Frun/app")
            .unwrap()
            .unix_sockets();
        assert_eq!(sockets, [PathBuf::from("/run/.s.PGSQL.5432")]);
    }

    #[test]
    fn a_password_is_in_no_error() {
        for (url, said) in [
            ("u:pw@db", "it is not the URL"),
            ("postgresql+psycopg://u:pw@db/app", "it is not the URL"),
            ("postgres://u:pw@db:port/app", "it is not the URL"),
            ("postgres://db/app", "it names no user"),
            (
                "postgres://u:pw@db/app?sslmode=prefer",
                "sslmode is none of",
            ),
            ("postgres://u:pw@db/app?sslrootcert=a.pem", "--outbound-ca"),
            (
                "postgres://u:pw@%2Frun/app?sslmode=require",
                "does not speak TLS",
            ),
            (
                "postgres://u:pw@db/app?target_session_attrs=read-write",
                "are not offered",
            ),
        ] {
            let error = format!("{:#}", Address::parse(url).unwrap_err());
            assert!(error.contains(said), "{url}: {error}");
            assert!(!error.contains("pw"), "{error}");
        }
    }
}
