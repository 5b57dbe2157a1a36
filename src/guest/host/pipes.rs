//! A guest opens no named pipe: opening one waits until somebody opens its other end (fifo(7)), in a thread that nothing
//! stops, so that neither the request's time nor a stop of the server would end it. Guests make none themselves.

use super::state::HostState;
use crate::{log, warning};
use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode, HostDescriptor, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::bindings::filesystem::types as p3;

type Fd = Resource<Descriptor>;

/// `Wish` says what is to be opened, and how.
pub struct Wish {
    pub path_flags: PathFlags,
    pub path: String,
    pub how: OpenFlags,
    pub flags: DescriptorFlags,
}

/// Opens what is no named pipe, by `wasi:filesystem` 0.2.
pub async fn open_at(state: &mut HostState, directory: Fd, wish: Wish) -> FsResult<Fd> {
    let Wish {
        path_flags,
        path,
        how,
        flags,
    } = wish;
    let mut files = state.filesystem();
    // What has to be new is nothing that is there.
    if !how.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) {
        let same = Resource::new_borrow(directory.rep());
        let found = files.stat_at(same, path_flags, path.clone()).await;
        // The engine does not know a pipe from other things that have no name in its interface.
        let is_pipe = |kind| matches!(kind, DescriptorType::Fifo | DescriptorType::Unknown);
        if found.is_ok_and(|found| is_pipe(found.type_)) {
            deny(&path);
            return Err(ErrorCode::Unsupported.into());
        }
    }
    files.open_at(directory, path_flags, path, how, flags).await
}

fn deny(path: &str) {
    let path = log::escape(path);
    warning!(
        "denied the guest to open `{path}`: it is a named pipe, or the like, which would be waited for"
    );
}

/// Puts these functions in the place of those that open everything.
pub fn add_to_linker(linker: &mut Linker<HostState>, concurrent: bool) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance("wasi:filesystem/types@0.2.12")?;
    types.func_wrap_async(
        "[method]descriptor.open-at",
        |mut store, (fd, path_flags, path, how, flags): (Fd, _, String, _, _)| {
            Box::new(async move {
                let wish = Wish {
                    path_flags,
                    path,
                    how,
                    flags,
                };
                match open_at(store.data_mut(), fd, wish).await {
                    Ok(opened) => Ok((Ok(opened),)),
                    Err(error) => Ok((Err(error.downcast()?),)),
                }
            })
        },
    )?;
    if concurrent {
        add_newer(linker)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// Does the same for `wasi:filesystem` 0.3.
fn add_newer(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    use p3::{
        DescriptorFlags, DescriptorType, ErrorCode, HostDescriptorWithStore as Host, OpenFlags,
        PathFlags,
    };
    type Files = WasiFilesystem;
    type Asked = (Fd, PathFlags, String, OpenFlags, DescriptorFlags);
    let mut types = linker.instance("wasi:filesystem/types@0.3.0")?;
    types.func_wrap_concurrent(
        "[method]descriptor.open-at",
        |store: &Accessor<HostState>, (fd, path_flags, path, how, flags): Asked| {
            Box::pin(async move {
                let files = store.with_getter::<Files>(HostState::filesystem);
                if !how.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) {
                    let (same, path) = (Resource::new_borrow(fd.rep()), path.clone());
                    let found =
                        <Files as Host<HostState>>::stat_at(&files, same, path_flags, path.clone());
                    if let Ok(found) = found.await
                        && matches!(found.type_, DescriptorType::Fifo | DescriptorType::Other(_))
                    {
                        deny(&path);
                        return Ok((Err(ErrorCode::Unsupported),));
                    }
                }
                let opened =
                    <Files as Host<HostState>>::open_at(&files, fd, path_flags, path, how, flags);
                match opened.await {
                    Ok(opened) => Ok((Ok(opened),)),
                    Err(error) => Ok((Err(error.downcast()?),)),
                }
            })
        },
    )
}
