//! A component says by its exports whether it takes WebSockets.

use wasmtime::component::Component;

/// A component that takes WebSockets exports this.
pub const HANDLER: &str = "wasmserve:websocket/socket-handler@0.1.0";

/// Says whether instances of a component take WebSockets.
pub fn is_taken_by(component: &Component) -> bool {
    component.get_export_index(None, HANDLER).is_some()
}
