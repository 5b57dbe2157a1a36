//! What the tests share: a running server, a client that sees every byte, and the guests.

pub mod asker;
pub mod certificates;
mod client;
pub mod collector;
pub mod http2;
mod redis;
pub mod registry;
mod server;
mod service;
mod upstream;
mod variant;
mod watched;

pub use client::{Connection, Response, Socket, Target, get, send, upload};
pub use redis::Redis;
pub use server::{Server, finished, finished_within, leave_open, wasmserve};
pub use service::{NotifySocket, activated};
pub use upstream::{After, HELLO, Upstream};
pub use variant::{RESTORED, Variant, always_answers, freshness, is_made_anew, write};
pub use watched::{Watched, exchange, order, said};

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A guest that `guests/build` made.
pub fn guest(name: &str) -> String {
    let path = root().join(format!("target/guests/{name}.wasm"));
    assert!(
        path.exists(),
        "{} is missing; run guests/build",
        path.display()
    );
    path.display().to_string()
}

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Waits until `condition` holds.
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    eventually_within(PATIENCE, what, condition);
}

/// Waits for at most `patience` until `condition` holds.
pub fn eventually_within(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
