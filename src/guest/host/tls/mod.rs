//! Guests speak TLS over sockets of their own: they move the bytes, the host does the cryptography and judges
//! certificates. A session is a function of bytes; nothing here waits or knows of sockets.

mod config;
mod interface;
mod session;
#[cfg(test)]
mod tests;
mod verify;

pub use interface::add_to_linker;
