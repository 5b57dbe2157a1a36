//! A panic is a fault of this program. The log has it as one record, where and in the form that the operator wants.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::panic::{set_hook, take_hook};

thread_local! {
    /// This thread is writing to the log, whose locks it has.
    static WRITES: Cell<bool> = const { Cell::new(false) };
}

/// As long as a `Writing` lives, a panic of its thread is told past the log, which would wait for itself.
pub struct Writing {
    before: bool,
}

impl Writing {
    pub fn begin() -> Writing {
        Writing {
            before: WRITES.replace(true),
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        WRITES.set(self.before);
    }
}

/// Has panics told in the log from here on, in this process and its children.
pub fn tell() {
    let plain = take_hook();
    set_hook(Box::new(move |panic| {
        if WRITES.get() {
            return plain(panic);
        }
        let trace = Backtrace::capture();
        let trace = match trace.status() {
            BacktraceStatus::Captured => format!("\n{trace}"),
            _ => String::new(),
        };
        let what = panic.to_string().replace('\n', " ");
        crate::error!("wasmserve has a fault, please report it: it {what}{trace}");
    }));
}
