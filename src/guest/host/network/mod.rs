//! The operator writes rules about which peers a guest may talk to, and these know the kinds of addresses. They know
//! nothing of sockets.

mod address;
mod rule;

pub use rule::{Denial, Permit, Rule, Rules, Scheme};
