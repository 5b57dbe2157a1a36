//! This file resolves whom the guest may talk to, and what that may take.

use super::{option, units};
use crate::cli;
use crate::guest::outbound::{Roots, Settings, Times};
use crate::guest::{Rule, Rules};
use anyhow::{Context, Result};

/// Resolves the options; `secure` says that TLS is spoken beside what they allow.
pub fn resolve(asked: &cli::Outbound, secure: bool) -> Result<Settings> {
    let rules = asked
        .allow_http
        .iter()
        .map(|text| option("--allow-http", text, Rule::parse))
        .collect::<Result<_>>()?;
    let roots = match &asked.outbound_ca {
        Some(path) => Roots::read(path).context("option --outbound-ca")?,
        None if asked.allow_http.is_empty() && asked.allow_net.is_empty() && !secure => {
            Roots::System
        }
        None => Roots::system()?,
    };
    let count = |text: &str| units::positive(text).map(|count| count as usize);
    Ok(Settings {
        rules: Rules::new(rules),
        roots,
        times: Times {
            connect: option(
                "--timeout-outbound-connect",
                &asked.timeout_outbound_connect,
                units::some_time,
            )?,
            first_byte: option(
                "--timeout-outbound-first-byte",
                &asked.timeout_outbound_first_byte,
                units::some_time,
            )?,
            between_bytes: option(
                "--timeout-outbound-between-bytes",
                &asked.timeout_outbound_between_bytes,
                units::some_time,
            )?,
        },
        of_one: option(
            "--limit-outbound-per-request",
            &asked.limit_outbound_per_request,
            count,
        )?,
        of_all: option("--limit-outbound", &asked.limit_outbound, count)?,
    })
}

/// Resolves whom sockets may be connected to.
pub fn sockets(asked: &cli::Outbound) -> Result<Rules> {
    let rules = asked
        .allow_net
        .iter()
        .map(|text| option("--allow-net", text, Rule::parse_for_sockets));
    Ok(Rules::new(rules.collect::<Result<_>>()?))
}
