//! Which peers a guest may talk to: rules as the operator writes them, and the kinds of addresses.
//! Knows nothing of sockets.

mod address;
mod rule;

pub use rule::{Denial, Permit, Rule, Rules, Scheme};
