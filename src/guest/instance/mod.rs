//! Instances of the component, and the requests that they answer.

pub mod body;
pub mod call;
pub mod concurrent;
pub mod handler;
pub mod loaded;
pub mod pool;
pub mod serial;
