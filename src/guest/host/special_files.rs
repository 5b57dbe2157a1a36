//! A guest opens regular files and directories, and nothing else. Opening a named pipe waits until somebody opens its
//! other end (fifo(7)), and reading a terminal until somebody types, in a thread that nothing stops, so that neither the
//! request's time nor a stop of the server would end it. Of a device the open alone may do something: it rewinds a tape,
//! or starts a watchdog. Guests make none of them themselves.
//!
//! Whoever sets the times of a file by its name has the host open it, too.

use super::about_guests;
use super::answer;
use super::at_hand;
use super::descriptors;
use super::state::HostState;
use crate::log;
use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode, HostDescriptor, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::bindings::filesystem::types as p3;
use wasmtime_wasi::p3::filesystem::FilesystemResult;

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
        // What cannot be found, the engine says.
        let found = ordinary(state, &directory, path_flags, &path).await?;
        if found.is_some()
            && let Some(opened) = open_at_hand(state, &directory, &path, (path_flags, how, flags))?
        {
            return kept(state, opened);
        }
    }
    let mut files = state.filesystem();
    let opened = files
        .open_at(directory, path_flags, path, how, flags)
        .await?;
    kept(state, opened)
}

/// Fails where a guest may not keep what it has opened, as where no descriptors are left.
fn kept(state: &mut HostState, opened: Fd) -> FsResult<Fd> {
    match descriptors::may_keep(state.table_mut(), &opened)? {
        true => Ok(opened),
        false => Err(ErrorCode::Io.into()),
    }
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

/// Sets the times of what is neither a named pipe nor a device, by `wasi:filesystem` 0.2. The sandbox lets times be
/// changed of what is open alone, so the engine is to open what is no link, as it does where it follows links.
pub async fn set_times_at(
    state: &mut HostState,
    (directory, mut path_flags, path): (Fd, PathFlags, String),
    read: NewTimestamp,
    written: NewTimestamp,
) -> FsResult<()> {
    match ordinary(state, &directory, path_flags, &path).await? {
        Some(DescriptorType::SymbolicLink) => return Err(ErrorCode::Unsupported.into()),
        _ => path_flags |= PathFlags::SYMLINK_FOLLOW,
    }
    let mut files = state.filesystem();
    files
        .set_times_at(directory, path_flags, path, read, written)
        .await
}

/// Finds what is to be opened, if it can be found, and fails where that is not opened.
async fn ordinary(
    state: &mut HostState,
    directory: &Fd,
    path_flags: PathFlags,
    path: &str,
) -> FsResult<Option<DescriptorType>> {
    let same = Resource::new_borrow(directory.rep());
    let Ok(found) = at_hand::stat_at(state, same, path_flags, path.to_owned()).await else {
        return Ok(None);
    };
    match special(found.type_) {
        None => Ok(Some(found.type_)),
        Some(what) => {
            deny(path, what);
            Err(ErrorCode::Unsupported.into())
        }
    }
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
    about_guests::tell!("denied the guest to open `{path}`: it is {what}");
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
                answer::told(open_at(store.data_mut(), fd, wish).await)
            })
        },
    )?;
    if concurrent {
        add_newer(linker)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

type Files = Accessor<HostState, WasiFilesystem>;

/// Does the same for `wasi:filesystem` 0.3.
pub async fn set_newer_times_at(
    files: &Files,
    (directory, mut path_flags, path): (Fd, p3::PathFlags, String),
    read: p3::NewTimestamp,
    written: p3::NewTimestamp,
) -> FilesystemResult<()> {
    use p3::HostDescriptorWithStore as Host;
    match newer_ordinary(files, &directory, path_flags, &path).await? {
        Some(p3::DescriptorType::SymbolicLink) => return Err(p3::ErrorCode::Unsupported.into()),
        _ => path_flags |= p3::PathFlags::SYMLINK_FOLLOW,
    }
    type Its = WasiFilesystem;
    <Its as Host<HostState>>::set_times_at(files, directory, path_flags, path, read, written).await
}

/// Finds what is to be opened, if it can be found, and fails where that is not opened.
async fn newer_ordinary(
    files: &Files,
    directory: &Fd,
    path_flags: p3::PathFlags,
    path: &str,
) -> FilesystemResult<Option<p3::DescriptorType>> {
    use p3::DescriptorType::{
        BlockDevice, CharacterDevice, Directory, Fifo, Other, RegularFile, Socket, SymbolicLink,
    };
    use p3::HostDescriptorWithStore as Host;
    let same = Resource::new_borrow(directory.rep());
    let found = <WasiFilesystem as Host<HostState>>::stat_at(files, same, path_flags, path.into());
    let Ok(found) = found.await else {
        return Ok(None);
    };
    let special = match found.type_ {
        Directory | RegularFile | SymbolicLink => return Ok(Some(found.type_)),
        BlockDevice | CharacterDevice => DEVICE,
        Fifo | Socket | Other(_) => PIPE,
    };
    deny(path, special);
    Err(p3::ErrorCode::Unsupported.into())
}

fn add_newer(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    use p3::{DescriptorFlags, HostDescriptorWithStore as Host, OpenFlags, PathFlags};
    type Asked = (Fd, PathFlags, String, OpenFlags, DescriptorFlags);
    let mut types = linker.instance("wasi:filesystem/types@0.3.0")?;
    types.func_wrap_concurrent(
        "[method]descriptor.open-at",
        |store: &Accessor<HostState>, (fd, path_flags, path, how, flags): Asked| {
            Box::pin(async move {
                let files = store.with_getter::<WasiFilesystem>(HostState::filesystem);
                let is_new = how.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
                let found = match is_new {
                    true => Ok(None),
                    false => newer_ordinary(&files, &fd, path_flags, &path).await,
                };
                let opened = match found {
                    Ok(_) => {
                        type Its = WasiFilesystem;
                        <Its as Host<HostState>>::open_at(&files, fd, path_flags, path, how, flags)
                            .await
                    }
                    Err(error) => Err(error),
                };
                let opened = match answer::coded(opened)? {
                    Ok(opened) => opened,
                    Err(code) => return Ok((Err(code),)),
                };
                let is_kept =
                    store.with(|mut it| descriptors::may_keep(it.get().table_mut(), &opened))?;
                Ok((is_kept.then_some(opened).ok_or(p3::ErrorCode::Io),))
            })
        },
    )
}
