//! `Addresses` says where to listen, as it was asked for: which addresses there are, and whether they go together.

use super::address::{self, Address, Endpoint, Host};
use super::{honoured, maybe, option, units};
use crate::cli;
use anyhow::{Context, Result, bail};
use std::net::{IpAddr, Ipv4Addr};

/// `Addresses` are all that the server listens at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The operator has named these. Where there are none, the server takes what the service manager left open, or
    /// else `fallback`.
    pub named: Vec<Address>,
    pub fallback: Address,
    /// Requests are only redirected to https here.
    pub redirect: Option<Address>,
    /// An address that does not say so speaks TLS.
    pub tls: bool,
    /// The files of Unix sockets have these permissions.
    pub permissions: u32,
    /// The kernel holds this many connections until they are accepted.
    pub backlog: i32,
}

impl Addresses {
    /// Resolves the options. Where there are certificates, an address that does not say otherwise
    /// speaks TLS.
    pub fn resolve(options: &cli::Addresses, certificates: bool) -> Result<Addresses> {
        let usual = |place, option| Address {
            place,
            tls: certificates,
            option,
        };
        let tcp = usual(tcp(options)?, "--host");
        let mut named = Vec::new();
        if options.host.is_some() || options.port.is_some() {
            named.push(tcp.clone());
        }
        if let Some(path) = &options.uds {
            let place = address::unix(path.as_os_str()).context("option --uds")?;
            named.push(usual(place, "--uds"));
        }
        if let Some(place) = maybe("--fd", options.fd.as_ref(), address::descriptor)? {
            named.push(usual(place, "--fd"));
        }
        for text in &options.bind {
            named.push(option("--bind", text, |text| {
                address::bind(text, certificates)
            })?);
        }
        let redirect = maybe("--redirect-http", options.redirect_http.as_ref(), |text| {
            let text = text.strip_prefix("http://").unwrap_or(text);
            let (place, tls) = (address::inet(text.trim_end_matches('/'))?, false);
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
        addresses.agree()?;
        Ok(addresses)
    }

    /// Checks what each address cannot know of the others.
    fn agree(&self) -> Result<()> {
        for (index, address) in self.named.iter().enumerate() {
            let port_0 = matches!(address.place, Endpoint::Inet { port: 0, .. });
            let before = &self.named[..index];
            if !port_0 && before.iter().any(|other| other.place == address.place) {
                bail!("option {}: {} is named twice", address.option, address);
            }
        }
        let speaks_tls = match self.named.is_empty() {
            true => self.tls,
            false => self.named.iter().any(|address| address.tls),
        };
        if speaks_tls && !self.tls {
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

fn tcp(options: &cli::Addresses) -> Result<Endpoint> {
    let port = match &options.port {
        Some(port) => option("--port", port, address::port_number)?,
        None => honoured(cli::honoured::PORT, address::port_number)?.unwrap_or(8000),
    };
    let host = match &options.host {
        Some(host) => option("--host", host, |text| {
            address::host(text.trim_matches(['[', ']']))
        })?,
        None => Host::Address(IpAddr::from(Ipv4Addr::LOCALHOST)),
    };
    Ok(Endpoint::Inet { host, port })
}

fn backlog(text: &str) -> Result<i32> {
    let number = units::positive(text)?;
    i32::try_from(number).with_context(|| format!("`{text}` is too large"))
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
    fn several_addresses_have_commas_between_them_or_an_option_each() {
        let all = named(&["--bind", "[::1]:1,fd://3", "--bind", "[::1]:2"], false);
        let all: Vec<&str> = all.iter().map(|(address, _)| address.as_str()).collect();
        assert_eq!(all, ["http://[::1]:1", "descriptor 3", "http://[::1]:2"]);
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
    fn redirecting_needs_something_to_redirect_to() {
        let redirect = ["--redirect-http", "0.0.0.0:80"];
        assert!(mistake(&redirect).contains("no https address"));
        assert!(resolve(&redirect, true).unwrap().redirect.is_some());
        let plain = [&redirect[..], &["--bind", "http://127.0.0.1:0"]].concat();
        assert!(resolve(&plain, true).is_err());
    }
}
