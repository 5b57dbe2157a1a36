//! What of several things was ready first differs from run to run: where a request is recorded it is noted, and where
//! it is replayed, what was ready then is waited for.

use super::state::HostState;
use crate::guest::recording::{Call, Event, Recorder};
use std::sync::Arc;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi_io::bindings::wasi::io::poll::{Host, HostPollable};
use wasmtime_wasi_io::poll::DynPollable;

/// The engine defines the interface in this version.
const POLL: &str = "wasi:io/poll@0.2.12";

type Pollable = Resource<DynPollable>;

/// Puts these functions in the place of the engine's, which the linker has already.
pub fn replace(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut poll = linker.instance(POLL)?;
    poll.func_wrap_async("poll", |mut store, (pollables,)| {
        Box::new(async move { Ok((polled(&mut store, pollables).await?,)) })
    })?;
    poll.func_wrap_async("[method]pollable.ready", |mut store, (pollable,)| {
        Box::new(async move { Ok((ready(&mut store, pollable).await?,)) })
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

fn parts<'a>(
    store: &'a mut StoreContextMut<'_, HostState>,
) -> (Option<Arc<Recorder>>, &'a mut ResourceTable) {
    let state = store.data_mut();
    (state.recorder().cloned(), state.table_mut())
}

/// Waits until something is ready, and says what.
async fn polled(
    store: &mut StoreContextMut<'_, HostState>,
    pollables: Vec<Pollable>,
) -> wasmtime::Result<Vec<u32>> {
    let (recorder, table) = parts(store);
    let Some(recorder) = recorder else {
        return table.poll(pollables).await;
    };
    let ready = match recorder.recorded(Call::Poll) {
        Some(Event::Poll(ready)) => ready,
        Some(Event::Waits) => recorder.wait_in_vain().await,
        _ => {
            recorder.waits(true);
            let ready = table.poll(pollables).await?;
            recorder.waits(false);
            recorder.note(Event::Poll(ready.clone()));
            return Ok(ready);
        }
    };
    for index in &ready {
        // Another component may wait for less than the one that was recorded.
        if let Some(pollable) = pollables.get(*index as usize) {
            table.block(Resource::new_borrow(pollable.rep())).await?;
        }
    }
    Ok(ready)
}

/// Says whether something is ready, without waiting.
async fn ready(
    store: &mut StoreContextMut<'_, HostState>,
    pollable: Pollable,
) -> wasmtime::Result<bool> {
    let (recorder, table) = parts(store);
    let Some(recorder) = recorder else {
        return table.ready(pollable).await;
    };
    let Some(Event::Ready(ready)) = recorder.recorded(Call::Ready) else {
        let ready = table.ready(pollable).await?;
        recorder.note(Event::Ready(ready));
        return Ok(ready);
    };
    if ready {
        table.block(pollable).await?;
    }
    Ok(ready)
}
