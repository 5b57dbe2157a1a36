//! An `Address` can be written in every form that other servers have, and says whether it speaks TLS. Names are not
//! resolved here.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub place: Endpoint,
    pub tls: bool,
    /// The operator gave the address with this option.
    pub option: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Inet { host: Host, port: u16 },
    Unix(PathBuf),
    Descriptor(RawFd),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Address(IpAddr),
    /// The name is still to be resolved, which gives one address or several.
    Name(String),
}

/// These may stand before an address, and each says this of TLS.
const SCHEMES: [(&str, AddressForm, Security); 9] = [
    ("unix:", AddressForm::Unix, Security::ByCertificates),
    ("unix+http:", AddressForm::Unix, Security::Plain),
    ("unix+https:", AddressForm::Unix, Security::Tls),
    ("fd://", AddressForm::Descriptor, Security::ByCertificates),
    ("fd+http://", AddressForm::Descriptor, Security::Plain),
    ("fd+https://", AddressForm::Descriptor, Security::Tls),
    ("tcp://", AddressForm::Inet, Security::ByCertificates),
    ("http://", AddressForm::Inet, Security::Plain),
    ("https://", AddressForm::Inet, Security::Tls),
];

#[derive(Clone, Copy)]
enum AddressForm {
    Inet,
    Unix,
    Descriptor,
}

/// `Security` says whether TLS is spoken.
#[derive(Clone, Copy)]
enum Security {
    Plain,
    Tls,
    /// TLS is spoken where there are certificates.
    ByCertificates,
}

impl Security {
    fn is_tls(self, certificates: bool) -> bool {
        match self {
            Security::Plain => false,
            Security::Tls => true,
            Security::ByCertificates => certificates,
        }
    }
}

/// The address of a Unix socket has room for no longer path (unix(7)): 108 bytes with the NUL.
const LONGEST_PATH: usize = 107;

/// Parses the value of --bind; `certificates` says what is spoken where the value does not.
pub fn bind(text: &str, certificates: bool) -> Result<Address> {
    let schemes = SCHEMES.iter();
    let mut found = schemes.filter_map(|(prefix, scheme, security)| {
        let rest = text.strip_prefix(prefix)?;
        Some((rest, *scheme, security.is_tls(certificates)))
    });
    let (rest, scheme, tls) = match found.next() {
        Some(found) => found,
        None if text.contains("://") => bail!(
            "`{text}` is of no known kind; write HOST:PORT, http://, https://, unix: or fd://"
        ),
        None => (text, AddressForm::Inet, certificates),
    };
    let place = match scheme {
        AddressForm::Inet => inet(rest.strip_suffix('/').unwrap_or(rest))?,
        AddressForm::Unix => unix(OsStr::new(rest.strip_prefix("//").unwrap_or(rest)))?,
        AddressForm::Descriptor => descriptor(rest)?,
    };
    let option = "--bind";
    Ok(Address { place, tls, option })
}

pub fn inet(text: &str) -> Result<Endpoint> {
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
    Ok(Endpoint::Inet { host, port })
}

pub fn host(text: &str) -> Result<Host> {
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

/// Says whether this can be a host's name (RFC 1123 section 2.1, and the underscore that is in use). What ends in a
/// number is a mistyped address.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !label.is_empty() && label.chars().all(known)
    };
    let mut labels = text.strip_suffix('.').unwrap_or(text).split('.');
    let last = labels.clone().next_back().unwrap_or_default();
    labels.all(label) && !last.chars().all(|c| c.is_ascii_digit())
}

pub fn unix(path: &OsStr) -> Result<Endpoint> {
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
    Ok(Endpoint::Unix(path.to_owned()))
}

pub fn descriptor(text: &str) -> Result<Endpoint> {
    match text.parse::<RawFd>() {
        Ok(0..=2) => {
            bail!("{text} is standard input, output or error; pass the socket as 3 or higher")
        }
        Ok(number) if number > 2 => Ok(Endpoint::Descriptor(number)),
        _ => bail!("`{text}` is not the number of a descriptor"),
    }
}

pub fn port_number(text: &str) -> Result<u16> {
    let number = Some(text).filter(|text| !text.starts_with('+'));
    number
        .and_then(|text| text.parse().ok())
        .with_context(|| format!("`{text}` is not a port; it is a number from 0 to 65535"))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(address) => address.fmt(f),
            Host::Name(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        match &self.place {
            Endpoint::Inet { host, port } => match host.to_string() {
                // An address of IPv6, perhaps with a zone.
                host if host.contains(':') => write!(f, "{scheme}://[{host}]:{port}"),
                host => write!(f, "{scheme}://{host}:{port}"),
            },
            Endpoint::Unix(path) => write!(f, "unix socket {}", path.display()),
            Endpoint::Descriptor(number) => write!(f, "descriptor {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_address_is_understood() {
        for (text, clear, with_certificates) in [
            ("127.0.0.1:80", "http://127.0.0.1:80", true),
            ("[::1]:80", "http://[::1]:80", true),
            ("tcp://localhost:0", "http://localhost:0", true),
            ("http://0.0.0.0:80/", "http://0.0.0.0:80", false),
            ("[fe80::1%lo]:80", "http://[fe80::1%lo]:80", true),
            ("unix:run/x.sock", "unix socket run/x.sock", true),
            ("unix:///run/x.sock", "unix socket /run/x.sock", true),
            ("unix+http:/run/x.sock", "unix socket /run/x.sock", false),
            ("fd://7", "descriptor 7", true),
            ("fd+http://7", "descriptor 7", false),
        ] {
            let plain = bind(text, false).unwrap();
            assert_eq!((plain.to_string().as_str(), plain.tls), (clear, false));
            assert_eq!(bind(text, true).unwrap().tls, with_certificates, "{text}");
        }
        for text in ["https://[::]:443", "unix+https:/run/x", "fd+https://9"] {
            assert!(bind(text, false).unwrap().tls, "{text}");
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
            let said = format!("{:#}", bind(text, false).unwrap_err());
            assert!(said.contains(word), "{said}");
        }
    }

    #[test]
    fn a_path_fits_into_the_address_of_a_socket() {
        assert!(unix("x".repeat(107).as_ref()).is_ok());
        let said = unix("x".repeat(108).as_ref()).unwrap_err().to_string();
        assert!(said.contains("108 bytes"), "{said}");
    }
}
