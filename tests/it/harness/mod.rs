//! What the tests share: a running server, a client that sees every byte, and the guests.

pub mod asker;
mod cache;
pub mod certificates;
mod client;
pub mod collector;
mod command;
pub mod databases;
mod folder;
pub mod http2;
mod large;
pub mod limits;
mod mariadb;
pub mod middleware;
mod mongo;
pub mod objects;
mod output;
pub mod peers;
mod postgres;
pub mod process;
mod redis;
mod refusal;
pub mod registry;
mod request;
mod server;
mod service;
mod set_at_end;
mod start;
mod terminal;
mod tls;
mod upstream;
mod variant;
mod watched;
pub mod websocket;

pub use cache::{files, folder, with_cache, with_much_code, with_start};
pub use client::{Connection, Response, Socket, Target, get, send, upload};
pub use command::{finished, finished_within, leave_open, under};
pub use folder::{Folder, has_ipv6, text};
pub use large::{compiled, pad};
pub use mariadb::MariaDb;
pub use mongo::Mongo;
pub use postgres::Postgres;
pub use process::{lives, number, peak, scoreboard, strike};
pub use redis::Redis;
pub use refusal::{Unprivileged, file, hello, refused, refused_by, refused_with};
pub use request::HOLDING;
pub use server::Server;
pub use service::{NotifySocket, activated};
pub use set_at_end::SetAtEnd;
pub use start::{Start, wasmserve};
pub use terminal::on_terminal;
pub use tls::{curl, s_client, secure};
pub use upstream::{After, GREETING, Upstream};
pub use variant::{RESTORED, Variant, always_answers, freshness, is_made_anew, made_anew, write};
pub use watched::{Watched, order, said};

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long anything is waited for, on a machine that is busy with much else.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How long a component of fifty megabytes may take to be compiled, while other tests run.
pub const COMPILING: Duration = Duration::from_secs(600);

/// The smallest component, which needs no toolchain.
pub const HELLO: &str = "guests/hello/hello.wat";

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
    eventually_within(DEADLINE, what, condition);
}

/// Waits for at most `patience` until `condition` holds.
pub fn eventually_within(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
