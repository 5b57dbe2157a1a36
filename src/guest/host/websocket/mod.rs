//! The host offers this to guests that serve WebSockets: messages as values, in queues that are bounded. How messages
//! are framed is the connection's business.

mod channel;
mod interface;
mod open_websockets;

pub use channel::{Bounds, Channel, Closed, Message, OpeningAnswer, Outgoing};
pub use interface::{Connection, Opening, add_to_linker, serve};
pub use open_websockets::OpenWebSockets;
