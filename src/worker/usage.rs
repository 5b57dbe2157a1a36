//! A worker itself tells what it takes of the machine, and what it could not log: nobody else may look into it.

use crate::log;
use crate::scoreboard::{Slot, totals};
use crate::sys::clock;
use crate::sys::memory::Proportional;
use std::time::Duration;

/// Memory is measured this often: the kernel looks at every page for that.
const MEMORY: Duration = Duration::from_secs(5);

/// `Usage` is what was read last.
pub struct Usage {
    /// The file is `None` where the kernel does not tell.
    memory: Option<Proportional>,
    cpu_ns: u64,
    thread_ns: u64,
    at_ns: u64,
    memory_at_ns: Option<u64>,
}

impl Usage {
    /// Opens what is read, before the sandbox is entered, in the thread that serves.
    pub fn open() -> Usage {
        Usage {
            memory: Proportional::open().ok(),
            cpu_ns: 0,
            thread_ns: clock::thread_cpu_ns(),
            at_ns: clock::now_ns(),
            memory_at_ns: None,
        }
    }

    /// Says what was taken since the last time.
    pub fn tell(&mut self, slot: &Slot) {
        let (now, cpu, thread) = (
            clock::now_ns(),
            clock::process_cpu_ns(),
            clock::thread_cpu_ns(),
        );
        let passed = now.saturating_sub(self.at_ns).max(1);
        let busy = thread.saturating_sub(self.thread_ns) as f64 / passed as f64;
        let lost = log::take_lost();
        slot.totals().add_all(totals::LOG_LINES_LOST, lost);
        slot.used(Duration::from_nanos(cpu.saturating_sub(self.cpu_ns)), busy);
        // What is less than a microsecond counts the next time.
        self.cpu_ns = cpu - cpu % 1000;
        (self.thread_ns, self.at_ns) = (thread, now);
        let is_due = self
            .memory_at_ns
            .is_none_or(|at| now - at >= MEMORY.as_nanos() as u64);
        if let Some(memory) = self.memory.as_ref().filter(|_| is_due) {
            self.memory_at_ns = Some(now);
            if let Ok(bytes) = memory.bytes() {
                slot.has_memory(bytes);
            }
        }
    }
}
