//! The application's own startup, which the bridges of `wasmserve build` run when they are asked to (`wit/world.wit`):
//! Python's lifespan, Go's main function until it serves. Without a bridge there is nothing to ask.

use super::Guest;
use super::failure::Failure;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use wasmtime::component::Component;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

/// A component with a bridge exports this interface.
const BRIDGE: &str = "wasmserve:guest/bridge";

/// Requests that clients send have another scheme.
pub const SCHEME: &str = "wasmserve";

/// A bridge says in this way that the application does not start; what follows the application has said.
const FAILED: &str = "startup failed: ";

/// Says whether a component has a bridge of ours.
pub fn is_bridged(component: &Component) -> bool {
    component.get_export_index(None, BRIDGE).is_some()
}

/// Reads what a guest answers in the place of a response.
pub fn failure_of(code: ErrorCode) -> Failure {
    if let ErrorCode::InternalError(Some(said)) = &code
        && let Some(said) = said.strip_prefix(FAILED)
    {
        return Failure::NotStarted(said.to_owned());
    }
    Failure::ErrorCode(code.to_string())
}

impl Guest {
    /// Says whether the component has a bridge of ours.
    pub fn is_bridged(&self) -> bool {
        self.is_bridged
    }

    /// Has one instance start the application, so that one that cannot start is known before there are requests.
    pub async fn start_application(&self) -> Result<(), Failure> {
        if !self.is_bridged {
            return Ok(());
        }
        let empty = Empty::new().map_err(|never| match never {});
        let mut request = Request::new(empty.boxed_unsync());
        *request.uri_mut() = Uri::from_static("wasmserve://localhost/start");
        let response = self.answer(Box::new(request)).await?;
        // The instance is kept for the first request when it has ended its answer.
        match response.into_body().collect().await {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::Unfinished(error.to_string())),
        }
    }
}
