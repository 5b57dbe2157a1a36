//! A connection is closed with one of these codes (RFC 6455 section 7.4.1, and the registry that it founds), which say
//! for what.

use crate::request::websocket::Closed;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;

pub const AWAY: u16 = 1001;
pub const PROTOCOL: u16 = 1002;
pub const NO_CODE: u16 = 1005;
pub const ABNORMAL: u16 = 1006;
pub const NOT_UTF8: u16 = 1007;
pub const POLICY: u16 = 1008;
pub const TOO_BIG: u16 = 1009;
pub const FAILED: u16 = 1011;
pub const RESTART: u16 = 1012;
pub const GATEWAY: u16 = 1014;

/// Gives what a client is told that has broken the protocol.
pub fn fault(error: &Error) -> (u16, &'static str) {
    match error {
        Error::Utf8(_) => (NOT_UTF8, "a text is not UTF-8"),
        Error::Capacity(CapacityError::MessageTooLong { .. }) => (TOO_BIG, "a message is too big"),
        _ => (PROTOCOL, "a frame breaks the protocol"),
    }
}

pub fn close_frame(closed: &Closed) -> CloseFrame {
    CloseFrame {
        code: closed.code.into(),
        reason: closed.reason.as_str().into(),
    }
}
