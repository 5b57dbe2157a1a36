//! A guest serves a WebSocket: an instance of its own runs the handler for as long as the connection lasts, and is
//! dropped after that, whatever the component allows.

pub use super::host::request_name::RequestName;
pub use super::host::websocket::{Bounds, Closed, Message, Opening, OpeningAnswer, Outgoing};
pub use super::instance::websocket::WebSocketSession;

use super::Guest;
use super::failure::Failure;
use super::host::websocket::{Channel, Connection};
use super::instance::call::RunningGuest;
use super::instance::resting;
use std::sync::Arc;

impl Guest {
    /// Says whether the component takes WebSockets.
    pub fn takes_websockets(&self) -> bool {
        self.exported.websockets
    }

    /// Begins to have an instance serve a WebSocket. The guest logs under this name.
    pub async fn open_websocket(
        &self,
        opening: Opening,
        bounds: Bounds,
        name: Option<RequestName>,
    ) -> Result<WebSocketSession, Failure> {
        if self.granted.memory().is_full() {
            // Requests come first, which end by themselves: for them others are given up (`relieve`).
            self.websockets.give_up_abandoned();
            return Err(Failure::NoRoom);
        }
        let share = self.begin().await;
        let restored = self.pool.as_ref().filter(|pool| pool.restores());
        let start = match restored.and_then(|pool| pool.take(true)) {
            Some(instance) => self.resume(instance, share.clone(), name),
            None => self.fresh(share.clone(), name),
        };
        let channel = Arc::new(Channel::new(bounds));
        self.websockets.add(&channel);
        let connection = Connection::new(channel.clone(), opening.subprotocols.clone());
        let (own, memory) = (share.clone(), start.memory().clone());
        let contents = resting::Memory::default();
        let idle = contents.clone();
        let call = async move {
            let instance = start.instance(&own).await?;
            idle.replace(instance.idle_memory());
            instance.serve_websocket(opening, connection).await
        };
        let guest = RunningGuest::new(call, self.epoch_thread.clone(), share, memory.clone());
        Ok(WebSocketSession::new(guest, contents, channel, memory))
    }
}
