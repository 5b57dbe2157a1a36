//! A `CodeInfo` is found in compiled code, and says what an engine that maps this code has to be like.

pub use crate::channel::CodeInfo;

use crate::channel::Needs;
use crate::guest::component::info::World;
use crate::guest::component::target::{Restore, Target};
use crate::guest::component::websocket;
use crate::guest::limits::GuestLimits;
use wasmtime::component::Component;

const WASM_PAGE: u64 = 64 << 10;

/// A component exports this interface where its language takes part in its start: wit/lifecycle has it.
pub const LIFECYCLE: &str = "wasmserve:lifecycle/application@0.1.0";

/// Tables may grow to this many elements at least: dynamic linking inside a guest does that.
const TABLE_ELEMENTS: u64 = 10_000;

impl CodeInfo {
    /// Plans for `component`, whatever engine it was made for.
    pub fn of(target: Target, component: &Component) -> CodeInfo {
        let required = component.resources_required();
        let required = required.as_ref();
        let pages = required
            .and_then(|r| r.max_initial_memory_size)
            .unwrap_or(0);
        let elements = required.and_then(|r| r.max_initial_table_size).unwrap_or(0);
        let ty = component.component_type();
        let mut exports = ty.exports(component.engine());
        CodeInfo {
            target,
            websockets: websocket::is_taken_by(component),
            lifecycle: exports.any(|(name, _)| name == LIFECYCLE),
            needs: Needs {
                memories: required.map_or(1, |r| r.num_memories).max(1),
                initial_memory: pages.saturating_mul(WASM_PAGE),
                tables: required.map_or(1, |r| r.num_tables).max(1),
                table_elements: elements.saturating_mul(2).max(TABLE_ELEMENTS),
            },
        }
    }

    /// Names the world that its component is for.
    pub fn world(self) -> &'static str {
        match self.target.world {
            World::P2 => "wasi:http/proxy@0.2",
            World::P3 => "wasi:http/service@0.3",
        }
    }

    /// Says whether instances are put back as they were when they were made.
    pub fn restores(self) -> bool {
        self.target.restore != Restore::No
    }

    /// Computes how many instances there may be at a time in one worker.
    pub(super) fn instances(self, limits: GuestLimits) -> u32 {
        match self.websockets {
            true => limits.instances.saturating_add(limits.websockets),
            false => limits.instances,
        }
    }
}
