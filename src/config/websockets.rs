//! This file resolves what WebSockets may cost, and how they are kept alive.

use super::{option, units};
use crate::cli::{self, Serve};
use crate::connection;
use crate::request::websocket::Settings;
use crate::warning;
use anyhow::{Context, Result};
use std::time::Duration;

/// Resolves the options: `idle_body` is how long a guest may go on without its client, as for the body of a response,
/// and how long nothing may come of a message, as for the body of a request; of the connection is the rate at which
/// either must come.
pub fn settings(
    serve: &Serve,
    idle_body: Duration,
    connection: &connection::Settings,
) -> Result<Settings> {
    let cli = &serve.websockets;
    let most = most(serve)?;
    if let Some(why) = crowded(&cli.limit_websockets, most, connection.connections) {
        warning!("{why}");
    }
    let size = |text: &str| {
        let size = usize::try_from(units::size(text)?).context("it is too large");
        size.and_then(|size| match size {
            0 => anyhow::bail!("it is 0; it must be at least 1"),
            size => Ok(size),
        })
    };
    Ok(Settings {
        most: most as usize,
        size: option("--ws-max-size", &cli.ws_max_size, size)?,
        queue: option("--ws-max-queue", &cli.ws_max_queue, units::positive)? as usize,
        ping_interval: option("--ws-ping-interval", &cli.ws_ping_interval, units::duration)?,
        ping_timeout: option("--ws-ping-timeout", &cli.ws_ping_timeout, units::duration)?,
        idle: idle_body,
        rate: connection.rate,
        rest: idle_body,
    })
}

/// Resolves how many WebSockets there may be at a time in one worker.
pub fn most(serve: &Serve) -> Result<u32> {
    let text = &serve.websockets.limit_websockets;
    option("--limit-websockets", text, units::positive)
}

/// Says what is wrong where somebody asks for so many WebSockets that they may take all connections.
fn crowded(asked: &str, most: u32, connections: u32) -> Option<String> {
    // Whoever has asked for nothing may have none.
    (asked != cli::websockets::MOST && most >= connections).then(|| {
        format!(
            "--limit-websockets ({most}) is not less than --limit-connections ({connections}): WebSockets over HTTP/1.1 \
             can take every connection of a worker, and requests wait then; raise --limit-connections"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn websockets_that_can_take_all_connections_are_warned_of() {
        assert!(crowded("10000", 10_000, 10_000).is_some());
        assert_eq!(crowded("9999", 9999, 10_000), None);
        // Somebody has few connections, and perhaps no WebSockets.
        assert_eq!(crowded("1000", 1000, 100), None);
    }
}
