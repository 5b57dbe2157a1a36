//! This file resolves what WebSockets may cost, and how they are kept alive.

use super::{option, units};
use crate::cli::Serve;
use crate::request::websocket::Settings;
use anyhow::{Context, Result};
use std::time::Duration;

/// Resolves the options: `idle_body` is how long a guest may go on without its client, as for the body of a response,
/// and how long nothing may come of a message, as for the body of a request; `rate` is what must come of either.
pub fn settings(serve: &Serve, idle_body: Duration, rate: u64) -> Result<Settings> {
    let cli = &serve.websockets;
    let size = |text: &str| {
        let size = usize::try_from(units::size(text)?).context("it is too large");
        size.and_then(|size| match size {
            0 => anyhow::bail!("it is 0; it must be at least 1"),
            size => Ok(size),
        })
    };
    Ok(Settings {
        most: most(serve)? as usize,
        size: option("--ws-max-size", &cli.ws_max_size, size)?,
        queue: option("--ws-max-queue", &cli.ws_max_queue, units::positive)? as usize,
        ping_interval: option("--ws-ping-interval", &cli.ws_ping_interval, units::duration)?,
        ping_timeout: option("--ws-ping-timeout", &cli.ws_ping_timeout, units::duration)?,
        idle: idle_body,
        rate,
        rest: idle_body,
    })
}

/// Resolves how many WebSockets there may be at a time in one worker.
pub fn most(serve: &Serve) -> Result<u32> {
    let text = &serve.websockets.limit_websockets;
    option("--limit-websockets", text, units::positive)
}
