//! A worker counts these things of its guests: where instances come from and why they go, and how the requests ended
//! that guests sent. The names are the labels in the metrics.

/// `MadeReason` says why an instance was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeReason {
    /// The instance was there before the first request.
    Start,
    /// No instance waited in the pool.
    PoolEmpty,
    /// Each request has an instance of its own: the component can neither be restored nor may it be used again.
    EachRequest,
    /// The instance from the pool could not be restored.
    RestoreFailed,
    /// The instance answers several requests at a time.
    Concurrent,
}

pub const MADE_REASONS: [&str; 5] = [
    "start",
    "pool_empty",
    "each_request",
    "restore_failed",
    "concurrent",
];

/// `DropReason` says why an instance is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The instance has answered all that it was for.
    Finished,
    /// The instance failed a request.
    Failed,
    /// Nobody waits for the instance's answer any more.
    Abandoned,
    /// The guest has kept resources of the host.
    KeptResources,
    RestoreFailed,
    /// The instance had nothing to do.
    Idle,
    /// Other instances needed the memory.
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

/// `Outbound` says how a request ended that a guest sent, up to the head of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outbound {
    Response,
    /// No rule allows the request.
    Denied,
    /// The request waited too long for a permit, for the connection or for the response.
    Timeout,
    /// There is no such name or address, nobody listens there, or its certificate is not trusted.
    Unreachable,
    /// The guest did not wait for the response.
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
        assert_eq!(MadeReason::Concurrent as usize + 1, MADE_REASONS.len());
        assert_eq!(DropReason::Memory as usize + 1, DROP_REASONS.len());
        assert_eq!(Outbound::Error as usize + 1, OUTBOUND_OUTCOMES.len());
    }
}
