//! A guest that runs before there is anything that serves: alone, on a loop of its own.

use anyhow::{Context, Result};

/// Runs a guest that has no neighbours.
pub fn block_on_guest<T>(guest: impl Future<Output = T>) -> Result<T> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build();
    Ok(runtime
        .context("cannot start the loop that a guest runs in")?
        .block_on(guest))
}
