//! This room turns the operator's file into native code that can be served, and runs the steps before the start.

mod application;
mod one_off;
mod precompile;
mod primer;
mod priming;
mod progress;
mod request;
mod restorable;
mod spec;
mod startup_step;

pub use precompile::precompile;
pub use priming::{PrimeRequest, Priming};
pub use progress::CompileProgress;
pub use request::CompileRequest;
#[cfg(any(test, feature = "fuzzing"))]
pub use restorable::compile as compile_restorable;
pub use startup_step::Occasion;
