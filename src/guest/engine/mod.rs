//! The engine: how it is set up, what of a component it has to know, and how native code is mapped.

pub mod code;
mod config;
mod plan;

pub use config::{Processors, compile, compile_for, compiling, restorable, serving};
pub use plan::Plan;
