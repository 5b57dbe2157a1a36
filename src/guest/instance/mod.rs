//! This room makes instances of the component and has them answer requests.

pub mod body;
pub mod call;
pub mod concurrent;
pub mod handler;
pub mod loaded;
pub mod pool;
pub mod prime;
pub mod resting;
mod restore;
pub mod serial;
pub mod websocket;
