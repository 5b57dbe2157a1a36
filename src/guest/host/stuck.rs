//! Work in a thread is asked to end, and not made to: SQLite looks whether it is still wanted between two of its
//! instructions, and one function over two long texts is one instruction, which may take hours. A worker in which work
//! does not end is to be replaced.

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::sleep;

/// Work that was given up must have ended by then: it looks around many times in a second, and may wait for a disk.
const GRACE: Duration = Duration::from_secs(10);

static STUCK: AtomicBool = AtomicBool::new(false);

/// Says whether something goes on in this process that nothing ends.
pub fn is_stuck() -> bool {
    STUCK.load(Relaxed)
}

/// Sees to it that work which was given up ends. It has what `running` leads to for as long as it goes on.
pub fn watch(running: Weak<()>, tell: impl FnOnce() + Send + 'static) {
    // Where there is no loop any more, the process is about to end.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move {
            sleep(GRACE).await;
            if running.strong_count() > 0 {
                tell();
                STUCK.store(true, Relaxed);
            }
        });
    }
}
