//! An alarm interrupts the guests of an engine once, where nothing else does: it advances the engine's epoch.

use crate::sys::limits;
use anyhow::{Context, Result};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Instant;
use wasmtime::Engine;

/// An `Alarm` is called off when it is dropped.
pub struct Alarm {
    _called_off: Sender<()>,
}

impl Alarm {
    /// Has the engine's epoch advance at this time.
    pub fn set(engine: &Engine, at: Instant) -> Result<Alarm> {
        let (sender, called_off) = channel();
        let engine = engine.weak();
        let wait = move || {
            let left = at.saturating_duration_since(Instant::now());
            let ended = called_off.recv_timeout(left);
            if ended == Err(RecvTimeoutError::Timeout)
                && let Some(engine) = engine.upgrade()
            {
                engine.increment_epoch();
            }
        };
        let thread = limits::spawn("alarm", wait);
        thread.context("cannot start the thread that interrupts guests")?;
        Ok(Alarm {
            _called_off: sender,
        })
    }
}
