//! What the kernel has in memory is told at once. The engine hands every call that might wait for a disk to another
//! thread, which costs many times what such a call does, and SQLite makes dozens of them for each transaction.

use super::answer;
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
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::{self as fs, Descriptor, Dir, OpenMode, WasiFilesystemView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, HostDescriptor, MetadataHashValue,
    OpenFlags, PathFlags,
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
        Some(self.seen_at(directory, path)?.map(told))
    }

    fn seen_at(&self, directory: &Dir, path: &str) -> Option<Result<Seen, ErrorCode>> {
        if path.is_empty() || path == ".." || path.contains('/') {
            return None;
        }
        if path == "." {
            return self
                .known(at_hand::look(&*directory.dir, c"").ok()?)
                .map(Ok);
        }
        let name = CString::new(path).ok()?;
        if !self.have(&directory.dir) {
            return None;
        }
        match at_hand::look(&*directory.dir, &name) {
            Ok(seen) => self.known(seen).map(Ok),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Some(Err(ErrorCode::NoEntry))
            }
            Err(_) => None,
        }
    }

    fn seen(&self, descriptor: &Descriptor) -> Option<Seen> {
        let file: &File = match descriptor {
            Descriptor::File(file) => &file.file,
            Descriptor::Dir(directory) => &directory.dir,
        };
        self.known(at_hand::look(file, c"").ok()?)
    }

    /// Passes on what is a file or a directory of these devices.
    fn known(&self, seen: Seen) -> Option<Seen> {
        let known = matches!(seen.kind(), libc::S_IFREG | libc::S_IFDIR);
        (known && self.0.contains(&seen.device)).then_some(seen)
    }

    /// Opens a file beneath a directory whose whole path is in memory (openat2(2), RESOLVE_CACHED). Returns `None` where
    /// it is not, and where there is no such file, or only something else.
    pub fn open(&self, directory: &Dir, path: &str, mode: OFlag) -> Option<File> {
        let writable = mode.intersects(OFlag::O_WRONLY | OFlag::O_RDWR);
        if writable && directory.perms.write_not_permitted() || !self.have(&directory.dir) {
            return None;
        }
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
        (seen.kind() == libc::S_IFREG).then_some(file)
    }

    /// Opens a file that is there, as the engine would. Returns `None` where that is not at hand, where the file would
    /// be changed by it, and where the engine has something to refuse.
    pub fn open_as(
        &self,
        directory: &Dir,
        path: &str,
        (path_flags, how, flags): (PathFlags, OpenFlags, DescriptorFlags),
    ) -> Option<Descriptor> {
        let access = DescriptorFlags::READ | DescriptorFlags::WRITE;
        let is_plain = OpenFlags::CREATE.contains(how) && access.contains(flags);
        if !is_plain || !flags.intersects(access) {
            return None;
        }
        // What may be made is opened to be written to.
        let writable = flags.contains(DescriptorFlags::WRITE) || how.contains(OpenFlags::CREATE);
        let (mode, open_mode) = match (flags.contains(DescriptorFlags::READ), writable) {
            (true, true) => (OFlag::O_RDWR, OpenMode::READ | OpenMode::WRITE),
            (false, true) => (OFlag::O_WRONLY, OpenMode::WRITE),
            (_, false) => (OFlag::O_RDONLY, OpenMode::READ),
        };
        let follow = match path_flags.contains(PathFlags::SYMLINK_FOLLOW) {
            true => OFlag::empty(),
            false => OFlag::O_NOFOLLOW,
        };
        let file = self.open(directory, path, mode | follow)?;
        let file = fs::File::new(file, directory.perms, open_mode, false);
        Some(Descriptor::File(file))
    }
}

/// Gives the guest what is known of a file or a directory.
fn told(seen: Seen) -> DescriptorStat {
    let time = |(seconds, nanoseconds): (i64, u32)| {
        let seconds = seconds.try_into().ok()?;
        Some(Datetime {
            seconds,
            nanoseconds,
        })
    };
    DescriptorStat {
        type_: match seen.kind() {
            libc::S_IFDIR => DescriptorType::Directory,
            _ => DescriptorType::RegularFile,
        },
        link_count: seen.links,
        size: seen.size,
        data_access_timestamp: time(seen.accessed),
        data_modification_timestamp: time(seen.modified),
        // As the engine has it.
        status_change_timestamp: seen.made.and_then(time),
    }
}

/// Makes of a file what the engine makes of it.
fn hash(seen: Seen) -> MetadataHashValue {
    let mut hasher = DefaultHasher::new();
    (seen.device, seen.inode).hash(&mut hasher);
    let lower = hasher.finish();
    MetadataHashValue {
        lower,
        upper: lower ^ std::f64::consts::PI.to_bits(),
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
    let descriptor = state.table().get(&fd)?;
    match state.local().seen(descriptor) {
        Some(seen) => Ok(told(seen)),
        None => state.filesystem().stat(fd).await,
    }
}

pub async fn stat_at(
    state: &mut HostState,
    fd: Fd,
    flags: PathFlags,
    path: String,
) -> FsResult<DescriptorStat> {
    match seen_at(state, &fd, &path)? {
        Some(seen) => Ok(told(seen?)),
        None => state.filesystem().stat_at(fd, flags, path).await,
    }
}

pub async fn metadata_hash(state: &mut HostState, fd: Fd) -> FsResult<MetadataHashValue> {
    let descriptor = state.table().get(&fd)?;
    match state.local().seen(descriptor) {
        Some(seen) => Ok(hash(seen)),
        None => state.filesystem().metadata_hash(fd).await,
    }
}

pub async fn metadata_hash_at(
    state: &mut HostState,
    fd: Fd,
    flags: PathFlags,
    path: String,
) -> FsResult<MetadataHashValue> {
    match seen_at(state, &fd, &path)? {
        Some(seen) => Ok(hash(seen?)),
        None => state.filesystem().metadata_hash_at(fd, flags, path).await,
    }
}

fn seen_at(
    state: &mut HostState,
    fd: &Fd,
    path: &str,
) -> FsResult<Option<Result<Seen, ErrorCode>>> {
    Ok(match state.table().get(fd)? {
        Descriptor::Dir(directory) => state.local().seen_at(directory, path),
        Descriptor::File(_) => None,
    })
}

/// Puts these functions in the place of the engine's; what looks for paths, SQLite's locks are in the way of.
pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance("wasi:filesystem/types@0.2.12")?;
    types.func_wrap_async("[method]descriptor.stat", |mut store, (fd,): (Fd,)| {
        Box::new(async move { answer::told(stat(store.data_mut(), fd).await) })
    })?;
    types.func_wrap_async(
        "[method]descriptor.metadata-hash",
        |mut store, (fd,): (Fd,)| {
            Box::new(async move { answer::told(metadata_hash(store.data_mut(), fd).await) })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

#[cfg(test)]
mod tests;
