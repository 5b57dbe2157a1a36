//! The functions of `wasi:filesystem` 0.3 that SQLite locks by do, for every other path, what they did.

use super::interface::{Fd, Outcome, give_back, holds, lock};
use crate::guest::host::answer::told;
use crate::guest::host::special_files;
use crate::guest::host::state::HostState;
use wasmtime::component::{Accessor, Linker};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p3::bindings::filesystem::types as p3;

pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    use p3::{ErrorCode, HostDescriptorWithStore as Host, NewTimestamp, PathFlags};
    type Files = WasiFilesystem;
    fn files(store: &Accessor<HostState>) -> Accessor<HostState, Files> {
        store.with_getter::<Files>(HostState::filesystem)
    }
    let mut types = linker.instance("wasi:filesystem/types@0.3.0")?;
    types.func_wrap_concurrent(
        "[method]descriptor.create-directory-at",
        |store, (fd, path): (Fd, String)| {
            Box::pin(async move {
                match lock(store, &fd, &path).await {
                    Outcome::Locked => Ok((Ok(()),)),
                    Outcome::Busy => Ok((Err(ErrorCode::Exist),)),
                    Outcome::None => {
                        told(Files::create_directory_at(&files(store), fd, path).await)
                    }
                }
            })
        },
    )?;
    types.func_wrap_concurrent(
        "[method]descriptor.remove-directory-at",
        |store, (fd, path): (Fd, String)| {
            Box::pin(async move {
                if give_back(store, &fd, &path) {
                    return Ok((Ok(()),));
                }
                told(Files::remove_directory_at(&files(store), fd, path).await)
            })
        },
    )?;
    types.func_wrap_concurrent(
        "[method]descriptor.stat-at",
        |store, (fd, flags, path): (Fd, PathFlags, String)| {
            Box::pin(async move {
                if holds(store, &fd, &path) {
                    return Ok((Err(ErrorCode::NoEntry),));
                }
                told(<Files as Host<HostState>>::stat_at(&files(store), fd, flags, path).await)
            })
        },
    )?;
    types.func_wrap_concurrent(
        "[method]descriptor.metadata-hash-at",
        |store, (fd, flags, path): (Fd, PathFlags, String)| {
            Box::pin(async move {
                if holds(store, &fd, &path) {
                    return Ok((Err(ErrorCode::NoEntry),));
                }
                told(Files::metadata_hash_at(&files(store), fd, flags, path).await)
            })
        },
    )?;
    types.func_wrap_concurrent(
        "[method]descriptor.set-times-at",
        |store, (fd, flags, path, read, written): (Fd, PathFlags, String, NewTimestamp, NewTimestamp)| {
            Box::pin(async move {
                if holds(store, &fd, &path) {
                    return Ok((Ok(()),));
                }
                let (files, named) = (files(store), (fd, flags, path));
                let set = special_files::set_newer_times_at(&files, named, read, written);
                told(set.await)
            })
        },
    )
}
