//! This room is the host that guests see: what it offers, and what of it the operator has granted.

pub mod capabilities;
mod clock;
mod database_lock;
pub mod directories;
pub mod drawn;
mod guest_logger;
mod http_imports;
pub mod keyvalue;
pub mod linker;
mod listings;
mod logging;
pub mod network;
pub mod open;
pub mod outbound;
mod output;
pub mod postgres;
pub mod request_name;
mod sockets;
mod spoken_level;
pub mod sqlite;
pub mod standard_streams;
pub mod state;
mod tls;
pub mod websocket;
