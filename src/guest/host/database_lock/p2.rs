//! The functions of `wasi:filesystem` 0.2 that SQLite locks by do, for every other path, what they did.

use super::interface::{Fd, Outcome, give_back, holds, lock};
use crate::guest::host::answer::told;
use crate::guest::host::at_hand;
use crate::guest::host::special_files;
use crate::guest::host::state::HostState;
use wasmtime::component::Linker;
use wasmtime_wasi::filesystem::WasiFilesystemView;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorStat, ErrorCode, HostDescriptor, MetadataHashValue, NewTimestamp, PathFlags,
};

pub async fn create_directory_at(state: &mut HostState, fd: Fd, path: String) -> FsResult<()> {
    match lock(&mut *state, &fd, &path).await {
        Outcome::Locked => Ok(()),
        Outcome::Busy => Err(ErrorCode::Exist.into()),
        Outcome::None => state.filesystem().create_directory_at(fd, path).await,
    }
}

pub async fn remove_directory_at(state: &mut HostState, fd: Fd, path: String) -> FsResult<()> {
    if give_back(&mut *state, &fd, &path) {
        return Ok(());
    }
    state.filesystem().remove_directory_at(fd, path).await
}

pub async fn stat_at(
    state: &mut HostState,
    fd: Fd,
    flags: PathFlags,
    path: String,
) -> FsResult<DescriptorStat> {
    if holds(&mut *state, &fd, &path) {
        return Err(ErrorCode::NoEntry.into());
    }
    at_hand::stat_at(state, fd, flags, path).await
}

pub async fn metadata_hash_at(
    state: &mut HostState,
    fd: Fd,
    flags: PathFlags,
    path: String,
) -> FsResult<MetadataHashValue> {
    if holds(&mut *state, &fd, &path) {
        return Err(ErrorCode::NoEntry.into());
    }
    at_hand::metadata_hash_at(state, fd, flags, path).await
}

pub async fn set_times_at(
    state: &mut HostState,
    (fd, flags, path): (Fd, PathFlags, String),
    read: NewTimestamp,
    written: NewTimestamp,
) -> FsResult<()> {
    if holds(&mut *state, &fd, &path) {
        return Ok(());
    }
    special_files::set_times_at(state, (fd, flags, path), read, written).await
}

/// Puts these functions in the place of those that only know directories.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut types = linker.instance("wasi:filesystem/types@0.2.12")?;
    types.func_wrap_async(
        "[method]descriptor.create-directory-at",
        |mut store, (fd, path): (Fd, String)| {
            Box::new(async move { told(create_directory_at(store.data_mut(), fd, path).await) })
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.remove-directory-at",
        |mut store, (fd, path): (Fd, String)| {
            Box::new(async move { told(remove_directory_at(store.data_mut(), fd, path).await) })
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.stat-at",
        |mut store, (fd, flags, path): (Fd, PathFlags, String)| {
            Box::new(async move { told(stat_at(store.data_mut(), fd, flags, path).await) })
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.metadata-hash-at",
        |mut store, (fd, flags, path): (Fd, PathFlags, String)| {
            Box::new(async move { told(metadata_hash_at(store.data_mut(), fd, flags, path).await) })
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.set-times-at",
        |mut store, (fd, flags, path, read, written): (Fd, PathFlags, String, NewTimestamp, NewTimestamp)| {
            Box::new(async move {
                told(set_times_at(store.data_mut(), (fd, flags, path), read, written).await)
            })
        },
    )
}
