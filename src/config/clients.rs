//! This file resolves what clients may cost us, and how they are spoken to.

use super::{headers, option, units};
use crate::cli::Serve;
use crate::connection::{HeadLimits, Protocols, Settings};
use crate::request::HeaderPolicy;
use anyhow::{Result, bail};

pub fn settings(serve: &Serve, header_policy: &HeaderPolicy) -> Result<Settings> {
    let (clients, tls) = (&serve.clients, &serve.tls);
    let (duration, some_time) = (units::duration, units::some_time);
    let positive = units::positive;
    Ok(Settings {
        protocols: option("--http", &clients.http, protocols)?,
        handshake: option("--timeout-handshake", &tls.timeout_handshake, some_time)?,
        keep_alive: option(
            "--timeout-keep-alive",
            &clients.timeout_keep_alive,
            duration,
        )?,
        header: option("--timeout-header", &clients.timeout_header, some_time)?,
        write: option("--timeout-write", &clients.timeout_write, some_time)?,
        rate: option("--min-rate", &clients.min_rate, units::size)?,
        proxy_protocol: headers::introducers(&serve.headers, serve.addresses.proxy_protocol)?,
        date_header: serve.headers.adds_date(),
        fields: header_policy.response_lines(),
        head: HeadLimits {
            head: option("--limit-head", &clients.limit_head, head)?,
            fields: option("--limit-headers", &clients.limit_headers, positive)? as usize,
        },
        streams: option("--limit-streams", &clients.limit_streams, positive)?,
        connections: option("--limit-connections", &clients.limit_connections, positive)?,
    })
}

fn protocols(text: &str) -> Result<Protocols> {
    match text {
        "auto" => Ok(Protocols::Both),
        "1" => Ok(Protocols::Http1),
        "2" => Ok(Protocols::Http2),
        _ => bail!("`{text}` is not a version of HTTP; use auto, 1 or 2"),
    }
}

/// A limit on heads lies in this range: a smaller one could not hold what browsers send, and a larger head is not held
/// in memory for anybody who asks.
const HEADS: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 20;

fn head(text: &str) -> Result<usize> {
    let size = units::size(text)?;
    if !HEADS.contains(&size) {
        bail!("`{text}` is not from 1KiB to 1MiB");
    }
    Ok(size as usize)
}
