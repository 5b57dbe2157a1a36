//! How much memory instances take: each for itself, and all of a worker together.

pub mod instance;
pub mod worker;
