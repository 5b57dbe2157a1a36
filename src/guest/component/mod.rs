//! This room describes components without a host: what a file holds, and what its native code depends on.

pub mod chain;
mod imports;
pub mod info;
mod sections;
mod shared;
pub mod source;
pub mod target;
pub mod websocket;
