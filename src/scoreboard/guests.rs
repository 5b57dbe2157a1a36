//! What is counted of a worker's guests: where instances come from and why they go, and what came of the requests that
//! guests sent. The names are the labels in the metrics.

/// Why an instance was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It was there before the first request.
    Start,
    /// No instance waited in the pool.
    PoolEmpty,
    /// Each request has one of its own: the component can neither be restored nor may it be used again.
    EachRequest,
    /// The one from the pool could not be restored.
    RestoreFailed,
    /// It answers several requests at a time.
    Concurrent,
}

pub const MADE_REASONS: [&str; 5] = [
    "start",
    "pool_empty",
    "each_request",
    "restore_failed",
    "concurrent",
];

/// Why an instance is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It has answered all that it was for.
    Finished,
    /// It failed a request.
    Failed,
    /// Nobody waits for its answer any more.
    Abandoned,
    /// The guest has kept resources of the host.
    KeptResources,
    RestoreFailed,
    /// It had nothing to do.
    Idle,
    /// Others needed its memory.
    Memory,
}

pub const DROP_REASONS: [&str; 7] = [
    "finished",
    "failed",
    "abandoned",
    "kept_resources",
    "restore_failed",
    "idle",
    "memory",
];

/// What came of a request that a guest sent, up to the head of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outbound {
    Response,
    /// No rule allows it.
    Denied,
    /// It waited for its turn, for the connection or for the response for too long.
    Timeout,
    /// There is no such name or address, nobody listens there, or its certificate is not trusted.
    Unreachable,
    /// The guest did not wait.
    Cancelled,
    Error,
}

pub const OUTBOUND_OUTCOMES: [&str; 6] = [
    "response",
    "denied",
    "timeout",
    "unreachable",
    "cancelled",
    "error",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_has_its_name() {
        assert_eq!(Made::Concurrent as usize + 1, MADE_REASONS.len());
        assert_eq!(Dropped::Memory as usize + 1, DROP_REASONS.len());
        assert_eq!(Outbound::Error as usize + 1, OUTBOUND_OUTCOMES.len());
    }
}
