//! From the operator's file to native code that can be served, with what is run before.

mod lone;
mod precompile;
mod progress;
mod request;
mod restorable;
mod spec;
mod startup_step;

pub use precompile::precompile;
pub use progress::CompileProgress;
pub use request::CompileRequest;
#[cfg(any(test, feature = "fuzzing"))]
pub use restorable::compile as compile_restorable;
