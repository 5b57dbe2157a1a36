//! What a client may cost us.

use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Between two requests.
    pub keep_alive: Duration,
    /// From the first byte of a request's head to its last.
    pub header: Duration,
    /// For a client to take some of what is written to it.
    pub write: Duration,
    /// Whether responses say when they were made.
    pub date_header: bool,
}

/// How connections of one listener are spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Door {
    pub tls: bool,
}
