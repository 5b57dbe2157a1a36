//! The application's own startup, before there are requests: Python's lifespan, Go's main function until it serves. A
//! component takes part in it by exporting `wasmserve:lifecycle/application`. The primer asks it to start, or, where no
//! snapshot was primed, each worker asks one instance.

use super::Guest;
use super::engine::CodeInfo;
use super::failure::Failure;
use crate::scoreboard::MadeReason;
use wasmtime::component::Component;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

/// A component with a bridge of ours exports this interface.
const BRIDGE: &str = "wasmserve:guest/bridge";

/// A bridge says in this way that the application has not started; what follows the application has said.
const FAILED: &str = "startup failed: ";

/// `Exported` says what a component exports beside its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    pub websockets: bool,
    /// The component has a bridge of ours, which knows the client.
    pub bridge: bool,
    pub startup: Startup,
}

/// `Startup` says whether an instance has to be asked to start the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Startup {
    /// The component takes no part in its start: what there is to do comes with the first request.
    Unasked,
    /// The instances begin as the primer's was when the application had started.
    Primed,
    /// Nobody has asked the application yet.
    Due,
}

impl Exported {
    pub fn of(component: &Component, info: CodeInfo, is_primed: bool) -> Exported {
        Exported {
            websockets: info.websockets,
            bridge: component.get_export_index(None, BRIDGE).is_some(),
            startup: match (info.lifecycle, is_primed) {
                (false, _) => Startup::Unasked,
                (true, true) => Startup::Primed,
                (true, false) => Startup::Due,
            },
        }
    }
}

/// Reads what a guest answers in the place of a response.
pub fn failure_of(code: ErrorCode) -> Failure {
    if let ErrorCode::InternalError(Some(said)) = &code
        && let Some(said) = said.strip_prefix(FAILED)
    {
        return Failure::not_started(said.to_owned());
    }
    Failure::error_code(&code)
}

impl Guest {
    /// Says whether the component has a bridge of ours.
    pub fn is_bridged(&self) -> bool {
        self.exported.bridge
    }

    /// Has one instance start the application, so that one that cannot start is known before there are requests. The
    /// instance is kept for the first request.
    pub async fn start_application(&self) -> Result<(), Failure> {
        if self.exported.startup != Startup::Due {
            return Ok(());
        }
        self.admit().await?;
        let share = self.begin().await;
        let kept = self.pool.as_ref().and_then(|pool| pool.take(true));
        let source = self.source(kept, &share, None);
        let starting = self.run(source, share, MadeReason::Start, async |instance| {
            instance.start_application().await
        });
        starting.await
    }
}
