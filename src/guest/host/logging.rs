//! What a guest logs with `wasi:logging` becomes lines of the log, with the guest's level and its context, and
//! recognisable as the guest's.

use super::state::HostState;
use crate::log::{self, GuestStream};
use wasi::logging::logging::{Host, Level};
use wasmtime::component::{HasSelf, Linker};

wasmtime::component::bindgen!({
    path: "wit",
    world: "wasi:logging/imports@0.1.0-draft",
});

/// A message longer than this many bytes is cut.
const LONGEST: usize = 8 << 10;

pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasi::logging::logging::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

impl Host for HostState {
    fn log(&mut self, level: Level, context: String, message: String) {
        let level = match level {
            Level::Trace => log::Level::Trace,
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warning,
            Level::Error => log::Level::Error,
            Level::Critical => log::Level::Critical,
        };
        let (context, message) = (cut(&context), cut(&message));
        self.logger().say(level, GuestStream::Log, context, message);
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}
