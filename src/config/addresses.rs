//! Where to listen, as it was asked for: every form of writing an address, and which of them speak
//! TLS. Names are not resolved here.

use super::{maybe, option, units, variable};
use crate::cli;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Those that were named. Where there are none: what the service manager left open, or else
    /// `fallback`.
    pub named: Vec<Address>,
    pub fallback: Address,
    /// Where requests are only redirected to https.
    pub redirect: Option<Address>,
    /// Whether an address that does not say so speaks TLS.
    pub tls: bool,
    /// Of the files of Unix sockets.
    pub permissions: u32,
    /// Connections that the kernel holds until they are accepted.
    pub backlog: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub place: Place,
    pub tls: bool,
    /// What it was given with, for whoever has to change it.
    pub option: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Inet { host: Host, port: u16 },
    Unix(PathBuf),
    Descriptor(RawFd),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Address(IpAddr),
    /// To be resolved, which gives one address or several.
    Name(String),
}

/// What stands before an address, and what it says of TLS where it says something.
const SCHEMES: [(&str, Scheme, Option<bool>); 9] = [
    ("unix:", Scheme::Unix, None),
    ("unix+http:", Scheme::Unix, Some(false)),
    ("unix+https:", Scheme::Unix, Some(true)),
    ("fd://", Scheme::Descriptor, None),
    ("fd+http://", Scheme::Descriptor, Some(false)),
    ("fd+https://", Scheme::Descriptor, Some(true)),
    ("tcp://", Scheme::Inet, None),
    ("http://", Scheme::Inet, Some(false)),
    ("https://", Scheme::Inet, Some(true)),
];

#[derive(Clone, Copy)]
enum Scheme {
    Inet,
    Unix,
    Descriptor,
}

/// The longest path that the address of a Unix socket has room for (unix(7)): 108 bytes with the NUL.
const LONGEST_PATH: usize = 107;

impl Addresses {
    /// Resolves the options, which are about TLS unless they say otherwise where there are
    /// certificates.
    pub fn resolve(options: &cli::Addresses, certificates: bool) -> Result<Addresses> {
        let address = |place, option| Address {
            place,
            tls: certificates,
            option,
        };
        let tcp = address(tcp(options)?, "--host");
        let mut named = Vec::new();
        if options.host.is_some() || options.port.is_some() {
            named.push(tcp.clone());
        }
        if let Some(path) = &options.uds {
            let place = unix(path.as_os_str()).context("option --uds")?;
            named.push(address(place, "--uds"));
        }
        if let Some(place) = maybe("--fd", options.fd.as_ref(), descriptor)? {
            named.push(address(place, "--fd"));
        }
        for text in &options.bind {
            named.push(option("--bind", text, |text| bind(text, certificates))?);
        }
        let redirect = maybe("--redirect-http", options.redirect_http.as_ref(), |text| {
            let text = text.strip_prefix("http://").unwrap_or(text);
            let (place, tls) = (inet(text.trim_end_matches('/'))?, false);
            let option = "--redirect-http";
            Ok(Address { place, tls, option })
        })?;
        let addresses = Addresses {
            named,
            fallback: tcp,
            redirect,
            tls: certificates,
            permissions: option(
                "--uds-permissions",
                &options.uds_permissions,
                units::permissions,
            )?,
            backlog: option("--backlog", &options.backlog, backlog)?,
        };
        addresses.agree(certificates)?;
        Ok(addresses)
    }

    /// What each of them cannot know of the others.
    fn agree(&self, certificates: bool) -> Result<()> {
        for (index, address) in self.named.iter().enumerate() {
            let port_0 = matches!(address.place, Place::Inet { port: 0, .. });
            let before = &self.named[..index];
            if !port_0 && before.iter().any(|other| other.place == address.place) {
                bail!("option {}: {} is named twice", address.option, address);
            }
        }
        let speaks_tls = match self.named.is_empty() {
            true => self.tls,
            false => self.named.iter().any(|address| address.tls),
        };
        if speaks_tls && !certificates {
            bail!("option --bind: https needs a certificate; give one with --ssl-certfile");
        }
        if self.redirect.is_some() && !speaks_tls {
            bail!(
                "option --redirect-http: there is no https address to redirect to; \
                 give a certificate with --ssl-certfile"
            );
        }
        Ok(())
    }
}

fn tcp(options: &cli::Addresses) -> Result<Place> {
    let port = match &options.port {
        Some(port) => option("--port", port, port_number)?,
        None => maybe("PORT", variable("PORT").as_ref(), port_number)?.unwrap_or(8000),
    };
    let host = match &options.host {
        Some(host) => option("--host", host, |text| {
            self::host(text.trim_matches(['[', ']']))
        })?,
        None => Host::Address(IpAddr::from(Ipv4Addr::LOCALHOST)),
    };
    Ok(Place::Inet { host, port })
}

fn bind(text: &str, certificates: bool) -> Result<Address> {
    let schemes = SCHEMES.iter();
    let found = schemes.filter_map(|(prefix, scheme, tls)| {
        let rest = text.strip_prefix(prefix)?;
        Some((rest, *scheme, tls.unwrap_or(certificates)))
    });
    let (rest, scheme, tls) = match found.last() {
        Some(found) => found,
        None if text.contains("://") => bail!(
            "`{text}` is of no known kind; write HOST:PORT, http://, https://, unix: or fd://"
        ),
        None => (text, Scheme::Inet, certificates),
    };
    let place = match scheme {
        Scheme::Inet => inet(rest.strip_suffix('/').unwrap_or(rest))?,
        Scheme::Unix => unix(OsStr::new(rest.strip_prefix("//").unwrap_or(rest)))?,
        Scheme::Descriptor => descriptor(rest)?,
    };
    let option = "--bind";
    Ok(Address { place, tls, option })
}

fn inet(text: &str) -> Result<Place> {
    let Some((host, port)) = text.rsplit_once(':') else {
        bail!("`{text}` has no port; write it like 127.0.0.1:8000 or [::1]:8000");
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = match bracketed {
        Some(address) if !address.contains(':') => bail!("`{address}` is not an IPv6 address"),
        Some(address) => address,
        None if host.contains(':') => {
            bail!("`{text}` is ambiguous; write an IPv6 address and its port like [::1]:8000")
        }
        None if host.is_empty() => {
            bail!("`{text}` has no host; write 0.0.0.0{text} or [::]{text} for every address")
        }
        None => host,
    };
    let (host, port) = (self::host(host)?, port_number(port)?);
    Ok(Place::Inet { host, port })
}

fn host(text: &str) -> Result<Host> {
    if let Ok(address) = text.parse() {
        return Ok(Host::Address(address));
    }
    // With a zone, which only the resolver can turn into a number (RFC 4007 section 11).
    let zoned = text.split_once('%');
    if zoned.is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok()) || is_name(text) {
        return Ok(Host::Name(text.to_owned()));
    }
    bail!("`{text}` is neither an IP address nor a name; write it like 127.0.0.1, 0.0.0.0 or ::")
}

/// Whether it can be a host's name (RFC 1123 section 2.1, and the underscore that is in use). What
/// ends in a number is a mistyped address.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !label.is_empty() && label.chars().all(known)
    };
    let mut labels = text.strip_suffix('.').unwrap_or(text).split('.');
    let last = labels.clone().next_back().unwrap_or_default();
    labels.all(label) && !last.chars().all(|c| c.is_ascii_digit())
}

fn unix(path: &OsStr) -> Result<Place> {
    let length = path.len();
    let path = Path::new(path);
    if length == 0 {
        bail!("the path is empty; write it like /run/wasmserve/http.sock");
    }
    if length > LONGEST_PATH {
        bail!(
            "the path `{}` has {length} bytes, and a socket's may have {LONGEST_PATH}; choose a \
             shorter one",
            path.display()
        );
    }
    Ok(Place::Unix(path.to_owned()))
}

fn descriptor(text: &str) -> Result<Place> {
    match text.parse::<RawFd>() {
        Ok(0..=2) => {
            bail!("{text} is standard input, output or error; pass the socket as 3 or higher")
        }
        Ok(number) if number > 2 => Ok(Place::Descriptor(number)),
        _ => bail!("`{text}` is not the number of a descriptor"),
    }
}

fn port_number(text: &str) -> Result<u16> {
    let number = Some(text).filter(|text| !text.starts_with('+'));
    number
        .and_then(|text| text.parse().ok())
        .with_context(|| format!("`{text}` is not a port; it is a number from 0 to 65535"))
}

fn backlog(text: &str) -> Result<i32> {
    let number = units::positive(text)?;
    i32::try_from(number).with_context(|| format!("`{text}` is too large"))
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        match &self.place {
            Place::Inet { host, port } => match host {
                Host::Address(IpAddr::V6(address)) => write!(f, "{scheme}://[{address}]:{port}"),
                Host::Address(address) => write!(f, "{scheme}://{address}:{port}"),
                Host::Name(name) => write!(f, "{scheme}://{name}:{port}"),
            },
            Place::Unix(path) => write!(f, "unix socket {}", path.display()),
            Place::Descriptor(number) => write!(f, "descriptor {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn resolve(arguments: &[&str], certificates: bool) -> Result<Addresses> {
        let arguments = ["wasmserve", "app.wasm"].iter().chain(arguments);
        let serve = cli::Cli::parse_from(arguments).serve;
        Addresses::resolve(&serve.addresses, certificates)
    }

    fn named(arguments: &[&str], certificates: bool) -> Vec<(String, bool)> {
        let addresses = resolve(arguments, certificates).unwrap();
        let named = addresses.named.iter();
        named
            .map(|address| (address.to_string(), address.tls))
            .collect()
    }

    fn mistake(arguments: &[&str]) -> String {
        format!("{:#}", resolve(arguments, false).unwrap_err())
    }

    #[test]
    fn every_form_of_an_address_is_understood() {
        for (text, clear, with_certificates) in [
            ("127.0.0.1:80", "http://127.0.0.1:80", true),
            ("[::1]:80", "http://[::1]:80", true),
            ("tcp://localhost:0", "http://localhost:0", true),
            ("http://0.0.0.0:80/", "http://0.0.0.0:80", false),
            ("[fe80::1%lo]:80", "http://fe80::1%lo:80", true),
            ("unix:run/x.sock", "unix socket run/x.sock", true),
            ("unix:///run/x.sock", "unix socket /run/x.sock", true),
            ("unix+http:/run/x.sock", "unix socket /run/x.sock", false),
            ("fd://7", "descriptor 7", true),
            ("fd+http://7", "descriptor 7", false),
        ] {
            let plain = (clear.to_owned(), false);
            assert_eq!(named(&["--bind", text], false), [plain]);
            let tls = named(&["--bind", text], true)[0].1;
            assert_eq!(tls, with_certificates, "{text}");
        }
        for text in ["https://[::]:443", "unix+https:/run/x", "fd+https://9"] {
            assert!(named(&["--bind", text], true)[0].1, "{text}");
            assert!(
                mistake(&["--bind", text]).contains("--ssl-certfile"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_malformed_address_is_told_with_how_to_write_it() {
        for (text, word) in [
            ("", "no port"),
            ("127.0.0.1", "no port"),
            ("127.0.0.1:", "not a port"),
            ("127.0.0.1:http", "not a port"),
            ("127.0.0.1:+80", "not a port"),
            ("127.0.0.1:65536", "not a port"),
            ("127.0.0.256:80", "neither an IP address nor a name"),
            ("a..b:80", "neither an IP address nor a name"),
            ("a b:80", "neither an IP address nor a name"),
            (":80", "0.0.0.0:80 or [::]:80"),
            ("::1:80", "[::1]:8000"),
            ("[::1:80", "[::1]:8000"),
            ("[127.0.0.1]:80", "not an IPv6 address"),
            ("ftp://127.0.0.1:80", "no known kind"),
            ("unix:", "empty"),
            ("fd://", "not the number"),
            ("fd://-4", "not the number"),
            ("fd://2", "standard"),
        ] {
            let said = mistake(&["--bind", text]);
            assert!(
                said.starts_with("option --bind: ") && said.contains(word),
                "{said}"
            );
        }
    }

    #[test]
    fn all_that_is_named_is_listened_on() {
        let arguments = [
            "--port", "80", "--uds", "x", "--fd", "3", "--bind", "[::1]:80",
        ];
        let all = named(&arguments, false);
        let all: Vec<&str> = all.iter().map(|(address, _)| address.as_str()).collect();
        let expected = [
            "http://127.0.0.1:80",
            "unix socket x",
            "descriptor 3",
            "http://[::1]:80",
        ];
        assert_eq!(all, expected);
        assert!(named(&[], false).is_empty());
    }

    #[test]
    fn an_address_is_named_once() {
        assert!(mistake(&["--fd", "3", "--bind", "fd://3"]).contains("twice"));
        assert!(mistake(&["--bind", "[::1]:80", "--bind", "http://[0::1]:80"]).contains("twice"));
        assert_eq!(
            named(&["--bind", "[::1]:0", "--bind", "[::1]:0"], false).len(),
            2
        );
    }

    #[test]
    fn a_path_fits_into_the_address_of_a_socket() {
        assert_eq!(named(&["--uds", &"x".repeat(107)], false).len(), 1);
        assert!(mistake(&["--uds", &"x".repeat(108)]).contains("108 bytes"));
    }

    #[test]
    fn redirecting_needs_something_to_redirect_to() {
        let redirect = ["--redirect-http", "0.0.0.0:80"];
        assert!(mistake(&redirect).contains("no https address"));
        assert!(resolve(&redirect, true).unwrap().redirect.is_some());
        let plain = [&redirect[..], &["--bind", "http://127.0.0.1:0"]].concat();
        assert!(resolve(&plain, true).is_err());
    }
}
