//! This room is the host that guests see: what it offers, and what of it the operator has granted.

pub mod capabilities;
mod clock;
mod database_error;
mod database_lock;
pub mod directories;
mod guest_logger;
mod guest_output;
mod http_imports;
pub mod keyvalue;
pub mod linker;
mod listings;
mod log_level;
mod logging;
pub mod network;
pub mod open;
pub mod outbound;
pub mod postgres;
pub(super) mod recorded_files;
pub mod request_name;
mod sockets;
pub mod sqlite;
pub mod standard_streams;
pub mod state;
mod tls;
pub mod tracked_rng;
pub(super) mod waiting;
pub mod websocket;
