//! This room counts memory: what each instance takes, and what all of a worker take together.

pub mod instance;
pub mod worker;
