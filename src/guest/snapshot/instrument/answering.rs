//! This file writes the function of the state module that restores the state and answers a request, in one call. Where it
//! is clear when the handler has come to its end, that call also puts the numbers of handles in order.

use super::handles::{Handles, callback, reorder, reorder_at_exit, require_order};
use super::lift::{Ending, Handler};
use super::state_module::{NOTHING, NUMBER_OF_NUMBER, NUMBER_OF_THREE, Own, TWO, ended};
use super::{HANDLE, HANDLE_IN_ORDER};
use crate::guest::component::info::World;
use wasm_encoder::{CanonicalOption, Function};

/// The state module imports the handler's own callback by this name, and exports one in its place.
const CALLBACK: &str = "wasmserve-callback";
/// Functions that nobody outside calls have names for whoever reads a backtrace.
const REORDER: &str = "wasmserve-reorder";
const AT_EXIT: &str = "wasmserve-at-exit";

/// `Answering` is about one handler.
pub struct Answering<'a> {
    handler: &'a Handler,
    ending: Ending,
}

impl Answering<'_> {
    pub fn of(handler: &Handler) -> Answering<'_> {
        Answering {
            handler,
            ending: handler.ending(),
        }
    }

    /// Says whether numbers of handles are put in order at the end of the call.
    pub fn keeps_order(&self) -> bool {
        self.ending != Ending::Unknown
    }

    pub fn name(&self) -> &'static str {
        match self.keeps_order() {
            true => HANDLE_IN_ORDER,
            false => HANDLE,
        }
    }

    /// The function is lifted as the handler is.
    pub fn ty(&self) -> u32 {
        self.handler.lift.ty
    }

    /// Returns the options that it is lifted with, where this is the callback in the place of the handler's own.
    pub fn options(&self, callback: u32) -> Vec<CanonicalOption> {
        match self.ending {
            Ending::Exits { .. } => self.handler.options_with(callback),
            Ending::Returns | Ending::Unknown => self.handler.lift.options.clone(),
        }
    }

    /// Names the callback that the state module exports, where it has one.
    pub fn callback(&self) -> Option<&'static str> {
        matches!(self.ending, Ending::Exits { .. }).then_some(CALLBACK)
    }

    /// Lists what the state module imports for it: by which name, which function it is, and its type.
    pub fn imported(&self) -> Vec<(&'static str, u32, u32)> {
        let handle = (HANDLE, self.handler.lift.core_function, self.core_type());
        let callback = match self.ending {
            Ending::Exits { callback } => Some((CALLBACK, callback, NUMBER_OF_THREE)),
            Ending::Returns | Ending::Unknown => None,
        };
        [handle].into_iter().chain(callback).collect()
    }

    /// What is asynchronous gives a number, by which the engine knows what it waits for.
    fn core_type(&self) -> u32 {
        match self.handler.world {
            World::P2 => TWO,
            World::P3 => NUMBER_OF_NUMBER,
        }
    }

    /// Builds the functions, the first of which has the number `next`. What they import begins with `imported`.
    pub fn functions(
        &self,
        handles: Handles,
        restore: &Function,
        imported: u32,
        next: u32,
    ) -> Vec<Own> {
        let mut functions = Vec::new();
        let mut handle = restore.clone();
        if self.keeps_order() {
            functions.push(Own::inner(REORDER, NOTHING, reorder(handles)));
            require_order(&mut handle.instructions(), handles);
        }
        let parameters = match self.handler.world {
            World::P2 => 0..2,
            World::P3 => 0..1,
        };
        for parameter in parameters {
            handle.instructions().local_get(parameter);
        }
        handle.instructions().call(imported);
        let at_exit = next + 1;
        match self.ending {
            Ending::Returns => {
                handle.instructions().call(next);
            }
            Ending::Exits { .. } => {
                handle.instructions().call(at_exit);
                let body = reorder_at_exit(next);
                functions.push(Own::inner(AT_EXIT, NUMBER_OF_NUMBER, body));
                let body = callback(imported + 1, at_exit);
                functions.push(Own::exported(CALLBACK, NUMBER_OF_THREE, body));
            }
            Ending::Unknown => {}
        }
        functions.push(Own::exported(self.name(), self.core_type(), ended(handle)));
        functions
    }
}
