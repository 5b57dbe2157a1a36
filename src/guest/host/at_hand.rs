//! What the kernel has in memory is told at once. The engine hands every call that might wait for a disk to another
//! thread, which costs many times what such a call does, and SQLite makes dozens of them for each transaction.

use super::directories::Directory;
use super::state::HostState;
use crate::sys::at_hand::{self, Seen};
use bytes::Bytes;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::statfs::{
    BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC,
    XFS_SUPER_MAGIC, fstatfs,
};
use std::ffi::CString;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystemView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorStat, DescriptorType, ErrorCode, HostDescriptor, PathFlags,
};

type Fd = Resource<Descriptor>;

/// No more than this is read at once, as the engine has it.
const MOST: usize = 64 << 10;

/// These file systems are on this machine. What is asked over a network, or of another process (FUSE), may be waited
/// for for ever.
const LOCAL: [FsType; 5] = [
    BTRFS_SUPER_MAGIC,
    EXT4_SUPER_MAGIC,
    OVERLAYFS_SUPER_MAGIC,
    TMPFS_MAGIC,
    XFS_SUPER_MAGIC,
];

/// `LocalDevices` are those of the granted directories whose file systems are on this machine.
#[derive(Clone, Debug)]
pub struct LocalDevices(Arc<[u64]>);

impl LocalDevices {
    pub fn of(directories: &[Directory]) -> LocalDevices {
        let devices = directories.iter().filter_map(|directory| {
            let opened = File::open(&directory.host).ok()?;
            let kind = fstatfs(&opened).ok()?.filesystem_type();
            LOCAL.contains(&kind).then_some(())?;
            Some(opened.metadata().ok()?.dev())
        });
        LocalDevices(devices.collect())
    }

    fn have(&self, file: &File) -> bool {
        at_hand::look(file, c"").is_ok_and(|seen| self.0.contains(&seen.device))
    }

    /// Looks at what is under this name of a directory. Returns `None` where that is not at hand, or has to be found by
    /// somebody who follows links.
    pub fn look(&self, directory: &Dir, path: &str) -> Option<Result<DescriptorStat, ErrorCode>> {
        if path.is_empty() || path == "." || path == ".." || path.contains('/') {
            return None;
        }
        let name = CString::new(path).ok()?;
        if !self.have(&directory.dir) {
            return None;
        }
        match at_hand::look(&*directory.dir, &name) {
            Ok(seen) => self.told(seen).map(Ok),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Some(Err(ErrorCode::NoEntry))
            }
            Err(_) => None,
        }
    }

    /// Opens a file beneath a directory whose whole path is in memory (openat2(2), RESOLVE_CACHED). Returns `None` where
    /// it is not, and where there is no such file, or only something else.
    pub fn open(&self, directory: &Dir, path: &str, writable: bool) -> Option<File> {
        if writable && directory.perms.write_not_permitted() || !self.have(&directory.dir) {
            return None;
        }
        let mode = if writable {
            OFlag::O_RDWR
        } else {
            OFlag::O_RDONLY
        };
        let cached = ResolveFlag::from_bits_retain(libc::RESOLVE_CACHED);
        let how = OpenHow::new()
            // Opening a named pipe would wait for its other end.
            .flags(mode | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .resolve(
                ResolveFlag::RESOLVE_BENEATH
                    | ResolveFlag::RESOLVE_NO_MAGICLINKS
                    | ResolveFlag::RESOLVE_NO_XDEV
                    | cached,
            );
        let file = File::from(openat2(&*directory.dir, path, how).ok()?);
        let seen = at_hand::look(&file, c"").ok()?;
        (seen.mode & libc::S_IFMT == libc::S_IFREG).then_some(file)
    }

    /// Gives the guest what is known of a file or a directory of these devices.
    fn told(&self, seen: Seen) -> Option<DescriptorStat> {
        let type_ = match seen.mode & libc::S_IFMT {
            libc::S_IFREG => DescriptorType::RegularFile,
            libc::S_IFDIR => DescriptorType::Directory,
            _ => return None,
        };
        let time = |(seconds, nanoseconds): (i64, u32)| {
            let seconds = seconds.try_into().ok()?;
            Some(Datetime {
                seconds,
                nanoseconds,
            })
        };
        self.0.contains(&seen.device).then(|| DescriptorStat {
            type_,
            link_count: seen.links,
            size: seen.size,
            data_access_timestamp: time(seen.accessed),
            data_modification_timestamp: time(seen.modified),
            // As the engine has it.
            status_change_timestamp: seen.made.and_then(time),
        })
    }
}

/// Reads from a file as much as is asked for, or all that is left, if that is in memory. The end of a file is not told.
pub fn read(file: &File, offset: u64, size: usize) -> Option<Bytes> {
    let mut buffer = vec![0; size.min(MOST)];
    let read = at_hand::read(file, &mut buffer, offset).ok()?;
    if read < buffer.len() {
        let is_all = at_hand::read(file, &mut [0], offset + read as u64).ok()? == 0;
        if read == 0 || !is_all {
            return None;
        }
        buffer.truncate(read);
    }
    Some(buffer.into())
}

pub async fn stat(state: &mut HostState, fd: Fd) -> FsResult<DescriptorStat> {
    let known = match state.table().get(&fd)? {
        Descriptor::File(file) => at_hand::look(&*file.file, c""),
        Descriptor::Dir(directory) => at_hand::look(&*directory.dir, c""),
    };
    match known.ok().and_then(|seen| state.local().told(seen)) {
        Some(known) => Ok(known),
        None => state.filesystem().stat(fd).await,
    }
}

pub async fn stat_at(
    state: &mut HostState,
    fd: Fd,
    flags: PathFlags,
    path: String,
) -> FsResult<DescriptorStat> {
    let known = match state.table().get(&fd)? {
        Descriptor::Dir(directory) => state.local().look(directory, &path),
        Descriptor::File(_) => None,
    };
    match known {
        Some(known) => Ok(known?),
        None => state.filesystem().stat_at(fd, flags, path).await,
    }
}

/// Puts this function in the place of the engine's; what looks for paths, SQLite's locks are in the way of.
pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance("wasi:filesystem/types@0.2.12")?;
    types.func_wrap_async("[method]descriptor.stat", |mut store, (fd,): (Fd,)| {
        Box::new(async move {
            match stat(store.data_mut(), fd).await {
                Ok(known) => Ok((Ok(known),)),
                Err(error) => Ok((Err(error.downcast()?),)),
            }
        })
    })?;
    linker.allow_shadowing(false);
    Ok(())
}
