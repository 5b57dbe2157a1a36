//! A registry is waited for, which does not tell how long it takes: a bar, or a line now and then, says that this goes
//! on.

use crate::log::Bar;
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

/// It is looked this often whether there is something to show.
const LOOK: Duration = Duration::from_millis(100);

/// Waits for this, and shows meanwhile that so much is there.
pub async fn shown<T>(bar: &mut Bar, done: u64, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        match timeout(LOOK, &mut work).await {
            Ok(result) => return result,
            Err(_) => bar.advance(done),
        }
    }
}
