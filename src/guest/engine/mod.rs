//! This room configures the engine, plans the pool for a component, and maps native code.

pub mod code;
mod config;
mod plan;

pub use config::{Processors, compile, compile_for, compiling, restorable, serving};
pub use plan::{LIFECYCLE, Plan};
