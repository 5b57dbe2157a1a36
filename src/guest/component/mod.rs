//! What a component is, without a host: what is in its file, and what its native code depends on.

pub mod info;
pub mod source;
pub mod target;
