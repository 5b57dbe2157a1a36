//! The operator's connection URL says where a database is, and who asks. It holds a password: nothing of it is
//! repeated in an error or a log.

use anyhow::{Result, bail};
use std::fmt;
use std::path::PathBuf;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};

/// A `DatabaseUrl` is a connection URL that was understood.
#[derive(Clone)]
pub struct DatabaseUrl {
    pub(super) config: Config,
}

const FORM: &str = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %-escapes for what is \
                    special in the password";

impl DatabaseUrl {
    pub fn parse(url: &str) -> Result<DatabaseUrl> {
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            bail!("it is not the URL of a PostgreSQL server; {FORM}");
        }
        let (url, secure) = checked(url)?;
        let Ok(mut config) = url.parse::<Config>() else {
            bail!("it is not the URL of a PostgreSQL server; {FORM}");
        };
        if config.get_user().is_none_or(str::is_empty) {
            bail!("it names no user; {FORM}");
        }
        if config.get_hosts().is_empty() {
            bail!("it names no host; {FORM}");
        }
        if secure && config.get_hosts().iter().any(is_unix) {
            bail!("a Unix socket does not speak TLS; leave sslmode out");
        }
        if !secure && config.get_ssl_negotiation() == SslNegotiation::Direct {
            bail!(
                "its sslnegotiation is direct, and nothing is encrypted; give sslmode=require, too"
            );
        }
        config.ssl_mode(match secure {
            true => SslMode::Require,
            false => SslMode::Disable,
        });
        if config.get_application_name().is_none() {
            config.application_name("wasmserve");
        }
        Ok(DatabaseUrl { config })
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

/// Sees that a URL can be read in one way only, and takes `sslmode` out of it; the second value says whether it asks
/// for TLS.
fn checked(url: &str) -> Result<(String, bool)> {
    let (scheme, all) = url.split_once("://").unwrap_or_default();
    if all.contains("://") || all.contains(|c: char| c.is_whitespace() || c.is_control()) {
        bail!(
            "it is more than one URL, or has a space in it; give each database by itself; {FORM}"
        );
    }
    // The first `@` ends user and password wherever it is; what others end them with must not come before.
    let (who, place) = all.split_once('@').unwrap_or(("", all));
    let (place, query) = place.split_once('?').unwrap_or((place, ""));
    if who.contains(['/', '?']) || place.contains('@') {
        bail!(
            "its user or password has a `/`, `?` or `@` that is not escaped (%2F, %3F, %40); {FORM}"
        );
    }
    let (rest, secure) = parameters(query)?;
    let at = if all.contains('@') { "@" } else { "" };
    let mark = if rest.is_empty() { "" } else { "?" };
    Ok((format!("{scheme}://{who}{at}{place}{mark}{rest}"), secure))
}

/// These parameters of a URL mean what they mean to libpq.
const OFFERED: [&str; 14] = [
    "user",
    "password",
    "dbname",
    "host",
    "port",
    "options",
    "application_name",
    "connect_timeout",
    "sslnegotiation",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "tcp_user_timeout",
];

/// Takes `sslmode` out of the parameters, and says whether it asks for TLS. A mode that lets whoever stands between
/// decide is none that an operator can mean, so TLS is either checked in full or not spoken.
fn parameters(query: &str) -> Result<(String, bool)> {
    let mut secure = None;
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            bail!("one of its parameters has no value; {FORM}");
        };
        match (name, value) {
            ("sslmode", _) if secure.is_some() => bail!("it has two sslmode; leave one out"),
            ("sslmode", "disable") => secure = Some(false),
            ("sslmode", "require" | "verify-ca" | "verify-full") => secure = Some(true),
            ("sslmode", _) => bail!("its sslmode is none of disable, require and verify-full"),
            ("sslrootcert", _) => {
                bail!("certificate authorities are named with --outbound-ca, not with sslrootcert")
            }
            // The certificate and the name are checked, so whoever stands between has nothing to pass on.
            ("channel_binding", "require") => bail!(
                "channel_binding=require is not offered; sslmode=require checks the server's certificate and name here, \
                 so leave channel_binding out"
            ),
            ("channel_binding", "prefer" | "disable") => {}
            _ if OFFERED.contains(&name) => rest.push(pair),
            _ => bail!(
                "its parameter `{}` is not offered; leave it out",
                known(name)
            ),
        }
    }
    Ok((rest.join("&"), secure.unwrap_or(false)))
}

/// Gives the name as it may be repeated, which is only what is named like a parameter: it may be of a password.
fn known(name: &str) -> &str {
    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
    match name.len() < 40 && name.chars().all(plain) {
        true => name,
        false => "…",
    }
}

impl fmt::Debug for DatabaseUrl {
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
            (
                "postgres://u:p%3fw%2f@db/app?sslmode=require&sslnegotiation=direct&options=a@b",
                true,
                true,
            ),
        ] {
            let address = DatabaseUrl::parse(url).unwrap();
            assert_eq!(
                (address.is_secure(), address.is_remote()),
                (secure, remote),
                "{url}"
            );
            assert_eq!(format!("{address:?}"), "postgres");
        }
        let sockets = DatabaseUrl::parse("postgres://u@%2Frun/app")
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
                "`target_session_attrs` is not offered",
            ),
            ("postgres://u:p?pw@db/app?sslmode=require", "is not escaped"),
            ("postgres://u:p/pw@db/app?sslmode=require", "is not escaped"),
            ("postgres://u:p@pw@db/app?sslmode=require", "is not escaped"),
            ("postgres://db/app?user=u&password=p@pw", "is not escaped"),
            (
                "postgres://u:pw@db/app?ssl%6dode=require",
                "`…` is not offered",
            ),
            (
                "postgres://u:pw@db/app?SSLMODE=require",
                "`…` is not offered",
            ),
            (
                "postgres://u:pw@db/app?sslmode=%72equire",
                "sslmode is none of",
            ),
            ("postgres://u:pw@db/app?sslmode", "has no value"),
            (
                "postgres://u:pw@db/app?sslmode=require&sslmode=disable",
                "two sslmode",
            ),
            (
                "postgres://u:pw@db/app?gssencmode=disable",
                "`gssencmode` is not offered",
            ),
            (
                "postgres://u:pw@db/app?sslmode=require&channel_binding=require",
                "leave channel_binding out",
            ),
            (
                "postgres://u:pw@db/app?sslnegotiation=direct",
                "give sslmode=require, too",
            ),
            (
                "postgres://u:pw@db/app other=postgres://u:pw@db/app",
                "more than one URL",
            ),
            (
                "postgres://u:pw@db/app,other=postgres://u:pw@db/app",
                "more than one URL",
            ),
            ("postgres://u:pw@db/app other=file:pw", "more than one URL"),
        ] {
            let error = format!("{:#}", DatabaseUrl::parse(url).unwrap_err());
            assert!(error.contains(said), "{url}: {error}");
            assert!(!error.contains("pw"), "{error}");
        }
    }
}
