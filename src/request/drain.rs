//! A request's body that nobody reads is thrown away as it comes, for a while. A client that writes first and then
//! reads would lose its answer otherwise, since closing over what it sends resets the connection (RFC 9112 section
//! 9.6; RFC 9113 section 8.1).

use super::Incoming;
use http_body::Body;
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::spawn_local;
use tokio::time::timeout;

/// A body is thrown away for this long altogether, and for this long while nothing comes (as nginx lingers).
pub const LINGER: Duration = Duration::from_secs(30);
pub const LINGER_IDLE: Duration = Duration::from_secs(5);

/// Throws a body away in the background.
pub fn drain(mut body: Incoming) {
    if body.is_end_stream() || !body.is_thrown_away() || Handle::try_current().is_err() {
        return;
    }
    // Who waits to be asked for the body does not send it.
    if body.is_unasked() && !body.forgo() {
        return;
    }
    let rest =
        async move { while let Ok(Some(Ok(_))) = timeout(LINGER_IDLE, body.frame()).await {} };
    spawn_local(async { timeout(LINGER, rest).await });
}
