//! This room decides which guest runs, and for how long: time slices, budgets, and the threads that interrupt guests.

pub mod alarm;
pub mod cpu_budget;
pub mod cpu_share;
pub mod epoch;
pub mod scheduler;
pub mod task_budget;
