//! Who runs when, and for how long: time slices, budgets, and the clock that interrupts guests.

pub mod cpu_budget;
pub mod epoch;
pub mod share;
pub mod task_budget;
pub mod time_slice;
