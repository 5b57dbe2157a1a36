//! This room has the system calls and the allocator, and nothing else: no policy, no state. It is the only home of
//! `unsafe`.

pub mod allocator;
pub mod at_hand;
pub mod channel;
pub mod clock;
pub mod control_group;
pub mod cpus;
pub mod directory;
pub mod epoll;
pub mod exec;
pub mod file;
pub mod fork;
pub mod heap;
pub mod limits;
pub mod locked_directory;
pub mod memory;
pub mod pid_file;
pub mod print;
pub mod privileges;
pub mod process;
#[cfg(test)]
pub mod raw;
pub mod region;
pub mod regular;
pub mod runtime;
pub mod signals;
pub mod socket;
mod unix_queue;
pub mod watch;
