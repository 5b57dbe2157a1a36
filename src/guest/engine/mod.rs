//! This room configures the engine, plans the pool for a component, and maps native code.

pub mod code;
mod code_info;
mod config;

pub use code_info::{CodeInfo, LIFECYCLE};
pub use config::{
    Effort, NoThreads, Processors, compile, compile_for, compiling, compiling_with, restorable,
    serving,
};
