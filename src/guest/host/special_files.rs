//! A guest opens regular files and directories, and nothing else. Opening a named pipe waits until somebody opens its
//! other end (fifo(7)), and reading a terminal until somebody types, in a thread that nothing stops, so that neither the
//! request's time nor a stop of the server would end it. Of a device the open alone may do something: it rewinds a tape,
//! or starts a watchdog. Guests make none of them themselves.

use super::at_hand;
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

/// Opens what is neither a named pipe nor a device, by `wasi:filesystem` 0.2.
pub async fn open_at(state: &mut HostState, directory: Fd, wish: Wish) -> FsResult<Fd> {
    let Wish {
        path_flags,
        path,
        how,
        flags,
    } = wish;
    // What has to be new is nothing that is there.
    if !how.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) {
        let same = Resource::new_borrow(directory.rep());
        let found = at_hand::stat_at(state, same, path_flags, path.clone()).await;
        if let Ok(found) = found {
            if let Some(what) = special(found.type_) {
                deny(&path, what);
                return Err(ErrorCode::Unsupported.into());
            }
            if let Some(opened) = open_at_hand(state, &directory, &path, (path_flags, how, flags))?
            {
                return Ok(opened);
            }
        }
    }
    let mut files = state.filesystem();
    files.open_at(directory, path_flags, path, how, flags).await
}

fn open_at_hand(
    state: &mut HostState,
    directory: &Fd,
    path: &str,
    wanted: (PathFlags, OpenFlags, DescriptorFlags),
) -> FsResult<Option<Fd>> {
    let Descriptor::Dir(directory) = state.table().get(directory)? else {
        return Ok(None);
    };
    let opened = state.local().open_as(directory, path, wanted);
    Ok(opened
        .map(|opened| state.table_mut().push(opened))
        .transpose()?)
}

const PIPE: &str = "a named pipe, or the like, which would be waited for";
const DEVICE: &str = "a device";

/// Says what is not opened, of this type.
fn special(found: DescriptorType) -> Option<&'static str> {
    use DescriptorType::{
        BlockDevice, CharacterDevice, Directory, Fifo, RegularFile, Socket, SymbolicLink, Unknown,
    };
    match found {
        Directory | RegularFile | SymbolicLink => None,
        BlockDevice | CharacterDevice => Some(DEVICE),
        // The engine does not know a pipe from other things that have no name in its interface.
        Fifo | Socket | Unknown => Some(PIPE),
    }
}

fn deny(path: &str, what: &str) {
    let path = log::escape(path);
    warning!("denied the guest to open `{path}`: it is {what}");
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
    use DescriptorType::{
        BlockDevice, CharacterDevice, Directory, Fifo, Other, RegularFile, Socket, SymbolicLink,
    };
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
                    let special = found.await.ok().and_then(|found| match found.type_ {
                        Directory | RegularFile | SymbolicLink => None,
                        BlockDevice | CharacterDevice => Some(DEVICE),
                        Fifo | Socket | Other(_) => Some(PIPE),
                    });
                    if let Some(what) = special {
                        deny(&path, what);
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
