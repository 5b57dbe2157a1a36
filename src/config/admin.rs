//! This file resolves and checks where the admin process is reached.

use super::{Address, Endpoint, address, option};
use crate::cli;
use crate::sys::runtime;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// `Admin` says where questions about the server are answered, and orders taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The operator has asked for this address.
    pub address: Option<Address>,
    /// The socket that commands look for is in this directory, where there is to be one.
    pub directory: Option<PathBuf>,
}

pub fn resolve(asked: &cli::Admin) -> Result<Admin> {
    if asked.admin.is_some() && asked.no_admin {
        bail!("option --no-admin: --admin says otherwise; leave one of them out");
    }
    let address = asked.admin.as_ref().map(|text| {
        option("--admin", text, |text| {
            let bound = address::bind(text, false)?;
            if bound.tls || matches!(bound.place, Endpoint::Descriptor(_)) {
                bail!(
                    "`{text}` is of a kind that is not served there; write HOST:PORT or unix:PATH"
                );
            }
            let option = "--admin";
            Ok(Address { option, ..bound })
        })
    });
    Ok(Admin {
        address: address.transpose()?,
        directory: match asked.no_admin {
            true => None,
            false => runtime::directory(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(admin: Option<&str>, no_admin: bool) -> Result<Admin> {
        resolve(&cli::Admin {
            admin: admin.map(str::to_owned),
            no_admin,
        })
    }

    #[test]
    fn an_address_is_of_tcp_or_a_path() {
        for (text, shown) in [
            ("127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("unix:/run/x.sock", "unix socket /run/x.sock"),
        ] {
            let admin = resolved(Some(text), false).unwrap();
            assert_eq!(admin.address.unwrap().to_string(), shown);
        }
        for text in ["https://127.0.0.1:9000", "fd://7", "9000", ""] {
            let said = format!("{:#}", resolved(Some(text), false).unwrap_err());
            assert!(said.starts_with("option --admin: "), "{said}");
        }
        assert!(resolved(Some("127.0.0.1:9000"), true).is_err());
        assert_eq!(resolved(None, true).unwrap().directory, None);
    }
}
